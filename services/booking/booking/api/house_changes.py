"""Changes of a showtime with tickets, for staff: dry run, commit, confirmation by a second person, and the run.

Booking knows what a change affects, so it makes the dry run; catalog makes the approved change.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from chassis.clock import now
from chassis.http.paging import CursorInvalid, Page, decode_cursor, encode_cursor
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.security.auth import Principal, require
from contracts.booking import BookingCancelled, BookingRescheduled
from contracts.catalog import CancelReason
from contracts.types import Amount, Code, Currency, Holder, Id, Moment, Seat
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from booking import model, saga, store
from booking.api.access import Showtimes
from booking.model import (
    DRY_RUN_VALID_FOR,
    ChangeImpossible,
    ChangeWanted,
    DryRunChanged,
    HouseChangeState,
    HouseChangeUnknown,
    RowState,
    SecondPersonRequired,
)

router = APIRouter(prefix="/api/bookings/house-changes", tags=["changes of showtimes"])
Planner = Annotated[Principal, Depends(require("showtimes:write"))]
REFUSALS = documented(Unauthenticated, Forbidden, HouseChangeUnknown)
MARK_MINUTES = 5
OPEN: tuple[HouseChangeState, ...] = ("dry_run", "awaiting_confirmation")
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class DryRunRequest(BaseModel):
    """A change of a showtime: a cancellation with its `reason`, or a move to another start (on a five-minute mark)."""

    model_config = ConfigDict(extra="forbid")

    showtime_id: Id
    kind: Literal["cancel", "move"]
    reason: CancelReason | None = None
    starts_at: Annotated[Moment, Field(ge=FIRST, le=LAST)] | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.kind == "cancel") != (self.reason is not None):
            raise ValueError("a cancellation has a reason, other changes have none")
        if (self.kind == "move") != (self.starts_at is not None):
            raise ValueError("a move has a new start, other changes have none")
        if self.starts_at and (self.starts_at.minute % MARK_MINUTES or self.starts_at.second):
            raise ValueError("showtimes start on a five-minute mark")
        return self

    @property
    def wanted(self) -> ChangeWanted:
        """The change."""
        return ChangeWanted(kind=self.kind, reason=self.reason, starts_at=self.starts_at)


class TenderResponse(BaseModel):
    """The money of the affected bookings on one tender, in minor units, without what was refunded."""

    kind: str = Field(examples=["card"])
    currency: Currency
    amount: Amount


class MailCountResponse(BaseModel):
    """How many customers get the mail in a language."""

    locale: str
    count: int


class ImpactResponse(BaseModel):
    """What the change affects. `checkouts` are bookings that are being paid; the change reaches them, too.

    `guests` are bookings without an account, `checked_in` tickets whose bearers are inside. `unreachable` customers
    have no e-mail address: a person must tell them.
    """

    bookings: int
    tickets: int
    checkouts: int
    guests: int
    checked_in: int
    unreachable: int
    money: list[TenderResponse]
    mails: list[MailCountResponse]


class HouseChangeResponse(BaseModel):
    """A change of a showtime. `rows` counts the bookings of the run by their state.

    A `dry_run` changes nothing; a change that affects many tickets is `awaiting_confirmation` by a second person.
    Catalog makes an `approved` change, or it is `refused` with `code` and `detail`. While it is `running`, the bookings
    are updated; it is `done` when none is pending or failed. A `superseded` one was replaced by a later one.
    """

    id: Id
    showtime_id: Id
    kind: Literal["cancel", "move"]
    reason: CancelReason | None
    previous_starts_at: datetime
    starts_at: datetime | None
    state: HouseChangeState
    impact: ImpactResponse | None = Field(description="Null for a change without a dry run.")
    needs_second_person: bool
    created_at: datetime
    created_by: Id | None
    requested_by: Id | None
    confirmed_by: Id | None
    code: Code | None
    detail: str | None
    rows: dict[RowState, int]
    mail: dict[str, Any] | None = Field(
        None, description="Of a new dry run: the input of `POST /api/notifications/previews`, for an invented customer."
    )
    expires_at: datetime | None = Field(description="The end of the dry run.")


class RowResponse(BaseModel):
    """One booking of the run. `reason` says why it failed, or what a person must do."""

    booking_id: Id
    state: RowState
    reason: str | None = Field(examples=["no_address"])
    changed_at: datetime


async def _shown(change: store.HouseChange) -> HouseChangeResponse:
    return (await _all_shown([change]))[0]


async def _all_shown(changes: Sequence[store.HouseChange]) -> list[HouseChangeResponse]:
    counted = [each.id for each in changes if each.state not in OPEN]
    rows = await store.count_rows(counted) if counted else {}
    return [_response(each, rows.get(each.id, {})) for each in changes]


def _response(change: store.HouseChange, rows: dict[RowState, int]) -> HouseChangeResponse:
    impact = change.impact
    return HouseChangeResponse.model_validate(
        dict(change.wanted)
        | change.model_dump(include=set(HouseChangeResponse.model_fields) - {"impact"})
        | {
            "impact": impact and impact.model_dump(),
            "needs_second_person": impact is not None and impact.needs_second_person,
            "rows": rows,
            "expires_at": change.created_at + DRY_RUN_VALID_FOR if change.state in OPEN else None,
        }
    )


async def _own_change(change_id: str, staff: Principal) -> store.HouseChange:
    """The change. Raises HouseChangeUnknown, also for one at another theater."""
    change = await store.find_change(change_id)
    if change is None or not staff.works_at(change.theater_id):
        raise HouseChangeUnknown
    return change


async def _own_showtime(showtime_id: str, staff: Principal) -> store.Showtime:
    """The showtime. Raises HouseChangeUnknown and Forbidden."""
    showtime = await store.find_showtime(showtime_id)
    if showtime is None:
        raise HouseChangeUnknown("There is no such showtime.")
    if not staff.works_at(showtime.theater_id):
        raise Forbidden("You do not have access to this theater.")
    return showtime


def _check(showtime: store.Showtime, wanted: ChangeWanted) -> None:
    """Raises ChangeImpossible. Catalog also knows the other showtimes of the auditorium, and can still refuse."""
    moment = now()
    if showtime.is_cancelled:
        raise ChangeImpossible("This showtime was cancelled.")
    if showtime.screening.ends_at <= moment:
        raise ChangeImpossible("This showtime is over.")
    if wanted.starts_at is None:
        return
    if showtime.screening.starts_at <= moment or wanted.starts_at <= moment:
        raise ChangeImpossible("A showtime that has begun cannot be moved, and none can begin in the past.")
    if wanted.starts_at == showtime.screening.starts_at:
        raise ChangeImpossible("The showtime already begins then.")


@router.post("", status_code=201, responses=REFUSALS | documented(ChangeImpossible))
async def make_dry_run(body: DryRunRequest, staff: Planner) -> HouseChangeResponse:
    """Find out what a change of a showtime affects, without changing anything. Needs `showtimes:write`."""
    showtime = await _own_showtime(body.showtime_id, staff)
    _check(showtime, body.wanted)
    change = await _shown(await store.new_dry_run(showtime, body.wanted, staff.user_id))
    return change.model_copy(update={"mail": _sample_mail(showtime, body.wanted)})


def _sample_mail(showtime: store.Showtime, wanted: ChangeWanted) -> dict[str, Any]:
    """The event about an invented customer's booking from which the notifier renders a preview of the mail."""
    after, event = showtime.after(wanted), BookingCancelled if wanted.kind == "cancel" else BookingRescheduled
    seat, moment = Seat(seat_id="A1", row="A", number=1, category="standard"), now()
    price = max(price.amount for price in showtime.prices)
    booking = model.Booking(
        id="example",
        state=model.State.CONFIRMED,
        holder=Holder(user_id="example"),
        showtime_id=showtime.id,
        seats=[seat],
        lines=[model.OrderLine(seat=seat, ticket_type="adult", amount=price)],
        amount=price,
        currency=showtime.currency,
        email="customer@example.org",
        name="Ada Example",
        reference="EXAMPLE1",
        screening=showtime.screening,
        opened_at=moment,
        expires_at=moment,
    )
    outcome = saga.advance(booking, after.as_event, moment)
    assert outcome is not None  # noqa: S101 - a confirmed booking follows its showtime
    sample = next(each for each in outcome.events if isinstance(each, event))
    kind = "showtime_cancelled" if wanted.kind == "cancel" else "rescheduled"
    return {kind: sample.model_dump(mode="json", exclude_none=True)}


