"""From a hold to a booking: what it would cost, and the checkout itself.

Both work on the hold's claim, which inventory has signed: neither reads the hold nor waits for it.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated

from chassis import telemetry
from chassis.auth import Caller
from chassis.clock import now
from chassis.problems import Unauthenticated, documented
from chassis.signed import NotSigned
from contracts.claims import HoldClaim
from contracts.types import Amount, Code, Currency, Id, SeatId
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from booking import model, settings, store
from booking.api.access import Who
from booking.api.shapes import BookingOut, Email, shown
from booking.model import (
    AlreadyCheckedOut,
    BookingBusy,
    BookingProblem,
    BookingUnknown,
    ClaimInvalid,
    ClaimRequired,
    CompanionWithoutWheelchair,
    HoldExpired,
    Offer,
    Order,
    PriceUnknown,
    ShowtimeClosed,
    ShowtimeNotReady,
    TicketsDoNotMatch,
)

router = APIRouter(prefix="/api/bookings", tags=["bookings"])

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$")
]
Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")]


class TicketChoice(BaseModel):
    """The ticket type for one held seat."""

    model_config = ConfigDict(extra="forbid")

    seat_id: SeatId
    ticket_type: Code


def check_once(seat_ids: Iterable[str]) -> None:
    """Raises TicketsDoNotMatch when a seat has two tickets."""
    if twice := sorted(seat_id for seat_id, count in Counter(seat_ids).items() if count > 1):
        raise TicketsDoNotMatch(f"There is more than one ticket for {', '.join(twice)}.", seats=twice)


class HeldBody(BaseModel):
    """What is asked about a hold, by its claim."""

    model_config = ConfigDict(extra="forbid")

    claim: Annotated[
        str | None, Field(description="The `claim` of the hold. Required; inventory answers it with each hold.")
    ] = None
    hold_id: Annotated[Id | None, Field(description="No longer used: the claim names the hold.", deprecated=True)] = (
        None
    )

    def hold(self, who: Caller) -> HoldClaim:
        """The hold. Raises Unauthenticated, ClaimRequired, ClaimInvalid, or BookingUnknown if it isn't theirs."""
        if who.principal is None and who.secret is None:
            raise Unauthenticated
        if self.claim is None:
            raise ClaimRequired
        try:
            hold = settings.get().hold_claims.read(self.claim)
        except NotSigned as error:
            raise ClaimInvalid from error
        if not who.owns(hold.holder):
            raise BookingUnknown
        return hold


class CheckoutBody(HeldBody):
    """An order for a hold: one ticket for each of its seats."""

    tickets: Annotated[list[TicketChoice], Field(min_length=1, max_length=10)]
    email: Email
    name: Name | None = None
    locale: Locale = "en"

    def order(self) -> Order:
        """The order as the rules see it. Raises TicketsDoNotMatch when a seat has two tickets."""
        check_once(ticket.seat_id for ticket in self.tickets)
        return Order({t.seat_id: t.ticket_type for t in self.tickets}, self.email, self.name, self.locale)


class QuoteChoice(BaseModel):
    """A held seat, and the ticket type that is thought of for it."""

    model_config = ConfigDict(extra="forbid")

    seat_id: SeatId
    ticket_type: Code | None = None


class QuoteBody(HeldBody):
    """A hold that may be checked out. `tickets` are for all of its seats or for none."""

    tickets: Annotated[list[QuoteChoice], Field(max_length=10)] = []

    def choices(self) -> dict[str, str | None]:
        """Seat to ticket type. Raises TicketsDoNotMatch when a seat has two tickets."""
        check_once(ticket.seat_id for ticket in self.tickets)
        return {ticket.seat_id: ticket.ticket_type for ticket in self.tickets}


class QuoteOut(BaseModel):
    """All-in prices in minor units. `fee` and `tax` are in `amount`, null where catalog did not say. Final only in the
    checkout.
    """

    hold_id: Id
    showtime_id: Id
    currency: Currency
    seats: list[model.QuotedSeat]
    amount: Amount
    fee: Amount | None
    tax: Amount | None
    expires_at: datetime
    server_time: datetime


PROBLEMS = documented(
    Unauthenticated, BookingUnknown, ClaimRequired, ClaimInvalid, HoldExpired, AlreadyCheckedOut, ShowtimeClosed,
    ShowtimeNotReady, BookingBusy, TicketsDoNotMatch, PriceUnknown, CompanionWithoutWheelchair,
)  # fmt: skip


@router.post("/quote", responses=PROBLEMS)
async def quote(body: QuoteBody, who: Who, response: Response) -> QuoteOut:
    """What a hold would cost now, seat by seat and ticket type by ticket type. Changes nothing. Owner only.

    A seat's `options` are the ticket types that it can have beside the others' `chosen` ones: a companion's ticket goes
    with a wheelchair place in the same hold, one with each.
    """
    response.headers["Cache-Control"] = "no-store"
    choices, hold = body.choices(), body.hold(who)
    if await store.is_booked(hold.hold_id):
        raise AlreadyCheckedOut
    offer, moment = await _offer_of(hold), now()
    seats = model.quote(hold, offer, choices, moment)
    return QuoteOut(
        hold_id=hold.hold_id,
        showtime_id=hold.showtime_id,
        currency=offer.currency,
        seats=seats,
        amount=sum(seat.chosen.amount for seat in seats),
        fee=model.total_of(seat.chosen.fee for seat in seats),
        tax=model.total_of(seat.chosen.tax for seat in seats),
        expires_at=hold.expires_at,
        server_time=moment,
    )


@router.post("", status_code=201, responses=PROBLEMS)
async def check_out(body: CheckoutBody, who: Who, response: Response) -> BookingOut:
    """Order tickets for a hold. The price is final then, and the seats are kept until `payment_deadline_at`.

    The same order again gives the same answer. Owner only: the account or the guest secret that holds the seats.
    """
    order, hold = body.order(), body.hold(who)
    try:
        booking = await _booked(hold, order)
    except (HoldExpired, ShowtimeClosed) as refusal:
        booking = await _booked_before(hold, refusal)
    if not model.is_same_order(booking, order):
        raise AlreadyCheckedOut
    telemetry.about(booking.id, reference=booking.reference)
    response.headers["Location"] = f"/api/bookings/{booking.id}"
    return shown(booking, who)


async def _booked(hold: HoldClaim, order: Order) -> model.Booking:
    """The hold's booking: a new one, or the one that exists already."""
    checkout = model.check_out(
        hold,
        await _offer_of(hold),
        order,
        reference=store.new_reference(),
        payment_window=timedelta(seconds=settings.get().payment_seconds),
        now=now(),
    )
    return await store.open_booking(checkout)


async def _booked_before(hold: HoldClaim, refusal: BookingProblem) -> model.Booking:
    """The booking that was made of the hold while it could be checked out. Raises the refusal if there is none."""
    booking = await store.find(hold.hold_id)
    if booking is None:
        raise refusal
    return booking


async def _offer_of(hold: HoldClaim) -> Offer:
    """What the showtime is sold at. Raises ShowtimeNotReady."""
    offer = await store.offer_of(hold.showtime_id)
    if offer is None:
        raise ShowtimeNotReady(retry_after=2)
    return offer
