"""HTTP in: the live seat map, holds, and blocks by staff.

A hold belongs to a signed-in person, or to whoever knows its secret (`X-Hold-Secret`); to everybody else it does not
exist.
"""

from datetime import datetime
from typing import Annotated, Any, Self

from chassis import telemetry
from chassis.auth import Caller, Principal, caller, require
from chassis.clock import now
from chassis.problems import Forbidden, documented
from chassis.secrets import hash_secret, new_secret
from contracts.types import Holder, Id, Moment, Seat, SeatId
from fastapi import APIRouter, Depends, Header, Path, Response
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import to_json

from inventory import settings, store
from inventory.model import (
    MAX_SEATS,
    MIN_SECRET,
    Block,
    BlockUnknown,
    Hold,
    HoldInCheckout,
    HoldLapsed,
    HoldUnknown,
    RenewalUsedUp,
    SalesClosed,
    SeatCountWrong,
    SeatMapMissing,
    SeatsTaken,
    SeatState,
    SeatsUnknown,
    SecretTooShort,
    ShowtimeBusy,
    ShowtimeUnknown,
    TooManyHolds,
)

router = APIRouter(prefix="/api", tags=["inventory"])
AnyCaller = Annotated[Caller, Depends(caller)]
Blocker = Annotated[Principal, Depends(require("seats:block"))]
ShowtimeId = Annotated[Id, Path()]
HoldId = Annotated[Id, Path()]

_holds = Counter("usher_inventory_holds_total", "Holds by what became of the request", ["outcome"])


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid")


class HoldRequest(Body):
    """Which seats to hold."""

    seats: Annotated[list[SeatId], Field(min_length=1, max_length=MAX_SEATS)]

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        if len(set(self.seats)) < len(self.seats):
            raise ValueError("a seat is named twice")
        return self


class ChangeRequest(Body):
    """Which seats to add to a hold and which to drop from it."""

    add: Annotated[list[SeatId], Field(max_length=MAX_SEATS)] = []
    drop: Annotated[list[SeatId], Field(max_length=MAX_SEATS)] = []

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        if not self.add and not self.drop:
            raise ValueError("nothing to add or to drop")
        if set(self.add) & set(self.drop):
            raise ValueError("a seat is both added and dropped")
        return self


class BlockRequest(Body):
    """Which seats to take out of sale, and why."""

    seats: Annotated[list[SeatId], Field(min_length=1, max_length=2000)]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class HoldView(BaseModel):
    """A hold. `renewable_until` is the latest deadline that a renewal can give, null when it cannot be renewed."""

    hold_id: Id
    showtime_id: Id
    seats: list[Seat]
    expires_at: Moment
    renewable_until: Moment | None
    in_checkout: bool
    revision: int
    server_time: Moment


class NewHold(HoldView):
    """A hold as it is first told. A guest whose request had no secret gets one, here and never again."""

    secret: str | None = None


class BlockView(BaseModel):
    """Seats out of sale."""

    block_id: Id
    showtime_id: Id
    seats: list[SeatId]
    reason: str
    blocked_at: Moment


class BlockList(BaseModel):
    """All blocks of a showtime."""

    items: list[BlockView]


class SeatMap(BaseModel):
    """A showtime's seats. Those that are not in `taken` are free. `version` grows with every change."""

    showtime_id: Id
    version: int
    server_time: Moment
    starts_at: Moment
    sales_open_at: Moment
    sales_close_at: Moment
    cancelled: bool
    taken: dict[SeatId, SeatState]
    layout: store.LayoutView