class ChangeFilter(BaseModel):
    """Which showtime's changes, and the position in the list."""

    model_config = ConfigDict(extra="forbid")

    showtime_id: Id
    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


@router.get("", responses=REFUSALS | documented(CursorInvalid))
async def list_changes(search: Annotated[ChangeFilter, Query()], staff: Planner) -> Page[HouseChangeResponse]:
    """List the changes of a showtime, the newest first."""
    await _own_showtime(search.showtime_id, staff)
    position = decode_cursor(search.cursor, str)
    found = await store.change_page(search.showtime_id, position[0] if position else None, search.limit + 1)
    last = encode_cursor(found[search.limit - 1].id) if len(found) > search.limit else None
    return Page(items=await _all_shown(found[: search.limit]), next_cursor=last)


@router.get("/{change_id}", responses=REFUSALS)
async def get_change(change_id: Id, staff: Planner) -> HouseChangeResponse:
    """Get a change with the progress of its run."""
    return await _shown(await _own_change(change_id, staff))


class RowFilter(BaseModel):
    """Which rows, and the position in the list."""

    model_config = ConfigDict(extra="forbid")

    state: RowState | None = None
    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


@router.get("/{change_id}/rows", responses=REFUSALS | documented(CursorInvalid))
async def list_rows(change_id: Id, search: Annotated[RowFilter, Query()], staff: Planner) -> Page[RowResponse]:
    """List the bookings of a run, by booking id."""
    await _own_change(change_id, staff)
    position = decode_cursor(search.cursor, str)
    found = await store.row_page(change_id, search.state, position[0] if position else None, search.limit + 1)
    shown = found[: search.limit]
    last = encode_cursor(shown[-1].booking_id) if len(found) > search.limit else None
    return Page(items=[RowResponse.model_validate(row.model_dump()) for row in shown], next_cursor=last)


