"""Events in: how full a showtime is, who has been there, and where one document of the catalog follows another."""

from contracts.booking import BookingCancelled, BookingExchanged, BookingRefunded
from contracts.catalog import MovieChanged, MovieDeleted, ReviewChanged
from contracts.inventory import SeatMapUpdated, SeatsSold

from catalog import store


async def on_seat_map_updated(event: SeatMapUpdated) -> None:
    """Store how full the showtime is. The version decides, not the order in which events come."""
    sold = len(event.sold)
    taken = len(event.held) + sold + len(event.blocked)
    await store.save_occupancy(event.showtime_id, event.version, taken=taken, sold=sold)


async def on_seats_sold(event: SeatsSold) -> None:
    """Let a person with an account review the film when it is over."""
    if event.user_id:
        await store.note_booking(event.hold_id, event.user_id, event.showtime_id)


async def on_booking_over(event: BookingCancelled | BookingExchanged | BookingRefunded) -> None:
    """The booking stands no more."""
    await store.end_booking(event.booking_id)


async def on_review_changed(event: ReviewChanged) -> None:
    """The film's rating follows its reviews."""
    await store.count_review(event.review_id)


async def on_movie_changed(event: MovieChanged) -> None:
    """Showtimes ahead print the film as it is now."""
    await store.rename_showtimes(event.movie_id)


async def on_movie_deleted(event: MovieDeleted) -> None:
    """A film that is gone is not shown any more; no seats were sold when it was deleted."""
    await store.cancel_ahead(event.movie_id)


REACTIONS = {
    SeatMapUpdated: on_seat_map_updated,
    SeatsSold: on_seats_sold,
    **dict.fromkeys((BookingCancelled, BookingExchanged, BookingRefunded), on_booking_over),
    ReviewChanged: on_review_changed,
    MovieChanged: on_movie_changed,
    MovieDeleted: on_movie_deleted,
}
