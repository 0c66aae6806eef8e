"""Bookings, lookups, showtimes and ticket keys in MongoDB, and the one way in which a booking changes."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import structlog
from beanie import Document
from beanie.odm.utils.dump import get_dict
from chassis.clock import now
from chassis.ids import is_older
from chassis.outbox import Aggregate
from chassis.recent import Recent
from chassis.secrets import hash_secret
from contracts.booking import BookingLinkRequested, Screening, Ticket
from contracts.catalog import Price, ShowtimeRescheduled, ShowtimeScheduled
from contracts.errors import NotYet, RejectedEvent
from contracts.inventory import SeatsHeld
from contracts.types import Moment
from prometheus_client import Counter, Histogram
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from booking import links, model
from booking.effects import Issue
from booking.model import BookingBusy, BookingUnknown, Offer, State
from booking.saga import LIVE, Outcome, Trigger, advance, name_of

Choose = Callable[[model.Booking], Awaitable[Trigger | None]]

log = structlog.get_logger()
ATTEMPTS = 20
OPEN_COUNTED = 10_000
ON_ITS_WAY = timedelta(seconds=0.2)
"""How long `inventory.seats_held` may take on a busy day."""
REFERENCE_LETTERS = "CDFGHJKMNPQRTVWXY34679"
"""None that is taken for another one when read aloud or by hand, and no vowels that spell a word."""
MINUTES_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 180, 600, 1800, 86_400)
_steps = Counter("usher_booking_steps_total", "Steps of the saga", ["event", "state"])
_in_state = Histogram("usher_booking_state_seconds", "How long bookings were in a state", ["state"], buckets=MINUTES_S)
_to_confirmed = Histogram("usher_booking_confirmed_seconds", "From the hold to the tickets", buckets=MINUTES_S)


class Booking(Aggregate, model.Booking):
    """A booking as it is stored. Its rules are in `model` and `saga`."""

    class Settings:
        name = "bookings"
        indexes = [
            IndexModel([("due_at", ASCENDING)], name="due", partialFilterExpression={"due_at": {"$type": "date"}}),
            IndexModel(
                [("reference", ASCENDING)],
                name="reference",
                unique=True,
                partialFilterExpression={"reference": {"$type": "string"}},
            ),
            IndexModel([("showtime_id", ASCENDING), ("_id", DESCENDING)], name="showtime"),
            IndexModel(
                [("holder.user_id", ASCENDING), ("_id", DESCENDING)],
                name="owner",
                partialFilterExpression={"holder.user_id": {"$type": "string"}},
            ),
            IndexModel(
                [("email", ASCENDING), ("_id", DESCENDING)],
                name="email",
                partialFilterExpression={"email": {"$type": "string"}},
            ),
        ]


class Showtime(Document):
    """What booking knows of a showtime from catalog's events. `timed_at`: when its times were last set."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - catalog's id, not an ObjectId
    screening: Screening
    currency: str
    prices: list[Price]
    sales_open_at: Moment
    sales_close_at: Moment
    timed_at: datetime
    is_cancelled: bool = False

    class Settings:
        name = "showtimes"

    @property
    def offer(self) -> Offer:
        """The showtime as the rules see it."""
        return Offer(self.screening, self.currency, self.prices, self.is_cancelled)

    @property
    def times(self) -> ShowtimeRescheduled:
        """Its present times as the event that a booking learns them by."""
        return ShowtimeRescheduled(
            showtime_id=self.id,
            starts_at=self.screening.starts_at,
            ends_at=self.screening.ends_at,
            sales_open_at=self.sales_open_at,
            sales_close_at=self.sales_close_at,
        )


