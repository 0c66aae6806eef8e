"""Bookings in MongoDB, and the one way in which a booking changes."""

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
from booking.effects import Issue
from booking.model import BookingBusy, BookingUnknown, Checkout, State
from booking.saga import LIVE, Outcome, Trigger, advance, name_of
from booking.store.documents import Booking

Choose = Callable[[model.Booking], Awaitable[Trigger | None]]

log = structlog.get_logger()
ATTEMPTS = 20
OPEN_COUNTED = 10_000
REFERENCE_LETTERS = "CDFGHJKMNPQRTVWXY34679"
"""No characters that are easily confused when spoken or handwritten, and no vowels that could spell a word."""
MINUTES_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 180, 600, 1800, 86_400)
_steps = Counter("usher_booking_steps_total", "Steps of the saga", ["event", "state"])
_in_state = Histogram("usher_booking_state_seconds", "How long bookings were in a state", ["state"], buckets=MINUTES_S)
_to_confirmed = Histogram("usher_booking_confirmed_seconds", "From the checkout to the tickets", buckets=MINUTES_S)

recent: Recent[model.Booking] = Recent()


async def find(booking_id: str) -> model.Booking | None:
    """The booking, or None."""
    document = await Booking.collection().find_one({"_id": booking_id}, {"outbox": 0})
    return plain(document) if document else None


async def is_booked(hold_id: str) -> bool:
    """Whether the hold was checked out."""
    return await Booking.collection().find_one({"_id": hold_id}, {"_id": 1}) is not None


def plain(document: dict[str, Any]) -> model.Booking:
    """A stored booking as the rules know it: half the cost of a Beanie document."""
    return model.Booking.model_validate(document | {"id": document["_id"]})


def no_tickets(booking: model.Booking) -> list[Ticket]:
    """For callers that never confirm a booking."""
    raise RuntimeError(f"booking {booking.id} was to be confirmed by somebody who cannot sign tickets")


async def open_booking(checkout: Checkout) -> model.Booking:
    """Insert the booking of a checkout; returns the stored one, perhaps from an earlier checkout.

    Nothing is read before the insert: the id makes one booking of one hold. Raises BookingBusy.
    """
    for _ in range(ATTEMPTS):
        outcome = advance(None, checkout, now(), no_tickets)
        assert outcome is not None  # noqa: S101 - the saga's way in
        if await Booking.add(Booking(**vars(outcome.booking)), events=outcome.events):
            return _took(checkout, outcome, version=1)
        if booking := await find(checkout.hold.hold_id):
            return booking
        log.info("reference_taken", booking_id=checkout.hold.hold_id)
        checkout = replace(checkout, reference=new_reference())
    raise BookingBusy(retry_after=1)


async def drive(booking_id: str, trigger: Trigger | Choose, issue: Issue = no_tickets) -> model.Booking:
    """Take one step of the saga; returns the booking after it, or as it is when nothing changes.

    `trigger` is what happened, or chooses a command by the present booking (None: do nothing). After a concurrent
    change of the booking, everything is decided again. Raises what `advance` and the choice raise, BookingBusy
    when every attempt loses its race, BookingUnknown when there is no booking to choose by.
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
        if await _change(booking, outcome):
            return _took(event, outcome, version=booking.version + 1)
        recent.forget(booking_id)
    raise BookingBusy(retry_after=1)


async def _decide(booking_id: str, event: Trigger, issue: Issue) -> tuple[model.Booking, Outcome | None]:
    """The step from the booking as this replica wrote it last, or if there is none, from the stored one."""
    if booking := recent.get(booking_id):
        with suppress(NotYet, RejectedEvent):
            if outcome := advance(booking, event, now(), issue):
                return booking, outcome
    booking = await find(booking_id)
    outcome = advance(booking, event, now(), issue)
    assert booking is not None  # noqa: S101 - `advance` raises for a booking that is not there
    return booking, outcome


def _took(event: Trigger, outcome: Outcome, version: int) -> model.Booking:
    booking = outcome.booking.model_copy(update={"version": version})
    recent.keep(booking.id, booking)
    _steps.labels(name_of(event), booking.state).inc()
    if "history" in outcome.changed and len(booking.history) > 1:
        left, entered = booking.history[-2:]
        _in_state.labels(left.state).observe((entered.at - left.at).total_seconds())
        if entered.state is State.CONFIRMED:
            _to_confirmed.observe((entered.at - booking.opened_at).total_seconds())
    log.info("booking_advanced", booking_id=booking.id, state=booking.state, by=name_of(event))
    return booking


async def _change(before: model.Booking, outcome: Outcome) -> bool:
    """Write a step if the booking is still the one that it was decided on."""
    return await Booking.write(
        {"_id": before.id, "version": before.version},
        {"$set": outcome.booking.model_dump(include=set(outcome.changed))},
        events=[links.enclosed(event, outcome.booking) for event in outcome.events],
    )


UNSETTLED = (State.AWAITING_PAYMENT, State.CLOSING, State.CONFIRMING)
"""The tickets of what is being paid have to reach somebody."""


def _owned_by(user_id: str) -> dict[str, Any]:
    return {"holder.user_id": {"$eq": user_id, "$type": "string"}}  # the type: see `page`


async def owned_by(user_id: str) -> AsyncIterator[model.Booking]:
    """A person's bookings, the oldest first."""
    where = _owned_by(user_id)
    async for document in Booking.collection().find(where, {"outbox": 0}, sort=[("_id", ASCENDING)]):
        yield plain(document)


