"""Routes of the waitlist of a showtime. A guest's place belongs to the secret, as a hold does."""

from dataclasses import replace
from typing import Annotated, Self

from chassis.clock import now
from chassis.http.problems import Forbidden, documented
from chassis.ids import new_id
from chassis.security.auth import Caller, Principal, caller, require
from chassis.security.secrets import hash_secret
from chassis.security.secrets import new_secret as make_secret
from contracts.types import Amount, Code, Email, Holder, Id, LanguageTag, Moment, Seat
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, model_validator

from inventory import settings, store
from inventory.api.http import Body, ShowtimeId, ThisReplica, owner_of
from inventory.model import (
    MAX_SEATS,
    AlreadyWaiting,
    NetworkWaits,
    NoSuchSeats,
    NotWaiting,
    SalesClosed,
    SeatMapMissing,
    SeatsAvailable,
    SecretTooShort,
    ShowtimeBusy,
    ShowtimeUnknown,
    WaitingParty,
    WaitlistClosed,
    WaitlistFull,
)
from inventory.store import Place

router = APIRouter(prefix="/api", tags=["inventory"])
CurrentCaller = Annotated[Caller, Depends(caller)]
Staff = Annotated[Principal, Depends(require("seats:block"))]
PartySize = Annotated[int, Field(ge=1, le=MAX_SEATS)]


class PartyRequest(Body):
    """How many people wait: an offer has as many seats as possible within these limits."""

    min: PartySize
    max: PartySize

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min > self.max:
            raise ValueError("`min` is greater than `max`")
        return self


class WaitlistRequest(Body):
    """A party that waits for seats. The category `wheelchair` asks for one wheelchair space and seats beside it."""

    party: PartyRequest
    together: bool = Field(default=True, description="Whether only seats side by side will do")
    categories: Annotated[list[Code], Field(max_length=20)] = []
    max_price: Amount | None = Field(default=None, description="the highest price of a seat, in minor units")
    email: Email
    locale: LanguageTag = "en"


class PartyResponse(BaseModel):
    """The smallest and the largest number of seats that the party takes."""

    min: int
    max: int


class OfferResponse(BaseModel):
    """The seats that are held for the party. `/api/holds/{hold_id}` has the claim for the checkout."""

    hold_id: Id
    seats: list[Seat]
    expires_at: Moment
    in_checkout: bool


class WaitlistResponse(BaseModel):
    """A place on the waitlist. `position` starts at 1."""

    entry_id: Id
    showtime_id: Id
    party: PartyResponse
    together: bool
    categories: list[Code]
    max_price: Amount | None
    email: str
    position: int
    missed_offers: int
    offer: OfferResponse | None
    joined_at: Moment
    closes_at: Moment
    server_time: Moment


class NewWaitlistResponse(WaitlistResponse):
    """A new place. A guest whose request had no secret gets one to see and leave it; mailed links have another."""

    secret: str | None = None


class WaitlistListResponse(BaseModel):
    """The waitlist of a showtime, in the order of the places."""

    items: list[WaitlistResponse]


@router.post(
    "/showtimes/{showtime_id}/waitlist",
    status_code=201,
    responses=documented(
        ShowtimeUnknown,
        SalesClosed,
        SeatsAvailable,
        AlreadyWaiting,
        WaitlistClosed,
        WaitlistFull,
        NetworkWaits,
        NoSuchSeats,
        SecretTooShort,
        SeatMapMissing,
        ShowtimeBusy,
    ),
)
async def join(
    request: Request, showtime_id: ShowtimeId, body: WaitlistRequest, who: CurrentCaller, replica: ThisReplica
) -> NewWaitlistResponse:
    """Join the waitlist of a showtime that has not enough free seats. A repetition changes nothing.

    A caller has one place, and a client network as many as it may have holds.
    """
    owner = await owner_of(request, who, showtime_id, replica)
    mailed = make_secret() if owner.holder.secret_hash else None
    moment = now()
    party = WaitingParty(
        id=new_id(),
        holder=owner.holder,
        keys=list(owner.keys),
        mailed=Holder(secret_hash=hash_secret(mailed)) if mailed else None,
        email=body.email,
        locale=body.locale,
        sealed_secret=settings.get().link_encryption.encrypt(mailed) if mailed else None,
        smallest=body.party.min,
        largest=body.party.max,
        together=body.together,
        categories=sorted(set(body.categories)),
        max_price=body.max_price,
        joined_at=moment,
        turn=moment,
    )
    place = await store.join_waitlist(replica, showtime_id, party, settings.get().limits)
    response = await _response(replica, showtime_id, place)
    return NewWaitlistResponse(**dict(response), secret=owner.new_secret)


@router.get("/showtimes/{showtime_id}/waitlist", responses=documented(ShowtimeUnknown, NotWaiting, SeatMapMissing))
async def own_place(showtime_id: ShowtimeId, who: CurrentCaller, replica: ThisReplica) -> WaitlistResponse:
    """Return the caller's place on the waitlist, with the seats that are held for the party.

    A guest gets the seats by the mailed link only.
    """
    place = await store.place_of(showtime_id, who.owns)
    if place.offer and not who.owns(place.offer.holder):
        place = replace(place, offer=None)
    return await _response(replica, showtime_id, place)


@router.delete(
    "/showtimes/{showtime_id}/waitlist",
    status_code=204,
    responses=documented(ShowtimeUnknown, NotWaiting, SeatMapMissing, ShowtimeBusy),
)
async def leave(showtime_id: ShowtimeId, who: CurrentCaller, replica: ThisReplica) -> None:
    """Leave the waitlist. Offered seats go to the next party, unless they are being paid for."""
    await store.leave_waitlist(replica, showtime_id, lambda party: any(map(who.owns, party.holders)))


@router.get("/showtimes/{showtime_id}/waitlist/entries", responses=documented(ShowtimeUnknown, SeatMapMissing))
async def list_places(showtime_id: ShowtimeId, staff: Staff, replica: ThisReplica) -> WaitlistListResponse:
    """List the waitlist of a showtime, for its theater's staff."""
    if not staff.works_at((await replica.showtime_info(showtime_id)).theater_id):
        raise Forbidden("This showtime is at a theater that you are not assigned to.")
    places = await store.places_of(showtime_id)
    return WaitlistListResponse(items=[await _response(replica, showtime_id, place) for place in places])


async def _response(replica: ThisReplica, showtime_id: str, place: Place) -> WaitlistResponse:
    party, moment, offer = place.party, now(), None
    if place.offer and place.offer.is_live(moment):
        offer = OfferResponse(
            hold_id=place.offer.id,
            seats=(await replica.layout_of(showtime_id)).details_of(place.offer.seats),
            expires_at=place.offer.expires_at,
            in_checkout=place.offer.pinned,
        )
    return WaitlistResponse(
        entry_id=party.id,
        showtime_id=showtime_id,
        party=PartyResponse(min=party.smallest, max=party.largest),
        together=party.together,
        categories=party.categories,
        max_price=party.max_price,
        email=party.email,
        position=place.position,
        missed_offers=party.missed,
        offer=offer,
        joined_at=party.joined_at,
        closes_at=place.closes_at,
        server_time=moment,
    )