@router.get(
    "/showtimes/{showtime_id}/seats",
    responses={200: {"model": SeatMap}, 304: {"description": "Nothing has changed."}}
    | documented(ShowtimeUnknown, SeatMapMissing),
)
async def seat_map(showtime_id: ShowtimeId, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The seat map with every seat's state. The same for everybody: it never says who holds a seat."""
    moment = now()
    showtime = await store.seat_map_of(showtime_id)
    layout = await store.layout(showtime["layout_id"])
    taken = {
        seat: entry["state"] for seat, entry in showtime["taken"].items() if not _is_lapsed(entry.get("until"), moment)
    }
    # Between two versions time can only free seats, so their number tells the states of one version apart.
    etag = f'W/"{showtime["version"]}-{len(taken)}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if if_none_match == etag:
        return Response(status_code=304, headers=headers)
    states = {
        "showtime_id": showtime_id,
        "version": showtime["version"],
        "server_time": moment,
        **{name: showtime[name] for name in ("starts_at", "sales_open_at", "sales_close_at", "cancelled")},
        "taken": taken,
    }
    # The layout is the bulk of the answer and never changes: its text is made once per process.
    body = to_json(states)[:-1] + b',"layout":' + layout.json + b"}"
    return Response(body, media_type="application/json", headers=headers)


def _is_lapsed(until: datetime | None, moment: datetime) -> bool:
    return until is not None and until <= moment


@router.post(
    "/showtimes/{showtime_id}/holds",
    status_code=201,
    responses=documented(
        ShowtimeUnknown,
        SalesClosed,
        SeatsTaken,
        TooManyHolds,
        SeatsUnknown,
        SecretTooShort,
        SeatMapMissing,
        ShowtimeBusy,
    ),
)
async def hold(showtime_id: ShowtimeId, body: HoldRequest, who: AnyCaller) -> NewHold:
    """Hold 1 to 10 seats, all or none. A guest may bring a secret of its own for all of its holds."""
    holder, secret = _holder(who)
    try:
        made = await store.hold(
            showtime_id, holder, body.seats, settings.get().limits, is_new_holder=secret is not None
        )
    except (SeatsTaken, TooManyHolds, ShowtimeBusy) as problem:
        _holds.labels(problem.code).inc()
        raise
    _holds.labels("held").inc()
    telemetry.about(made.id)
    return NewHold(**await _shown(showtime_id, made), secret=secret)


def _holder(who: Caller) -> tuple[Holder, str | None]:
    """Who is to hold, and the secret that was made for them, if one was. Raises SecretTooShort."""
    if who.principal:
        return Holder(user_id=who.principal.user_id), None
    if who.secret is None:
        secret = new_secret()
        return Holder(secret_hash=hash_secret(secret)), secret
    if len(who.secret) < MIN_SECRET:
        raise SecretTooShort
    return Holder(secret_hash=hash_secret(who.secret)), None


@router.get("/holds/{hold_id}", responses=documented(HoldUnknown, HoldLapsed))
async def get_hold(hold_id: HoldId, who: AnyCaller) -> HoldView:
    """One's own hold, while it lasts."""
    showtime_id, found = await store.own_hold(hold_id, who.owns)
    if not found.is_live(now()):
        raise HoldLapsed(seats=found.seats)
    return HoldView(**await _shown(showtime_id, found))


@router.patch(
    "/holds/{hold_id}",
    responses=documented(
        HoldUnknown, HoldInCheckout, HoldLapsed, SalesClosed, SeatsTaken, SeatsUnknown, SeatCountWrong, ShowtimeBusy
    ),
)
async def change_hold(hold_id: HoldId, body: ChangeRequest, who: AnyCaller) -> HoldView:
    """Add and drop seats at once, all or nothing. What is added or dropped already is no error."""
    telemetry.about(hold_id)
    return HoldView(**await _shown(*await store.change(hold_id, who.owns, body.add, body.drop)))


@router.post(
    "/holds/{hold_id}/renew",
    responses=documented(HoldUnknown, HoldInCheckout, HoldLapsed, RenewalUsedUp, ShowtimeBusy),
)
async def renew_hold(hold_id: HoldId, who: AnyCaller) -> HoldView:
    """Keep the seats longer, once."""
    telemetry.about(hold_id)
    return HoldView(**await _shown(*await store.renew(hold_id, who.owns, settings.get().limits)))


@router.delete("/holds/{hold_id}", status_code=204, responses=documented(HoldUnknown, HoldInCheckout, ShowtimeBusy))
async def release_hold(hold_id: HoldId, who: AnyCaller) -> None:
    """Let the seats go."""
    telemetry.about(hold_id)
    await store.release(hold_id, who.owns)


async def _shown(showtime_id: str, found: Hold) -> dict[str, Any]:
    layout = await store.layout_of(showtime_id)
    can_renew = not found.pinned and found.renewals < settings.get().hold_renewals
    return {
        "hold_id": found.id,
        "showtime_id": showtime_id,
        "seats": layout.named(found.seats),
        "expires_at": found.expires_at,
        "renewable_until": found.cap_at if can_renew else None,
        "in_checkout": found.pinned,
        "revision": found.revision,
        "server_time": now(),
    }


@router.get("/showtimes/{showtime_id}/blocks", responses=documented(ShowtimeUnknown))
async def list_blocks(showtime_id: ShowtimeId, staff: Blocker) -> BlockList:
    """The seats that staff took out of sale, with the reasons."""
    await _check_theater(showtime_id, staff)
    blocks = (await store.read(showtime_id)).blocks
    return BlockList(items=[_block_shown(showtime_id, each) for each in blocks])


@router.post(
    "/showtimes/{showtime_id}/blocks",
    status_code=201,
    responses=documented(ShowtimeUnknown, SeatsTaken, SeatsUnknown, SeatMapMissing, ShowtimeBusy),
)
async def block(showtime_id: ShowtimeId, body: BlockRequest, staff: Blocker) -> BlockView:
    """Take free seats out of sale, all or none."""
    await _check_theater(showtime_id, staff)
    made = await store.block(showtime_id, body.seats, body.reason, staff.user_id)
    return _block_shown(showtime_id, made)


@router.delete(
    "/showtimes/{showtime_id}/blocks/{block_id}",
    status_code=204,
    responses=documented(ShowtimeUnknown, BlockUnknown),
)
async def unblock(showtime_id: ShowtimeId, block_id: Annotated[Id, Path()], staff: Blocker) -> None:
    """Put a block's seats back on sale."""
    await _check_theater(showtime_id, staff)
    await store.unblock(showtime_id, block_id)


async def _check_theater(showtime_id: str, staff: Principal) -> None:
    """Staff who are bound to theaters act there only. Raises Forbidden and ShowtimeUnknown."""
    theater_id = (await store.place_of(showtime_id)).theater_id
    if staff.theaters and theater_id not in staff.theaters:
        raise Forbidden("This showtime is in a theater that is not yours.")


def _block_shown(showtime_id: str, made: Block) -> BlockView:
    return BlockView(
        block_id=made.id,
        showtime_id=showtime_id,
        seats=made.seats,
        reason=made.reason,
        blocked_at=made.blocked_at,
    )
