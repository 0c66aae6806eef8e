"""From a hold to an order: what it would cost, and the order itself."""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Annotated

from chassis import telemetry
from chassis.clock import now
from chassis.problems import Unauthenticated, documented
from chassis.waiting import eventually
from contracts.types import Amount, Code, Currency, Id, SeatId
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from booking import model, settings, store
from booking.api.access import Who, visible
from booking.api.shapes import BookingOut, Email, shown
from booking.model import (
    AlreadyCheckedOut,
    BookingUnknown,
    Checkout,
    CompanionWithoutWheelchair,
    HoldExpired,
    Offer,
    Order,
    PriceUnknown,
    ShowtimeClosed,
    ShowtimeNotReady,
    State,
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


class CheckoutBody(BaseModel):
    """An order for a hold: one ticket for each of its seats."""

    model_config = ConfigDict(extra="forbid")

    hold_id: Id
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


class QuoteBody(BaseModel):
    """A hold that may be checked out. `tickets` are for all of its seats or for none."""

    model_config = ConfigDict(extra="forbid")

    hold_id: Id
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


@router.post(
    "/quote",
    responses=documented(
        Unauthenticated, BookingUnknown, HoldExpired, AlreadyCheckedOut, ShowtimeClosed, ShowtimeNotReady,
        TicketsDoNotMatch, PriceUnknown, CompanionWithoutWheelchair,
    ),
)  # fmt: skip
async def quote(body: QuoteBody, who: Who, response: Response) -> QuoteOut:
    """What a hold would cost now, seat by seat and ticket type by ticket type. Changes nothing. Owner only.

    A seat's `options` are the ticket types that it can have beside the others' `chosen` ones: a companion's ticket goes
    with a wheelchair place in the same hold, one with each.
    """
    response.headers["Cache-Control"] = "no-store"
    choices = body.choices()
    held = await visible(who, body.hold_id, store.find_held)
    if not who.owns(held.holder):
        raise BookingUnknown
    held = await _seats_arrived(held, choices or held.seat_ids)
    if held.state is not State.HELD:
        raise model.refuse_checkout(held)
    offer, moment = await _offer_of(held), now()
    seats = model.quote(held, offer, choices, moment)
    return QuoteOut(
        hold_id=held.id,
        showtime_id=held.showtime_id,
        currency=offer.currency,
        seats=seats,
        amount=sum(seat.chosen.amount for seat in seats),
        fee=model.total_of(seat.chosen.fee for seat in seats),
        tax=model.total_of(seat.chosen.tax for seat in seats),
        expires_at=held.expires_at,
        server_time=moment,
    )


@router.post(
    "",
    status_code=201,
    responses=documented(
        Unauthenticated, BookingUnknown, HoldExpired, AlreadyCheckedOut, ShowtimeClosed, ShowtimeNotReady,
        TicketsDoNotMatch, PriceUnknown, CompanionWithoutWheelchair,
    ),
)  # fmt: skip
async def check_out(body: CheckoutBody, who: Who, response: Response) -> BookingOut:
    """Order tickets for a hold. The price is final then, and the seats are kept until `payment_deadline_at`.

    The same order again gives the same answer. Owner only: the account or the guest secret that holds the seats.
    """
    order = body.order()
    held = await visible(who, body.hold_id, store.find_held)
    if not who.owns(held.holder):
        raise BookingUnknown
    held = await _seats_arrived(held, order.ticket_types)

    async def choose(booking: model.Booking) -> Checkout | None:
        if booking.state is State.HELD:
            return await _checkout_of(booking, order)
        if model.is_same_order(booking, order):
            return None
        raise model.refuse_checkout(booking)

    booking = await store.drive(body.hold_id, choose, known=held)
    telemetry.about(booking.id, reference=booking.reference)
    response.headers["Location"] = f"/api/bookings/{booking.id}"
    return shown(booking)


async def _seats_arrived(held: model.Booking, seats: Collection[str]) -> model.Booking:
    """The booking, waited for when other seats are named than it has: a change of the hold may be on its way."""

    def fits(booking: model.Booking) -> bool:
        return booking.state is not State.HELD or set(booking.seat_ids) == set(seats)

    async def changed() -> model.Booking | None:
        booking = await store.find(held.id)
        return booking if booking and fits(booking) else None

    if fits(held):
        return held
    return await eventually(changed, seconds=settings.get().arrival_seconds) or held


async def _checkout_of(booking: model.Booking, order: Order) -> Checkout:
    return model.check_out(
        booking,
        await _offer_of(booking),
        order,
        reference=store.new_reference(),
        payment_window=timedelta(seconds=settings.get().payment_seconds),
        now=now(),
    )


async def _offer_of(booking: model.Booking) -> Offer:
    """What the showtime is sold at. Raises ShowtimeNotReady."""
    seconds = settings.get().arrival_seconds
    showtime = await eventually(lambda: store.find_showtime(booking.showtime_id), seconds=seconds)
    if showtime is None:
        raise ShowtimeNotReady(retry_after=2)
    return showtime.offer
