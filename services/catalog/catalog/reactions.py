"""Events in: how full a showtime is, who has been there, and where one document of the catalog follows another."""

from chassis.messaging import current_envelope
from contracts.booking import BookingCancelled, BookingExchanged, BookingRefunded
from contracts.catalog import MovieChanged, MovieDeleted, ReviewChanged
from contracts.inventory import HoldChanged, SeatsBlocked, SeatsHeld, SeatsReleased, SeatsSold, SeatsUnblocked

from catalog import store
from catalog.model.occupancy import SeatEvent, claim_of


async def on_seats(event: SeatEvent) -> None:
    """Keep how full the showtime is. When it was said decides, not when it comes."""
    said_at = current_envelope().time
    await store.mark_seats(event.showtime_id, *claim_of(event, said_at), said_at)


async def on_seats_sold(event: SeatsSold) -> None:
    """Whoever has seats and an account may review the film when it is over."""
    if event.user_id:
        await store.note_booking(event.hold_id, event.user_id, event.showtime_id)
    await on_seats(event)


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
    **dict.fromkeys((SeatsHeld, HoldChanged, SeatsReleased, SeatsBlocked, SeatsUnblocked), on_seats),
    SeatsSold: on_seats_sold,
    **dict.fromkeys((BookingCancelled, BookingExchanged, BookingRefunded), on_booking_over),
    ReviewChanged: on_review_changed,
    MovieChanged: on_movie_changed,
    MovieDeleted: on_movie_deleted,
}
