"""Consumed events: availability, attendance, and catalog's own changes that affect other documents."""

from contracts.booking import BookingCancelled, BookingExchanged, BookingRefunded
from contracts.catalog import MovieChanged, MovieDeleted, ReviewChanged
from contracts.inventory import SeatMapUpdated, SeatsSold

from catalog import store


async def on_seat_map_updated(event: SeatMapUpdated) -> None:
    """Store the showtime's occupancy. The version decides, not the order of events."""
    sold = len(event.sold)
    taken = len(event.held) + sold + len(event.blocked)
    await store.save_occupancy(event.showtime_id, event.version, taken=taken, sold=sold)


async def on_seats_sold(event: SeatsSold) -> None:
    """Record the attendance of a person with an account, who may review the film afterwards."""
    if event.user_id:
        await store.note_booking(event.hold_id, event.user_id, event.showtime_id)


async def on_booking_over(event: BookingCancelled | BookingExchanged | BookingRefunded) -> None:
    """Mark the attendance of a booking that ended as over."""
    await store.end_booking(event.booking_id)


async def on_review_changed(event: ReviewChanged) -> None:
    """Update the film's rating after a change of a review."""
    await store.count_review(event.review_id)


async def on_movie_changed(event: MovieChanged) -> None:
    """Update the film's title and certificate in its future showtimes."""
    await store.rename_showtimes(event.movie_id)


async def on_movie_deleted(event: MovieDeleted) -> None:
    """Cancel the future showtimes of a deleted film; none had sold seats at the deletion."""
    await store.cancel_ahead(event.movie_id)


HANDLERS = {
    SeatMapUpdated: on_seat_map_updated,
    SeatsSold: on_seats_sold,
    **dict.fromkeys((BookingCancelled, BookingExchanged, BookingRefunded), on_booking_over),
    ReviewChanged: on_review_changed,
    MovieChanged: on_movie_changed,
    MovieDeleted: on_movie_deleted,
}