class TicketKey(Document):
    """A key that tickets are or were signed with. `pem` only for booking's own, whose id is `own`."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - `own` or the key's thumbprint
    jwk: dict[str, str]
    pem: str | None = None

    class Settings:
        name = "ticket_keys"


class Lookup(Aggregate):
    """That a link to a booking was asked for, whether there is one or not. The id is a hash of what was given."""

    asked_at: datetime

    class Settings:
        name = "lookups"
        indexes = [IndexModel("asked_at", expireAfterSeconds=24 * 3600)]


DOCUMENTS = [Booking, Showtime, TicketKey, Lookup]


# ---- bookings

recent: Recent[model.Booking] = Recent()


async def find(booking_id: str) -> model.Booking | None:
    """The booking, or None."""
    document = await Booking.collection().find_one({"_id": booking_id}, {"outbox": 0})
    return _plain(document) if document else None


def _plain(document: dict[str, Any]) -> model.Booking:
    """A stored booking as the rules know it: half the cost of a Beanie document."""
    return model.Booking.model_validate(document | {"id": document["_id"]})


def no_tickets(booking: model.Booking) -> list[Ticket]:
    """For callers that never confirm a booking."""
    raise RuntimeError(f"booking {booking.id} was to be confirmed by somebody who cannot sign tickets")


async def find_held(booking_id: str) -> model.Booking | None:
    """The booking for its checkout, whose write is guarded: as this replica opened it, else as it is stored.

    Of a hold that was made a moment ago this replica nearly always hears before another one could have stored it.
    """
    if recent.get(booking_id) is None and not is_older(booking_id, now() - ON_ITS_WAY):
        await recent.kept(booking_id, ON_ITS_WAY.total_seconds())
    opened = recent.get(booking_id)
    return opened if opened and opened.state is State.HELD else await find(booking_id)


async def open_booking(event: SeatsHeld) -> None:
    """Begin the booking of a hold. Nothing happens when it is there already, in whatever state."""
    outcome = advance(None, event, now(), no_tickets)
    assert outcome is not None  # noqa: S101 - the saga's way in
    if await Booking.add(Booking(**dict(outcome.booking)), events=outcome.events):
        _took(event, outcome, version=1)


async def drive(
    booking_id: str, trigger: Trigger | Choose, issue: Issue = no_tickets, known: model.Booking | None = None
) -> model.Booking:
    """Take one step of the saga; returns the booking after it, or as it is when nothing changes.

    `trigger` is what happened, or chooses a command by the present booking (None: do nothing). When somebody else
    changed the booking meanwhile, everything is decided again. Raises what `advance` and the choice raise, BookingBusy
    when every attempt loses its race, BookingUnknown when there is no booking to choose by. `known` spares the first
    read: the booking as it was read a moment ago.
    """
    for _ in range(ATTEMPTS):
        if isinstance(trigger, Trigger):
            event = trigger
            booking, outcome = await _decide(booking_id, event, issue)
        else:
            booking, known = known or await find(booking_id), None
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
    """Write a step if the booking is still the one that it was decided on and its new reference is nobody else's."""
    try:
        return await Booking.write(
            {"_id": before.id, "version": before.version},
            {"$set": outcome.booking.model_dump(include=set(outcome.changed))},
            events=[links.enclosed(event, outcome.booking) for event in outcome.events],
        )
    except DuplicateKeyError:
        log.info("reference_taken", booking_id=before.id)
        return False


UNPAID = (State.HELD, State.AWAITING_PAYMENT)
UNSETTLED = (*UNPAID, State.CLOSING, State.CONFIRMING)
"""What is held is to be given up by its owner first; the tickets of what is being paid have to reach somebody."""


def _owned_by(user_id: str) -> dict[str, Any]:
    return {"holder.user_id": {"$eq": user_id, "$type": "string"}}  # the type: see `page`


async def owned_by(user_id: str) -> AsyncIterator[model.Booking]:
    """A person's bookings, the oldest first."""
    where = _owned_by(user_id)
    async for document in Booking.collection().find(where, {"outbox": 0}, sort=[("_id", ASCENDING)]):
        yield _plain(document)


