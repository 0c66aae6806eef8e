"""Bookings in MongoDB. `advance_booking` is the only function that changes a booking's state."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from chassis.clock import now
from chassis.recent import Recent
from contracts.booking import Ticket
from contracts.errors import NotYet, RejectedEvent
from prometheus_client import Counter, Histogram
from pymongo import ASCENDING, DESCENDING

from booking import links, model
from booking.effects import TicketIssuer
from booking.model import BookingBusy, BookingUnknown, Checkout, State
from booking.saga import LIVE, Outcome, Trigger, advance, name_of
from booking.store.documents import Booking

TriggerFactory = Callable[[model.Booking], Awaitable[Trigger | None]]

log = structlog.get_logger()
ATTEMPTS = 20
MAX_COUNTED = 10_000
REFERENCE_LETTERS = "CDFGHJKMNPQRTVWXY34679"
"""No characters that are easily confused when spoken or handwritten, and no vowels, which could spell a word."""
BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 180, 600, 1800, 86_400)
_steps = Counter("usher_booking_steps_total", "Steps of the saga", ["event", "state"])
_in_state = Histogram("usher_booking_state_seconds", "How long bookings were in a state", ["state"], buckets=BUCKETS_S)
_to_confirmed = Histogram("usher_booking_confirmed_seconds", "Time from the checkout to the tickets", buckets=BUCKETS_S)

recent: Recent[model.Booking] = Recent()


async def find(booking_id: str) -> model.Booking | None:
    """The booking, or None."""
    document = await Booking.collection().find_one({"_id": booking_id}, {"outbox": 0})
    return to_model(document) if document else None


async def is_booked(hold_id: str) -> bool:
    """Whether the hold has been checked out."""
    return await Booking.collection().find_one({"_id": hold_id}, {"_id": 1}) is not None


def to_model(document: dict[str, Any]) -> model.Booking:
    """Convert a stored document to the model; costs half as much as a Beanie document."""
    return model.Booking.model_validate(document | {"id": document["_id"]})


def refuse_to_issue(booking: model.Booking) -> list[Ticket]:
    """The ticket issuer of callers that never confirm a booking; always raises."""
    raise RuntimeError(f"booking {booking.id}: this caller cannot issue tickets")


async def create_booking(checkout: Checkout) -> model.Booking:
    """Insert the booking of a checkout; returns the stored booking, which may be from an earlier checkout.

    The insert needs no read first: the booking has the hold's id, so a hold becomes one booking. Raises BookingBusy.
    """
    for _ in range(ATTEMPTS):
        outcome = advance(None, checkout, now(), refuse_to_issue)
        assert outcome is not None  # noqa: S101 - a checkout always creates a booking
        if await Booking.add(Booking(**vars(outcome.booking)), events=outcome.events):
            return _record(checkout, outcome, version=1)
        if booking := await find(checkout.hold.hold_id):
            return booking
        log.info("reference_taken", booking_id=checkout.hold.hold_id)
        checkout = replace(checkout, reference=new_reference())
    raise BookingBusy(retry_after=1)


async def advance_booking(
    booking_id: str, trigger: Trigger | TriggerFactory, issue: TicketIssuer = refuse_to_issue
) -> model.Booking:
    """Apply one transition of the saga; returns the booking after it, or unchanged if none applies.

    `trigger` is an event or command, or a function that chooses one for the current booking (None: do nothing). After a
    concurrent change of the booking, the transition is decided again. Raises the errors of `advance` and of the
    function, BookingBusy when every attempt loses a race, and BookingUnknown when the function has no booking.
    """
    for _ in range(ATTEMPTS):
        if isinstance(trigger, Trigger):
            event = trigger
            booking, outcome = await _decide(booking_id, event, issue)
        else:
            booking = await find(booking_id)
            if booking is None:
                raise BookingUnknown
            if (event := await trigger(booking)) is None:
                return booking
            outcome = advance(booking, event, now(), issue)
        if outcome is None:
            return booking
        if await _write(booking, outcome):
            return _record(event, outcome, version=booking.version + 1)
        recent.forget(booking_id)
    raise BookingBusy(retry_after=1)


async def _decide(booking_id: str, event: Trigger, issue: TicketIssuer) -> tuple[model.Booking, Outcome | None]:
    """Decide the transition, first on this replica's latest copy, then on the stored booking if none applies."""
    if booking := recent.get(booking_id):
        with suppress(NotYet, RejectedEvent):
            if outcome := advance(booking, event, now(), issue):
                return booking, outcome
    booking = await find(booking_id)
    outcome = advance(booking, event, now(), issue)
    assert booking is not None  # noqa: S101 - `advance` raises when there is no booking
    return booking, outcome


