"""Quote and checkout of a hold.

Both use the hold's claim, which inventory signed, so neither reads the hold nor waits for an event about it.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated

from chassis.clock import now
from chassis.http.problems import Unauthenticated, documented
from chassis.observability import telemetry
from chassis.security.auth import Caller
from chassis.security.signed import NotSigned
from contracts.catalog import RefundPolicy
from contracts.claims import HoldClaim
from contracts.types import Amount, Code, Currency, Email, Holder, Id, LanguageTag, Name, SeatId
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from booking import model, settings, store
from booking.api.access import CurrentCaller, Manager, Showtimes, Signer
from booking.api.responses import BookingResponse, to_response
from booking.model import (
    AlreadyCheckedOut,
    BookingBusy,
    BookingUnknown,
    ClaimInvalid,
    ClaimRequired,
    CompanionWithoutWheelchair,
    HoldExpired,
    Order,
    PriceUnknown,
    ShowtimeClosed,
    ShowtimeNotReady,
    ShowtimeOffer,
    TicketsDoNotMatch,
)

router = APIRouter(prefix="/api/bookings", tags=["bookings"])

HolderName = Annotated[Name, StringConstraints(max_length=100)]


class TicketChoice(BaseModel):
    """The ticket type for one held seat."""

    model_config = ConfigDict(extra="forbid")

    seat_id: SeatId
    ticket_type: Code


def check_unique_seats(seat_ids: Iterable[str]) -> None:
    """Raises TicketsDoNotMatch when a seat has two tickets."""
    if twice := sorted(seat_id for seat_id, count in Counter(seat_ids).items() if count > 1):
        raise TicketsDoNotMatch(f"There is more than one ticket for {', '.join(twice)}.", seats=twice)


class ClaimRequest(BaseModel):
    """Base class of requests that identify a hold by its claim."""

    model_config = ConfigDict(extra="forbid")

    claim: Annotated[
        str | None, Field(description="The `claim` of the hold. Required; inventory returns it with each hold.")
    ] = None
    hold_id: Annotated[
        Id | None, Field(description="No longer used: the claim contains the hold's id.", deprecated=True)
    ] = None

    def hold(self, caller: Caller) -> HoldClaim:
        """Verify the claim and return the hold. A guest's hold is the account's once its guest has signed in.

        Raises Unauthenticated, ClaimRequired, ClaimInvalid, and BookingUnknown when the hold is not the caller's.
        """
        if caller.principal is None and caller.secret is None:
            raise Unauthenticated
        if self.claim is None:
            raise ClaimRequired
        try:
            hold = settings.get().hold_claims.read(self.claim)
        except NotSigned as error:
            raise ClaimInvalid from error
        if not caller.owns(hold.holder):
            raise BookingUnknown
        if caller.principal and hold.holder.user_id is None:
            return hold.model_copy(update={"holder": Holder(user_id=caller.principal.user_id)})
        return hold


class CheckoutRequest(ClaimRequest):
    """An order for a hold: one ticket for each of its seats."""

    tickets: Annotated[list[TicketChoice], Field(min_length=1, max_length=10)]
    email: Email
    name: HolderName | None = None
    locale: LanguageTag = "en"

    def order(self) -> Order:
        """The order. Raises TicketsDoNotMatch when a seat has two tickets."""
        check_unique_seats(ticket.seat_id for ticket in self.tickets)
        return Order({t.seat_id: t.ticket_type for t in self.tickets}, self.email, self.name, self.locale)


class QuoteChoice(BaseModel):
    """A held seat and optionally its ticket type."""

    model_config = ConfigDict(extra="forbid")

    seat_id: SeatId
    ticket_type: Code | None = None


class QuoteRequest(ClaimRequest):
    """A quote request. `tickets` names all seats of the hold or none."""

    tickets: Annotated[list[QuoteChoice], Field(max_length=10)] = []

    def choices(self) -> dict[str, str | None]:
        """Ticket type by seat id. Raises TicketsDoNotMatch when a seat has two tickets."""
        check_unique_seats(ticket.seat_id for ticket in self.tickets)
        return {ticket.seat_id: ticket.ticket_type for ticket in self.tickets}


class QuoteResponse(BaseModel):
    """All-in prices in minor units. `amount` includes `fee` and `tax`, which are null if unknown.

    Only the checkout makes the price final.
    """

    hold_id: Id
    showtime_id: Id
    currency: Currency
    seats: list[model.QuotedSeat]
    amount: Amount
    fee: Amount | None
    tax: Amount | None
    refund_policy: RefundPolicy
    expires_at: datetime
    server_time: datetime


PROBLEMS = documented(
    Unauthenticated, BookingUnknown, ClaimRequired, ClaimInvalid, HoldExpired, AlreadyCheckedOut, ShowtimeClosed,
    ShowtimeNotReady, BookingBusy, TicketsDoNotMatch, PriceUnknown, CompanionWithoutWheelchair,
)  # fmt: skip


@router.post("/quote", responses=PROBLEMS)
async def quote(body: QuoteRequest, caller: CurrentCaller, response: Response, showtimes: Showtimes) -> QuoteResponse:
    """Price a hold, by seat and ticket type, without changing anything. For its owner only.

    A seat's `options` are the ticket types that it can have together with the `chosen` types of the other seats: each
    companion ticket requires a wheelchair space in the same hold.
    """
    response.headers["Cache-Control"] = "no-store"
    choices, hold = body.choices(), body.hold(caller)
    if await store.is_booked(hold.hold_id):
        raise AlreadyCheckedOut
    offer, moment = await _offer_of(hold, showtimes), now()
    seats = model.quote(hold, offer, choices, moment)
    return QuoteResponse(
        hold_id=hold.hold_id,
        showtime_id=hold.showtime_id,
        currency=offer.currency,
        seats=seats,
        amount=sum(seat.chosen.amount for seat in seats),
        fee=model.total_of(seat.chosen.fee for seat in seats),
        tax=model.total_of(seat.chosen.tax for seat in seats),
        refund_policy=offer.refund_policy,
        expires_at=hold.expires_at,
        server_time=moment,
    )


@router.post("", status_code=201, responses=PROBLEMS)
async def check_out(
    *,
    body: CheckoutRequest,
    caller: CurrentCaller,
    response: Response,
    manager: Manager,
    showtimes: Showtimes,
    signer: Signer,
) -> BookingResponse:
    """Order tickets for a hold. This makes the price final; the seats stay held until `payment_deadline_at`.

    The same order again returns the same booking. For the owner only: the account or guest secret that holds the seats.
    """
    order, hold = body.order(), body.hold(caller)
    offer = await _offer_of(hold, showtimes)
    try:
        checkout = model.check_out(
            hold,
            offer,
            order,
            reference=store.new_reference(),
            payment_window=timedelta(seconds=settings.get().payment_seconds),
            now=now(),
        )
    except (HoldExpired, ShowtimeClosed):
        booking = await store.find(hold.hold_id)  # from an earlier checkout
        if booking is None:
            raise
    else:
        booking = await manager.create(checkout)
    if not caller.owns(booking.holder):  # a guest's booking from before somebody with its secret signed in
        raise BookingUnknown
    if not model.is_same_order(booking, order):
        raise AlreadyCheckedOut
    telemetry.set_subject(booking.id, reference=booking.reference)
    response.headers["Location"] = f"/api/bookings/{booking.id}"
    return to_response(booking, signer, caller)


async def _offer_of(hold: HoldClaim, showtimes: store.Showtimes) -> ShowtimeOffer:
    """The offer of the hold's showtime. Raises ShowtimeNotReady."""
    offer = await showtimes.offer_of(hold.showtime_id)
    if offer is None:
        raise ShowtimeNotReady(retry_after=2)
    return offer