async def forget_owner(user_id: str) -> None:
    """Take out of a person's bookings who they were, except of the UNSETTLED ones.

    The tickets stay valid: nothing in them names their holder. What somebody else is just changing is decided again.
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
    """The ids of the showtime's bookings that a change of it concerns: all that have not ended, and those that were to
    be paid but expired, since their money may still come.
    """
    may_be_paid_late = {"state": State.EXPIRED, "amount": {"$ne": None}}
    where = {"showtime_id": showtime_id, "$or": [{"state": {"$in": list(LIVE)}}, may_be_paid_late]}
    async for document in Booking.collection().find(where, {"_id": 1}):
        yield document["_id"]


async def due(moment: datetime, limit: int) -> AsyncIterator[tuple[str, State]]:
    """The ids and states of bookings whose timer has run out, those that wait longest first."""
    where = {"due_at": {"$lte": moment, "$type": "date"}}  # said again, or MongoDB does not use the partial index
    async for document in Booking.collection().find(where, {"state": 1}, sort=[("due_at", ASCENDING)], limit=limit):
        yield document["_id"], State(document["state"])


async def open_sagas() -> AsyncIterator[tuple[State, int, datetime]]:
    """Of each state that something is outstanding in: how many bookings are in it, and since when the first of them.

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

    Holds that ended without a checkout were nobody's booking and are left out.
    """
    # Without the type, MongoDB does not use the partial indexes.
    where = {name: {"$eq": value, "$type": "string"} for name, value in wanted.items()}
    booked = {"$or": [{"reference": {"$ne": None}}, {"state": State.HELD}]}
    position = {"_id": {"$lt": before}} if before else {}
    cursor = Booking.collection().find(
        where | booked | position, {"outbox": 0}, sort=[("_id", DESCENDING)], limit=limit
    )
    return [_plain(document) async for document in cursor]


def new_reference() -> str:
    """Eight letters and digits that a person can read to somebody else; 5e10 of them."""
    return "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(8))


# ---- lookups


LOOKUP_PAUSE = timedelta(minutes=10)


async def find_lost(reference: str, email: str) -> model.Booking | None:
    """The booking with this reference that was ordered for this address, unless it is not paid yet."""
    where = {"reference": {"$eq": reference, "$type": "string"}, "email": email, "state": {"$nin": list(UNPAID)}}
    document = await Booking.collection().find_one(where, {"outbox": 0})
    return _plain(document) if document else None


async def record_lookup(reference: str, email: str, events: Sequence[BookingLinkRequested], moment: datetime) -> None:
    """Say the events, unless the same was asked for less than LOOKUP_PAUSE ago."""
    # A day in the collection is long enough for RabbitMQ to come back and take what is in the outbox.
    where = {"_id": hash_secret(f"{reference} {email}"), "asked_at": {"$lte": moment - LOOKUP_PAUSE}}
    await Lookup.commit(where, {"$set": {"asked_at": moment}}, events=events, upsert=True)


# ---- showtimes


async def find_showtime(showtime_id: str) -> Showtime | None:
    """The showtime, or None. Read anew each time: a booking that opens late learns here where its showtime moved."""
    document = await Showtime.get_pymongo_collection().find_one({"_id": showtime_id})
    return Showtime.model_validate(document) if document else None


async def add_showtime(event: ShowtimeScheduled, told_at: datetime) -> None:
    """Keep a showtime; the first word about it counts."""
    showtime = Showtime(
        id=event.showtime_id,
        screening=Screening.model_validate(dict(event)),
        currency=event.currency,
        prices=event.prices,
        sales_open_at=event.sales_open_at,
        sales_close_at=event.sales_close_at,
        timed_at=told_at,
    )
    document = get_dict(showtime, to_db=True)
    await Showtime.get_pymongo_collection().update_one({"_id": showtime.id}, {"$setOnInsert": document}, upsert=True)


async def move_showtime(event: ShowtimeRescheduled, told_at: datetime) -> None:
    """Set the times unless a later word has set them already. Raises NotYet for an unknown showtime."""
    moved = await Showtime.get_pymongo_collection().update_one(
        {"_id": event.showtime_id, "timed_at": {"$lte": told_at}},
        {
            "$set": {
                "screening.starts_at": event.starts_at,
                "screening.ends_at": event.ends_at,
                "sales_open_at": event.sales_open_at,
                "sales_close_at": event.sales_close_at,
                "timed_at": told_at,
            }
        },
    )
    if not moved.matched_count and not await find_showtime(event.showtime_id):
        raise NotYet(f"showtime {event.showtime_id} is not known")


async def cancel_showtime(showtime_id: str) -> None:
    """Mark a showtime as cancelled. Raises NotYet for an unknown one."""
    marked = await Showtime.get_pymongo_collection().update_one({"_id": showtime_id}, {"$set": {"is_cancelled": True}})
    if not marked.matched_count:
        raise NotYet(f"showtime {showtime_id} is not known")


# ---- ticket keys


async def keep_key(key: TicketKey) -> TicketKey:
    """Store the key unless one with its id is there; returns the one that is there then, the same for every replica."""
    keys = TicketKey.get_pymongo_collection()
    try:
        await keys.insert_one(get_dict(key, to_db=True))
    except DuplicateKeyError:
        log.info("ticket_key_known", key_id=key.id)
    return TicketKey.model_validate(await keys.find_one({"_id": key.id}))
