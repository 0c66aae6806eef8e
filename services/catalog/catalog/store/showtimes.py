"""Showtimes: their documents and the writes that change them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from chassis.clock import now
from chassis.mongo.collection import Collection, Row
from chassis.mongo.outbox import Aggregate
from contracts.booking import HouseChangeApproved
from contracts.catalog import (
    CancelReason,
    OrphanRule,
    Price,
    RefundPolicy,
    Seller,
    ShowtimeCancelled,
    ShowtimeChangeRefused,
    ShowtimeRescheduled,
    ShowtimeScheduled,
)
from contracts.types import Amount, Currency, Moment
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pymongo.errors import DuplicateKeyError

from catalog.model.browse import Daypart, daypart_of
from catalog.model.days import Occurrence, business_day, occurrence_of
from catalog.model.prices import Tariff, check_chargeable, price_from, valid_on
from catalog.model.problems import CatalogProblem, ChangedMeanwhile, NotFound, ShowtimeOver, ShowtimesClash
from catalog.model.schedule import SALES_OPEN_BEFORE, Terms, check_sales, length_of, slots_of
from catalog.store.movies import Movie, movies
from catalog.store.reading import index, page
from catalog.store.theaters import Auditorium, Theater, theater_of

State = Literal["draft", "scheduled", "cancelled"]
MAX_CHANGE_IDS = 100
ATTEMPTS = 5
SCHEDULED = {"state": "scheduled"}
"""The filter for showtimes that visitors may see; the indexes begin with it."""
_FILTERS = ("starts_at", "daypart", "format", "language")
"""Covers the query for films with showtimes."""
_OF_MOVIE = (
    *("state", "movie_id", "theater_id", "starts_at", "_id"),
    *("local_date", "daypart", "format", "language", "city"),
)


class Showtime(Aggregate):
    """A film in an auditorium at a time, with the data for lists and for sales. `local_date` is the business day.

    `slots` are the auditorium's five-minute slots from its start to the end of the cleaning (`model.schedule`). The
    unique index on them prevents overlaps; only a cancelled showtime has none. A draft belongs
    to a schedule that is being published. `change_ids` are the latest approved changes that were made or refused.
    """

    state: State = "scheduled"
    schedule_id: str | None = None
    movie_id: str
    movie_title: str
    certificate: str
    theater_id: str
    theater_name: str
    address: str | None = None
    city: str
    auditorium_id: str
    auditorium_name: str
    layout_id: str
    capacity: int
    time_zone: str
    local_date: str
    occurrence: Occurrence | None = None
    daypart: Daypart
    starts_at: Moment
    ends_at: Moment
    free_at: Moment
    slots: list[int] | None = None
    sales_open_at: Moment
    sales_close_at: Moment
    format: str
    language: str
    subtitles: str | None = None
    orphan_rule: OrphanRule = "off"
    currency: Currency
    prices: list[Price]
    refund_policy: RefundPolicy = RefundPolicy()
    price_from: Amount
    seller: Seller | None = None
    cancelled_because: CancelReason | None = None
    change_ids: list[str] = []

    class Settings:
        name = "showtimes"
        indexes = [
            index("state", "starts_at", "_id"),
            index("state", "movie_id", "starts_at", "_id"),
            index("state", "theater_id", "starts_at", "_id"),
            index(*_OF_MOVIE, name="of_movie"),
            index("state", "city", "movie_id", "starts_at", name="of_city"),
            index("state", "city", "local_date", *_FILTERS, "movie_id", name="on_in_city"),
            index("state", "theater_id", "local_date", *_FILTERS, "city", "movie_id", name="on_at_theater"),
            index("state", "local_date", *_FILTERS, "movie_id", name="on_by_day"),
            index("auditorium_id", "starts_at"),
            index("schedule_id", "state", partialFilterExpression={"state": "draft"}),
            index("auditorium_id", "slots", unique=True, partialFilterExpression={"slots": {"$type": "int"}}),
        ]

    @classmethod
    def of(
        cls,
        showtime_id: str,
        *,
        movie: Movie,
        theater: Theater,
        auditorium: Auditorium,
        tariffs: Sequence[Tariff],
        starts_at: datetime,
        terms: Terms,
    ) -> "Showtime":
        """A showtime at the theater's prices.

        Raises RuntimeUnknown, PriceMissing, PriceNotChargeable and SalesTimesInvalid.
        """
        local = starts_at.astimezone(ZoneInfo(theater.time_zone))
        tariff = valid_on(business_day(local, theater.day_starts), tariffs)
        prices = tariff.table(auditorium.categories, terms.format, local, theater.day_starts)
        check_chargeable((price.amount for price in prices), theater.currency)
        ends_at = starts_at + timedelta(minutes=terms.adverts_minutes) + length_of(movie)
        cleaning = auditorium.cleaning_minutes if terms.cleaning_minutes is None else terms.cleaning_minutes
        sales_open_at = terms.sales_open_at or starts_at - SALES_OPEN_BEFORE
        sales_close_at = starts_at + timedelta(minutes=terms.sales_close_minutes)
        check_sales(sales_open_at, sales_close_at, ends_at)
        return cls(
            id=showtime_id,
            movie_id=movie.id,
            movie_title=movie.title,
            certificate=movie.certificate,
            theater_id=theater.id,
            theater_name=theater.name,
            address=theater.address.one_line,
            city=theater.address.city,
            auditorium_id=auditorium.id,
            auditorium_name=auditorium.name,
            layout_id=auditorium.layout_id,
            capacity=auditorium.capacity,
            time_zone=theater.time_zone,
            **times(starts_at, ends_at, ends_at + timedelta(minutes=cleaning), theater.time_zone, theater.day_starts),
            sales_open_at=sales_open_at,
            sales_close_at=sales_close_at,
            format=terms.format,
            language=terms.language or movie.original_language,
            subtitles=terms.subtitles,
            orphan_rule=terms.orphan_rule,
            currency=theater.currency,
            prices=prices,
            refund_policy=tariff.refund_policy,
            price_from=price_from(prices),
            seller=theater.seller,
        )


showtimes = Collection(Showtime)


class Taken(BaseModel):
    """The part of a showtime that says when it occupies its auditorium."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(validation_alias=AliasChoices("id", "_id"))
    schedule_id: str | None = None
    movie_title: str
    auditorium_id: str
    auditorium_name: str
    time_zone: str
    starts_at: Moment
    ends_at: Moment
    free_at: Moment
    slots: list[int] = []


