"""The catalog's documents, and the writes that change them."""

from catalog.store.movies import Movie, genres, publish_movie
from catalog.store.reading import Document, get, ids_of, page
from catalog.store.showtimes import Showtime, schedule
from catalog.store.theaters import Address, Auditorium, Position, SeatLayout, Theater, auditoriums_of, publish_layout

DOCUMENTS = [Movie, Theater, SeatLayout, Auditorium, Showtime]
__all__ = [
    "DOCUMENTS",
    "Address",
    "Auditorium",
    "Document",
    "Movie",
    "Position",
    "SeatLayout",
    "Showtime",
    "Theater",
    "auditoriums_of",
    "genres",
    "get",
    "ids_of",
    "page",
    "publish_layout",
    "publish_movie",
    "schedule",
]
