"""Routes of holds: chosen seats, or the best available ones.

A hold belongs to a signed-in person, or to a guest who sends its secret (`X-Hold-Secret`). For all other callers it
does not exist.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Self

from chassis.clock import now
from chassis.http.problems import Unauthenticated, documented
from chassis.observability import telemetry
from chassis.security.auth import Caller, Principal, caller, signed_in
from contracts.claims import HoldClaim
from contracts.types import AreaName, Code, Id, Moment, Seat, SeatId
from fastapi import APIRouter, Depends, Path, Request, Response
from prometheus_client import Counter
from pydantic import BaseModel, Field, model_validator
from pydantic_core import to_json

from inventory import settings, store
from inventory.api.http import Body, ShowtimeId, ThisReplica, owner_of
from inventory.model import (
    MAX_SEATS,
    CheckoutUnpaid,
    CouchDivided,
    Hold,
    HoldInCheckout,
    HoldLapsed,
    HoldOwner,
    HoldUnknown,
    LimitReached,
    NetworkIsFull,
    NoSuchSeats,
    NotEnoughSeats,
    OfferFixed,
    Party,
    RenewalUsedUp,
    SalesClosed,
    SeatCountWrong,
    SeatMapMissing,
    SeatsKept,
    SeatsTaken,
    SeatsUnknown,
    SecretTooShort,
    ShowtimeBusy,
    ShowtimeUnknown,
    SingleSeatLeft,
    TooManyCompanions,
    TooManyHolds,
)

router = APIRouter(prefix="/api", tags=["inventory"])
CurrentCaller = Annotated[Caller, Depends(caller)]
HoldId = Annotated[Id, Path()]

_holds = Counter("usher_inventory_holds_total", "Requests for holds by outcome and caller", ["outcome", "caller"])


class HoldRequest(Body):
    """The seats to hold."""

    seats: Annotated[list[SeatId], Field(min_length=1, max_length=MAX_SEATS)]

    @model_validator(mode="after")
    def _are_distinct(self) -> Self:
        if len(set(self.seats)) < len(self.seats):
            raise ValueError("duplicate seat")
        return self


class BestHoldRequest(Body):
    """A party that needs seats, `wheelchairs` of them in wheelchairs. `near` is a seat to sit close to instead of the
    point with the best view.
    """

    party_size: Annotated[int, Field(ge=1, le=MAX_SEATS)]
    category: Code | None = None
    area: AreaName | None = None
    wheelchairs: Annotated[int, Field(ge=0, le=MAX_SEATS)] = 0
    near: SeatId | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.wheelchairs > self.party_size:
            raise ValueError("more wheelchairs than people")
        if self.wheelchairs and self.category:
            raise ValueError("wheelchair spaces have their own category; leave out `category`")
        return self

    def party(self) -> Party:
        """Return the party as the model's type."""
        categories = frozenset({self.category} if self.category else ())
        return Party(self.party_size, categories, self.area, self.wheelchairs, self.near)


class ChangeHoldRequest(Body):
    """The seats to add to a hold and the seats to drop from it."""

    add: Annotated[list[SeatId], Field(max_length=MAX_SEATS)] = []
    drop: Annotated[list[SeatId], Field(max_length=MAX_SEATS)] = []

    @model_validator(mode="after")
    def _are_apart(self) -> Self:
        if not self.add and not self.drop:
            raise ValueError("no seats to add or drop")
        if set(self.add) & set(self.drop):
            raise ValueError("a seat is both added and dropped")
        return self


class HoldResponse(BaseModel):
    """A hold. `renewable_until` is the latest deadline after a renewal; null when the hold cannot be renewed."""

    hold_id: Id
    showtime_id: Id
    seats: list[Seat]
    expires_at: Moment
    renewable_until: Moment | None
    in_checkout: bool
    revision: int
    server_time: Moment
    claim: str = Field(description="Send it with the checkout (`POST /api/bookings`); each change issues a new one")


class NewHoldResponse(HoldResponse):
    """A new hold. A guest whose request had no secret gets one; it is not shown again."""

    secret: str | None = None


class BestHoldResponse(NewHoldResponse):
    """A new hold of the best available seats. `together`: all seats are side by side. Otherwise the groups are as large
    and as near to each other as possible.
    """

    together: bool
    groups: list[list[SeatId]]


@contextmanager
def _counted(owner: HoldOwner) -> Iterator[None]:
    """Count the request by its outcome."""
    try:
        yield
    except (
        LimitReached,
        CheckoutUnpaid,
        SeatsTaken,
        SingleSeatLeft,
        SeatsKept,
        NotEnoughSeats,
        ShowtimeBusy,
    ) as problem:
        _holds.labels(problem.code, owner.kind).inc()
        raise
    _holds.labels("held", owner.kind).inc()


@router.post(
    "/showtimes/{showtime_id}/holds",
    status_code=201,
    response_model=NewHoldResponse,
    responses=documented(
        ShowtimeUnknown,
        SalesClosed,
        SeatsTaken,
        SingleSeatLeft,
        SeatsKept,
        TooManyHolds,
        NetworkIsFull,
        CheckoutUnpaid,
        SeatsUnknown,
        CouchDivided,
        SecretTooShort,
        SeatMapMissing,
        ShowtimeBusy,
    ),
)
async def hold(
    request: Request, showtime_id: ShowtimeId, body: HoldRequest, who: CurrentCaller, replica: ThisReplica
) -> Response:
    """Hold 1 to 10 seats, all or none. A guest can send its own secret and use it for all of its holds."""
    owner = await owner_of(request, who, showtime_id, replica)
    with _counted(owner):
        new_hold = await store.hold(replica, showtime_id, owner, body.seats, settings.get().limits)
    telemetry.set_subject(new_hold.id)
    return await _hold_response(replica, showtime_id, new_hold, 201, secret=owner.new_secret)