_TAKEN = ("_id", *(name for name in Taken.model_fields if name != "id"))


def times(starts_at: datetime, ends_at: datetime, free_at: datetime, time_zone: str, day_starts: str) -> dict[str, Any]:
    """A showtime's fields about its time, for visitors and for its auditorium."""
    zone = ZoneInfo(time_zone)
    local = starts_at.astimezone(zone)
    return {
        "starts_at": starts_at,
        "ends_at": ends_at,
        "free_at": free_at,
        "slots": slots_of(starts_at, free_at),
        "local_date": business_day(local, day_starts).isoformat(),
        "occurrence": occurrence_of(starts_at, zone),
        "daypart": daypart_of(local.time()),
    }


async def schedule(showtime: Showtime) -> None:
    """Insert a showtime with its event. Raises ShowtimesClash.

    There is no check before the write: the unique index accepts only one of two showtimes with a common slot.
    """
    await show_until(showtime.movie_id, showtime.starts_at)
    if not await showtimes.insert(showtime, events=[announced(showtime)]):
        raise clash(await conflicting(showtime.auditorium_id, showtime.slots or []))


def announced(showtime: Showtime) -> ShowtimeScheduled:
    """The event that puts a showtime on sale."""
    fields = showtime.model_dump(include=set(ShowtimeScheduled.model_fields))
    return ShowtimeScheduled(showtime_id=showtime.id, **fields)


async def conflicting(auditorium_id: str, slots: Sequence[int], but: str = "") -> list[Taken]:
    """The showtimes that occupy any of these slots of the auditorium."""
    where = {"auditorium_id": auditorium_id, "slots": {"$in": list(slots), "$type": "int"}, "_id": {"$ne": but}}
    return sorted(await taken_where(where), key=lambda each: each.starts_at)


async def taken_where(where: Mapping[str, Any]) -> list[Taken]:
    """The showtimes that match."""
    return [Taken.model_validate(row) async for row in showtimes.rows(where, _TAKEN)]


def clash(found: Sequence[Taken]) -> ShowtimesClash:
    """The problem that names the conflicting showtimes."""
    if not found:
        return ShowtimesClash("Another showtime has just been scheduled there.", clashes=[])
    sentences: list[str] = []
    for each in found[:5]:
        zone = ZoneInfo(each.time_zone)
        start, end = each.starts_at.astimezone(zone), each.free_at.astimezone(zone)
        sentences.append(
            f"{each.auditorium_name} is taken by {each.movie_title} from {start:%Y-%m-%d %H:%M} until "
            f"{end:%H:%M}, with the cleaning."
        )
    clashes = [
        {
            "showtime_id": each.id,
            "movie_title": each.movie_title,
            "starts_at": each.starts_at.isoformat(),
            "ends_at": each.ends_at.isoformat(),
            "free_at": each.free_at.isoformat(),
        }
        for each in found
    ]
    return ShowtimesClash(" ".join(sentences), clashes=clashes)


async def future_showtimes_with_other_seats(auditorium_id: str, layout_id: str) -> list[Row]:
    """The auditorium's future showtimes with another layout, sorted by start."""
    where = {"auditorium_id": auditorium_id, "starts_at": {"$gt": now()}, "layout_id": {"$ne": layout_id}}
    found = showtimes.rows(where | SCHEDULED, ("movie_title", "starts_at", "layout_id"), sort=[("starts_at", 1)])
    return [each async for each in found]


async def published(showtime_id: str) -> Showtime:
    """A published or cancelled showtime. Raises NotFound, also for a draft."""
    if showtime := await showtimes.find_one({"_id": showtime_id, "state": {"$ne": "draft"}}):
        return showtime
    raise NotFound(f"There is no showtime {showtime_id}.")


