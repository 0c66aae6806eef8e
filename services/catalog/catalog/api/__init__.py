"""HTTP in. What visitors read needs no signing in; what staff change needs its permission."""

from catalog.api import browse, movies, showtimes, theaters

ROUTERS = [browse.router, movies.router, theaters.router, showtimes.router]
