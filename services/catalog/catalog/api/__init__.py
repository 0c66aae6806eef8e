"""HTTP in. What visitors read needs no signing in; what staff change needs its permission."""

from catalog.api import browse, genres, movies, pictures, reviews, showtimes, theaters

ROUTERS = [
    *(browse.router, movies.router, pictures.router, genres.router, reviews.router, theaters.router, showtimes.router),
    *(movies.managed, pictures.managed, genres.managed, reviews.own),
]
