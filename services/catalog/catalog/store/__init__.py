"""The catalog's documents, and the writes that change them."""

from catalog.store.attendance import Attendance, end_booking, forget_attendances, has_attended, note_booking
from catalog.store.genres import Genre, claim_genres, genres, name_genre, remove_genre
from catalog.store.movies import Movie, PictureRef, change_movie, live_movie, mark_deleted, publish_movie, set_picture
from catalog.store.occupancy import Occupancy, mark_seats, occupancy_of
from catalog.store.pictures import Picture, drop_unused_pictures, picture, store_picture
from catalog.store.programme import rename_showtimes
from catalog.store.ratings import count_review
from catalog.store.reading import Document, get, ids_of, page
from catalog.store.reviews import (
    Review,
    delete_review,
    edit_review,
    forget_reviewer,
    judge_review,
    live_review,
    report_review,
    review_of,
    write_review,
)
from catalog.store.showtimes import Showtime, schedule
from catalog.store.theaters import (
    Address,
    Auditorium,
    Position,
    SeatLayout,
    Theater,
    auditoriums_of,
    publish_layout,
    theaters_near,
)
from catalog.store.vocabulary import Word, meant_by

DOCUMENTS = [
    *(Movie, Genre, Picture, Word, Review, Attendance, Occupancy),
    *(Theater, SeatLayout, Auditorium, Showtime),
]
__all__ = [
    "DOCUMENTS",
    "Address",
    "Attendance",
    "Auditorium",
    "Document",
    "Genre",
    "Movie",
    "Occupancy",
    "Picture",
    "PictureRef",
    "Position",
    "Review",
    "SeatLayout",
    "Showtime",
    "Theater",
    "Word",
    "auditoriums_of",
    "change_movie",
    "claim_genres",
    "count_review",
    "delete_review",
    "drop_unused_pictures",
    "edit_review",
    "end_booking",
    "forget_attendances",
    "forget_reviewer",
    "genres",
    "get",
    "has_attended",
    "ids_of",
    "judge_review",
    "live_movie",
    "live_review",
    "mark_deleted",
    "mark_seats",
    "meant_by",
    "name_genre",
    "note_booking",
    "occupancy_of",
    "page",
    "picture",
    "publish_layout",
    "publish_movie",
    "remove_genre",
    "rename_showtimes",
    "report_review",
    "review_of",
    "schedule",
    "set_picture",
    "store_picture",
    "theaters_near",
    "write_review",
]