@router.post("/{change_id}/commit", responses=REFUSALS | documented(DryRunChanged, ChangeImpossible))
async def commit_change(change_id: Id, staff: Planner) -> HouseChangeResponse:
    """Commit a dry run. If it affects more than 50 tickets, a second person must confirm it.

    When the bookings have changed since the dry run, the 409 has the new one. A repeat changes nothing.
    """
    change = await _own_change(change_id, staff)
    if change.state == "dry_run":
        await _check_facts(change, staff)
        needs_second = change.impact is not None and change.impact.needs_second_person
        state: HouseChangeState = "awaiting_confirmation" if needs_second else "approved"
        await store.decide_change(
            change, state, action="showtime_change_requested", staff_id=staff.user_id, requested_by=staff.user_id
        )
    return await get_change(change_id, staff)


@router.post(
    "/{change_id}/confirm", responses=REFUSALS | documented(DryRunChanged, ChangeImpossible, SecondPersonRequired)
)
async def confirm_change(change_id: Id, staff: Planner) -> HouseChangeResponse:
    """Confirm a change that somebody else has committed. A repeat changes nothing."""
    change = await _own_change(change_id, staff)
    if change.state == "awaiting_confirmation":
        if staff.user_id in (change.requested_by, change.created_by):
            raise SecondPersonRequired
        await _check_facts(change, staff)
        await store.decide_change(
            change, "approved", action="showtime_change_confirmed", staff_id=staff.user_id, confirmed_by=staff.user_id
        )
    return await get_change(change_id, staff)


@router.post("/{change_id}/resume", status_code=202, responses=REFUSALS)
async def resume_change(change_id: Id, staff: Planner, showtimes: Showtimes) -> HouseChangeResponse:
    """Update the pending and failed bookings of a run again, within seconds. A repeat changes nothing."""
    change = await _own_change(change_id, staff)
    if change.state in ("running", "done"):
        await showtimes.resume(change.showtime_id)
    return await _shown(change)


async def _check_facts(change: store.HouseChange, staff: Principal) -> None:
    """Raises DryRunChanged with a new dry run when the change would affect something else now, and ChangeImpossible."""
    showtime = await _own_showtime(change.showtime_id, staff)
    _check(showtime, change.wanted)
    is_late = now() > change.created_at + DRY_RUN_VALID_FOR
    has_moved = showtime.screening.starts_at != change.previous_starts_at
    current = await store.impact_on(showtime.id)
    if is_late or has_moved or change.impact is None or current.digest != change.impact.digest:
        await store.supersede_change(change)
        new = await store.new_dry_run(showtime, change.wanted, staff.user_id)
        raise DryRunChanged(dry_run=(await _shown(new)).model_dump(mode="json"))