@router.post(
    "/showtimes/{showtime_id}/holds/best",
    status_code=201,
    response_model=BestHoldResponse,
    responses=documented(
        ShowtimeUnknown,
        SalesClosed,
        NotEnoughSeats,
        TooManyHolds,
        NetworkIsFull,
        CheckoutUnpaid,
        NoSuchSeats,
        SeatsUnknown,
        TooManyCompanions,
        SecretTooShort,
        SeatMapMissing,
        ShowtimeBusy,
    ),
)
async def hold_best(
    request: Request, showtime_id: ShowtimeId, body: BestHoldRequest, who: CurrentCaller, replica: ThisReplica
) -> Response:
    """Choose and hold the best seats for a party: in one row, side by side, near the best view, with no single seat
    left.
    """
    owner = await owner_of(request, who, showtime_id, replica)
    with _counted(owner):
        new_hold, choice = await store.hold_best(replica, showtime_id, owner, body.party(), settings.get().limits)
    telemetry.set_subject(new_hold.id)
    return await _hold_response(
        replica, showtime_id, new_hold, 201, secret=owner.new_secret, together=choice.is_together, groups=choice.groups
    )


@router.get(
    "/holds/{hold_id}", response_model=HoldResponse, responses=documented(HoldUnknown, HoldLapsed, SeatMapMissing)
)
async def get_hold(hold_id: HoldId, who: CurrentCaller, replica: ThisReplica) -> Response:
    """Return the caller's hold until it expires."""
    showtime_id, found = await store.find_hold(hold_id, who.owns)
    if not found.is_live(now()):
        raise HoldLapsed(seats=found.seats)
    return await _hold_response(replica, showtime_id, found)


@router.patch(
    "/holds/{hold_id}",
    response_model=HoldResponse,
    responses=documented(
        HoldUnknown,
        HoldInCheckout,
        HoldLapsed,
        SalesClosed,
        SeatsTaken,
        SingleSeatLeft,
        SeatsKept,
        TooManyHolds,
        NetworkIsFull,
        SeatsUnknown,
        CouchDivided,
        SeatCountWrong,
        OfferFixed,
        SeatMapMissing,
        ShowtimeBusy,
    ),
)
async def change_hold(hold_id: HoldId, body: ChangeHoldRequest, who: CurrentCaller, replica: ThisReplica) -> Response:
    """Add and drop seats in one step, all or none. Adding a held seat or dropping any other seat has no effect."""
    telemetry.set_subject(hold_id)
    limits = settings.get().limits
    changed = await store.change_hold(replica, hold_id, who.owns, limits, add=body.add, drop=body.drop)
    return await _hold_response(replica, *changed)


@router.post(
    "/holds/{hold_id}/renew",
    response_model=HoldResponse,
    responses=documented(HoldUnknown, HoldInCheckout, HoldLapsed, RenewalUsedUp, SeatMapMissing, ShowtimeBusy),
)
async def renew_hold(hold_id: HoldId, who: CurrentCaller, replica: ThisReplica) -> Response:
    """Extend the hold. By default a hold can be renewed once."""
    telemetry.set_subject(hold_id)
    return await _hold_response(replica, *await store.renew_hold(hold_id, who.owns, settings.get().limits))


@router.post(
    "/holds/{hold_id}/adopt",
    response_model=HoldResponse,
    responses=documented(Unauthenticated, HoldUnknown, SeatMapMissing, ShowtimeBusy),
)
async def adopt_hold(
    hold_id: HoldId, who: CurrentCaller, person: Annotated[Principal, Depends(signed_in)], replica: ThisReplica
) -> Response:
    """Make a guest's hold the signed-in person's. It needs the guest's secret; a repetition changes nothing."""
    telemetry.set_subject(hold_id)
    return await _hold_response(replica, *await store.adopt_hold(replica, hold_id, who.owns, person.user_id))


@router.delete("/holds/{hold_id}", status_code=204, responses=documented(HoldUnknown, HoldInCheckout, ShowtimeBusy))
async def release_hold(hold_id: HoldId, who: CurrentCaller, replica: ThisReplica) -> None:
    """Release the hold and its seats."""
    telemetry.set_subject(hold_id)
    await store.release_hold(replica, hold_id, who.owns)


async def _hold_response(
    replica: ThisReplica, showtime_id: str, found: Hold, status: int = 200, **more: Any
) -> Response:
    """Return a HoldResponse with the fields of `more`. Serializing it here avoids FastAPI's validation of our data."""
    config = settings.get()
    layout = await replica.layout_of(showtime_id)
    seats = layout.details_of(found.seats)
    claim = HoldClaim(
        hold_id=found.id,
        showtime_id=showtime_id,
        seats=seats,
        holder=found.holder,
        revision=found.revision,
        expires_at=found.expires_at,
    )
    can_renew = not (found.pinned or found.is_offer) and found.renewals < config.hold_renewals
    view = {
        "hold_id": found.id,
        "showtime_id": showtime_id,
        "seats": [layout.shown[seat.seat_id] for seat in seats],
        "expires_at": found.expires_at,
        "renewable_until": found.cap_at if can_renew else None,
        "in_checkout": found.pinned,
        "revision": found.revision,
        "server_time": now(),
        "claim": config.hold_claims.sign(claim),
        **more,
    }
    return Response(to_json(view), status, media_type="application/json")
