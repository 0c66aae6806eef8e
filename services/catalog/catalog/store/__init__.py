"""The catalog's documents, and the writes that change them."""

from catalog.store.attendance import Attendance, end_booking, forget_attendances, has_attended, note_booking
from catalog.store.genres import Genre, claim_genres, genres, name_genre, remove_genre
from catalog.store.layouts import (
    SeatLayout,
    layout_version,
    layout_versions,
    newest_layout,
    publish_layout,
    publish_version,
)
from catalog.store.movies import Movie, PictureRef, change_movie, live_movie, mark_deleted, publish_movie, set_picture
from catalog.store.occupancy import Occupancy, mark_seats, occupancy_of
from catalog.store.pictures import Picture, drop_unused_pictures, picture, store_picture
from catalog.store.prices import PriceList, add_price_list, change_price_list, price_lists_of, remove_price_list
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
from catalog.store.schedules import House, Item, Schedule, house_of, preview, publish, resume, schedule_of
from catalog.store.showtimes import SCHEDULED, Showtime, cancel, clash, published, reschedule, schedule, times
from catalog.store.theaters import (
    Address,
    Auditorium,
    Position,
    Theater,
    add_auditorium,
    auditoriums_of,
    change_auditorium,
    change_theater,
    theaters_near,
)
from catalog.store.vocabulary import Word, meant_by

DOCUMENTS = [
    *(Movie, Genre, Picture, Word, Review, Attendance, Occupancy),
    *(Theater, PriceList, SeatLayout, Auditorium, Showtime, Schedule),
]
__all__ = [
    "DOCUMENTS",
    "SCHEDULED",
    "Address",
    "Attendance",
    "Auditorium",
    "Document",
    "Genre",
    "House",
    "Item",
    "Movie",
    "Occupancy",
    "Picture",
    "PictureRef",
    "Position",
    "PriceList",
    "Review",
    "Schedule",
    "SeatLayout",
    "Showtime",
    "Theater",
    "Word",
    "add_auditorium",
    "add_price_list",
    "auditoriums_of",
    "cancel",
    "change_auditorium",
    "change_movie",
    "change_price_list",
    "change_theater",
    "claim_genres",
    "clash",
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
    "house_of",
    "ids_of",
    "judge_review",
    "layout_version",
    "layout_versions",
    "live_movie",
    "live_review",
    "mark_deleted",
    "mark_seats",
    "meant_by",
    "name_genre",
    "newest_layout",
    "note_booking",
    "occupancy_of",
    "page",
    "picture",
    "preview",
    "price_lists_of",
    "publish",
    "publish_layout",
    "publish_movie",
    "publish_version",
    "published",
    "remove_genre",
    "remove_price_list",
    "rename_showtimes",
    "report_review",
    "reschedule",
    "resume",
    "review_of",
    "schedule",
    "schedule_of",
    "set_picture",
    "store_picture",
    "theaters_near",
    "times",
    "write_review",
]
