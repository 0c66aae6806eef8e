"""HTTP routes. Reading needs no signing in; changes by staff need a permission."""

from catalog.api import (
    auditoriums,
    browse,
    genres,
    imports,
    movies,
    pages,
    pictures,
    prices,
    reviews,
    schedules,
    showtimes,
    theaters,
)

ROUTERS = [
    *(browse.router, movies.router, pictures.router, genres.router, reviews.router),
    *(theaters.router, prices.router, showtimes.router, pages.router),
    *(movies.managed, pictures.managed, genres.managed, imports.managed, reviews.own),
    *(auditoriums.managed, prices.managed, showtimes.managed, schedules.managed),
]
