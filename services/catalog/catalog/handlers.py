"""Consumed events: availability, attendance, personal data, and catalog's own changes that affect other documents."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from functools import partial
from typing import Any

from chassis.messaging.consumer import Handlers
from chassis.privacy import Privacy
from contracts.booking import BookingAdopted, BookingCancelled, BookingExchanged, BookingRefunded, HouseChangeApproved
from contracts.catalog import CatalogDataExported, MovieChanged, MovieDeleted, ReviewChanged
from contracts.inventory import SeatMapUpdated, SeatsSold

from catalog import store
from catalog.model.problems import CatalogProblem


async def on_seat_map_updated(event: SeatMapUpdated) -> None:
    """Store the showtime's occupancy. The version decides, not the order of events."""
    sold = len(event.sold)
    taken = len(event.held) + sold + len(event.blocked)
    await store.save_occupancy(event.showtime_id, event.version, taken=taken, sold=sold)


async def on_seats_sold(event: SeatsSold, films: MutableMapping[str, str]) -> None:
    """Record the attendance of a person with an account, who may review the film afterwards."""
    if event.user_id:
        await store.record_attendance(event.hold_id, event.user_id, event.showtime_id, films)


async def on_booking_adopted(event: BookingAdopted, films: MutableMapping[str, str]) -> None:
    """Record the attendance of a person who bought the tickets as a guest and signed in later."""
    if event.has_tickets:
        await store.record_attendance(event.booking_id, event.user_id, event.showtime_id, films)


async def on_booking_over(event: BookingCancelled | BookingExchanged | BookingRefunded) -> None:
    """Mark the attendance of a booking that ended as over."""
    await store.end_attendance(event.booking_id)


async def on_house_change_approved(event: HouseChangeApproved) -> None:
    """Cancel or move the showtime, or publish why that is impossible. A repeat changes nothing."""
    try:
        await store.make_change(event)
    except CatalogProblem as problem:
        await store.refuse_change(event.showtime_id, event.change_id, problem)


async def on_review_changed(event: ReviewChanged, turns: MutableMapping[str, asyncio.Lock]) -> None:
    """Update the film's rating after a change of a review."""
    await store.count_review(event.review_id, turns)


async def on_movie_changed(event: MovieChanged) -> None:
    """Update the film's title and certificate in its future showtimes."""
    await store.update_future_showtimes(event.movie_id)


async def on_movie_deleted(event: MovieDeleted) -> None:
    """Cancel the future showtimes of a deleted film; none had sold seats at the deletion."""
    await store.cancel_future_showtimes(event.movie_id)


def handlers(films: MutableMapping[str, str], turns: MutableMapping[str, asyncio.Lock]) -> Handlers:
    """The handlers of this process.

    `films` caches the film of a showtime; `turns` has the lock of each film whose rating is being updated.
    """
    return {
        SeatMapUpdated: on_seat_map_updated,
        SeatsSold: partial(on_seats_sold, films=films),
        BookingAdopted: partial(on_booking_adopted, films=films),
        **dict.fromkeys((BookingCancelled, BookingExchanged, BookingRefunded), on_booking_over),
        HouseChangeApproved: on_house_change_approved,
        ReviewChanged: partial(on_review_changed, turns=turns),
        MovieChanged: on_movie_changed,
        MovieDeleted: on_movie_deleted,
    }


async def erase(user_id: str) -> None:
    """Erase the person's reviews, attendance and complaints."""
    await store.erase_reviews(user_id)
    await store.erase_attendances(user_id)


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """The person's reviews, complaints about others' and showtimes."""
    async for review in store.reviews_of(user_id):
        yield {"kind": "review"} | review
    async for complaint in store.complaints_of(user_id):
        yield {"kind": "complaint"} | complaint
    async for visit in store.attendances_of(user_id):
        yield {"kind": "attendance"} | visit


PRIVACY = Privacy(erase=erase, gather=gather, exported=CatalogDataExported)