async def showtimes_page(where: Mapping[str, Any], after: tuple[datetime, str] | None, limit: int) -> list[Row]:
    """Up to `limit` published showtimes by start, starting after that start and id, without their prices."""
    without = ("prices", "refund_policy", "slots")
    return await page(showtimes, {**where, **SCHEDULED}, by="starts_at", after=after, limit=limit, without=without)


async def reschedule(before: Showtime, changes: dict[str, Any], change_id: str | None = None) -> Showtime:
    """Reschedule a showtime or its sales, unless it has changed since it was read; `changes` are the new values.

    `change_id`: the approved change. Raises ShowtimesClash, ShowtimeOver and ChangedMeanwhile.
    """
    after = before.model_copy(update=changes)
    moment = now()
    as_read = before.model_dump(include={"starts_at", "sales_open_at", "sales_close_at"})
    begun = {"starts_at": {"$eq": before.starts_at, "$gt": moment}} if after.starts_at != before.starts_at else {}
    facts = after.model_dump(include=set(ShowtimeRescheduled.model_fields))
    event = ShowtimeRescheduled(showtime_id=before.id, change_id=change_id, **facts)
    await show_until(before.movie_id, after.starts_at)
    try:
        changed = await showtimes.update_and_get(
            {
                "_id": before.id,
                **SCHEDULED,
                "ends_at": {"$gt": moment},
                **({"change_ids": {"$ne": change_id}} if change_id else {}),
                **as_read,
                **begun,
            },
            {"$set": changes, **_decided(change_id)},
            events=[event],
        )
    except DuplicateKeyError as error:
        raise clash(await conflicting(before.auditorium_id, after.slots or [], before.id)) from error
    if changed:
        return changed
    present = await published(before.id)
    if present.state == "cancelled" or present.ends_at <= moment or (begun and present.starts_at <= moment):
        raise ShowtimeOver
    raise ChangedMeanwhile


async def cancel(showtime_id: str, reason: CancelReason, change_id: str | None = None) -> Showtime:
    """Cancel a showtime with its event; a cancelled one stays as it is. `change_id`: the approved change.

    Raises NotFound and ShowtimeOver.
    """
    cancelled = await showtimes.update_and_get(
        {"_id": showtime_id, **SCHEDULED, "ends_at": {"$gt": now()}},
        {
            "$set": {"state": "cancelled", "cancelled_because": reason},
            "$unset": {"slots": ""},
            **_decided(change_id),
        },
        events=[ShowtimeCancelled(showtime_id=showtime_id, reason=reason, change_id=change_id)],
    )
    found = cancelled or await published(showtime_id)
    if found.state != "cancelled":
        raise ShowtimeOver
    return found


async def make_change(approved: HouseChangeApproved) -> None:
    """Make an approved change, once. Raises CatalogProblem when it is impossible."""
    for _ in range(ATTEMPTS):
        before = await published(approved.showtime_id)
        if approved.change_id in before.change_ids:
            return
        try:
            await _make(before, approved)
        except ChangedMeanwhile:
            continue
        return
    raise ChangedMeanwhile


async def _make(before: Showtime, approved: HouseChangeApproved) -> None:
    if approved.kind == "cancel":
        after = await cancel(before.id, approved.reason or "other", approved.change_id)
        if approved.change_id not in after.change_ids:
            raise ShowtimeOver("The showtime was cancelled by another change.")
    elif approved.starts_at:
        theater = await theater_of(before.theater_id)
        await reschedule(before, _at(before, approved.starts_at, theater.day_starts), approved.change_id)


def _at(before: Showtime, starts_at: datetime, day_starts: str) -> dict[str, Any]:
    """The times of the showtime at another start. Sales end as long before the start as now.

    Raises SalesTimesInvalid.
    """
    shift = starts_at - before.starts_at
    close_at, ends_at = before.sales_close_at + shift, before.ends_at + shift
    check_sales(before.sales_open_at, close_at, ends_at)
    return times(starts_at, ends_at, before.free_at + shift, before.time_zone, day_starts) | {
        "sales_close_at": close_at
    }


async def refuse_change(showtime_id: str, change_id: str, problem: CatalogProblem) -> None:
    """Publish, once, why an approved change is impossible."""
    refused = ShowtimeChangeRefused(
        change_id=change_id, showtime_id=showtime_id, code=problem.code, detail=problem.detail
    )
    where = {"_id": showtime_id, "change_ids": {"$ne": change_id}}
    await showtimes.update(where, _decided(change_id), events=[refused])


def _decided(change_id: str | None) -> dict[str, Any]:
    """The part of an update that marks the change as made or refused: its approval may arrive again."""
    return {"$push": {"change_ids": {"$each": [change_id], "$slice": -MAX_CHANGE_IDS}}} if change_id else {}


async def show_until(movie_id: str, starts_at: datetime) -> None:
    """Extend the time until which a film counts as showing. This comes before the write of the showtime: after a crash
    in between the film is merely listed.
    """
    later = {"_id": movie_id, "showing_until": {"$not": {"$gte": starts_at}}}
    await movies.update(later, {"$set": {"showing_until": starts_at}})