def _record(event: Trigger, outcome: Outcome, version: int) -> model.Booking:
    booking = outcome.booking.model_copy(update={"version": version})
    recent.keep(booking.id, booking)
    _steps.labels(name_of(event), booking.state).inc()
    if "history" in outcome.changed and len(booking.history) > 1:
        previous, entered = booking.history[-2:]
        _in_state.labels(previous.state).observe((entered.at - previous.at).total_seconds())
        if entered.state is State.CONFIRMED:
            _to_confirmed.observe((entered.at - booking.opened_at).total_seconds())
    log.info("booking_advanced", booking_id=booking.id, state=booking.state, by=name_of(event))
    return booking


async def _write(before: model.Booking, outcome: Outcome) -> bool:
    """Write a transition if the booking still has the version that it was decided on."""
    return await Booking.write(
        {"_id": before.id, "version": before.version},
        {"$set": outcome.booking.model_dump(include=set(outcome.changed))},
        events=[links.with_link(event, outcome.booking) for event in outcome.events],
    )


UNSETTLED = (State.AWAITING_PAYMENT, State.CLOSING, State.CONFIRMING)
"""States in which an erasure must wait: the tickets of a booking that is being paid still need a recipient."""


def _owned_by(user_id: str) -> dict[str, Any]:
    return {"holder.user_id": {"$eq": user_id, "$type": "string"}}  # the $type: see `page`


async def owned_by(user_id: str) -> AsyncIterator[model.Booking]:
    """Yield a person's bookings, oldest first."""
    where = _owned_by(user_id)
    async for document in Booking.collection().find(where, {"outbox": 0}, sort=[("_id", ASCENDING)]):
        yield to_model(document)


async def erase_owner(user_id: str) -> None:
    """Remove a person's data from their bookings, except the UNSETTLED ones.

    Tickets contain no name and stay valid. The new version makes concurrent changes decide again.
    """
    anonymous = {
        "holder": {"user_id": {"$concat": ["erased-", "$_id"]}},
        "email": None,
        "name": None,
        "locale": "en",
        "version": {"$add": ["$version", 1]},
    }
    where = _owned_by(user_id) | {"state": {"$nin": list(UNSETTLED)}}
    await Booking.collection().update_many(where, [{"$set": anonymous}])


async def affected_by_showtime(showtime_id: str) -> AsyncIterator[str]:
    """Yield the ids of the bookings that a change of the showtime affects.

    These are the live bookings, and the expired ones because their payment may still arrive.
    """
    may_be_paid_late = {"state": State.EXPIRED, "amount": {"$ne": None}}  # null: a hold from before 2026-12
    where = {"showtime_id": showtime_id, "$or": [{"state": {"$in": list(LIVE)}}, may_be_paid_late]}
    async for document in Booking.collection().find(where, {"_id": 1}):
        yield document["_id"]


async def due_bookings(moment: datetime, limit: int) -> AsyncIterator[tuple[str, str]]:
    """Yield the ids and states of bookings whose `due_at` has passed, the longest overdue first."""
    where = {"due_at": {"$lte": moment, "$type": "date"}}  # $type: MongoDB needs the partial index's condition
    async for document in Booking.collection().find(where, {"state": 1}, sort=[("due_at", ASCENDING)], limit=limit):
        yield document["_id"], document["state"]


async def open_sagas() -> AsyncIterator[tuple[State, int, datetime]]:
    """Yield each open state with its number of bookings and the time at which the oldest entered it.

    Counts at most MAX_COUNTED bookings, those that are due first.
    """
    groups = [
        {"$match": {"due_at": {"$type": "date"}}},
        {"$sort": {"due_at": 1}},
        {"$limit": MAX_COUNTED},
        {"$project": {"state": 1, "since": {"$last": "$history.at"}}},
        {"$group": {"_id": "$state", "count": {"$sum": 1}, "since": {"$min": "$since"}}},
    ]
    async for group in await Booking.collection().aggregate(groups, hint="due"):
        yield State(group["_id"]), group["count"], group["since"]


async def page(wanted: dict[str, str], before: str | None, limit: int) -> list[model.Booking]:
    """Return at most `limit` bookings with the wanted field values and ids below `before`, newest first.

    Excludes holds from before 2026-12 that ended without a checkout.
    """
    # MongoDB uses the partial indexes only with the $type.
    equal = {name: {"$eq": value, "$type": "string"} for name, value in wanted.items()}
    where = {"reference": {"$ne": None}} | equal | ({"_id": {"$lt": before}} if before else {})
    cursor = Booking.collection().find(where, {"outbox": 0}, sort=[("_id", DESCENDING)], limit=limit)
    return [to_model(document) async for document in cursor]


def new_reference() -> str:
    """Generate eight letters and digits that are easy to read aloud; 5e10 values are possible."""
    return "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(8))