async def forget_owner(user_id: str) -> None:
    """Remove a person's data from their bookings, except the UNSETTLED ones.

    The tickets stay valid: nothing in them names their holder. A concurrent change is decided again.
    """
    nobody = {
        "holder": {"user_id": {"$concat": ["erased-", "$_id"]}},
        "email": None,
        "name": None,
        "locale": "en",
        "version": {"$add": ["$version", 1]},
    }
    where = _owned_by(user_id) | {"state": {"$nin": list(UNSETTLED)}}
    await Booking.collection().update_many(where, [{"$set": nobody}])


async def touched_by_showtime(showtime_id: str) -> AsyncIterator[str]:
    """The ids of the showtime's bookings that a change of it concerns: all that have not ended, and the expired ones,
    since their money may still come.
    """
    may_be_paid_late = {"state": State.EXPIRED, "amount": {"$ne": None}}  # null: a hold from before 2026-12
    where = {"showtime_id": showtime_id, "$or": [{"state": {"$in": list(LIVE)}}, may_be_paid_late]}
    async for document in Booking.collection().find(where, {"_id": 1}):
        yield document["_id"]


async def due(moment: datetime, limit: int) -> AsyncIterator[tuple[str, str]]:
    """The ids and states of bookings whose timer has run out, the longest overdue first."""
    where = {"due_at": {"$lte": moment, "$type": "date"}}  # repeats the index's condition, or MongoDB does not use it
    async for document in Booking.collection().find(where, {"state": 1}, sort=[("due_at", ASCENDING)], limit=limit):
        yield document["_id"], document["state"]


async def open_sagas() -> AsyncIterator[tuple[State, int, datetime]]:
    """Each open state with the number of its bookings and the time since when the oldest has been in it.

    Looks at the OPEN_COUNTED bookings whose timers run out first.
    """
    groups = [
        {"$match": {"due_at": {"$type": "date"}}},
        {"$sort": {"due_at": 1}},
        {"$limit": OPEN_COUNTED},
        {"$project": {"state": 1, "since": {"$last": "$history.at"}}},
        {"$group": {"_id": "$state", "count": {"$sum": 1}, "since": {"$min": "$since"}}},
    ]
    async for group in await Booking.collection().aggregate(groups, hint="due"):
        yield State(group["_id"]), group["count"], group["since"]


async def page(wanted: dict[str, str], before: str | None, limit: int) -> list[model.Booking]:
    """Bookings with the wanted fields, the newest first, beginning below the id `before`; at most `limit`.

    Holds from before 2026-12 that ended without a checkout were nobody's booking and are left out.
    """
    # Without the type, MongoDB does not use the partial indexes.
    fits = {name: {"$eq": value, "$type": "string"} for name, value in wanted.items()}
    where = {"reference": {"$ne": None}} | fits | ({"_id": {"$lt": before}} if before else {})
    cursor = Booking.collection().find(where, {"outbox": 0}, sort=[("_id", DESCENDING)], limit=limit)
    return [plain(document) async for document in cursor]


def new_reference() -> str:
    """Eight letters and digits that are easy to read out; there are 5e10 of them."""
    return "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(8))
