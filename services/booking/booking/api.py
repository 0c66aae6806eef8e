"""HTTP in: quote, checkout, lists, one booking, cancel; tickets and the keys that they are checked with.

Someone else's booking is a 404 for everybody but staff with the permission.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

from chassis import telemetry
from chassis.auth import Caller, caller
from chassis.clock import now
from chassis.paging import Page, decode_cursor, encode_cursor
from chassis.problems import Forbidden, Unauthenticated, documented
from chassis.waiting import eventually
from contracts.booking import Screening, Ticket
from contracts.types import Amount, Code, Currency, Id, Seat, SeatId
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, StringConstraints

from booking import model, settings, store
from booking import tickets as ticket_keys
from booking.model import (
    AlreadyCheckedOut,
    BookingUnknown,
    Cancel,
    Checkout,
    CompanionWithoutWheelchair,
    HoldExpired,
    Line,
    NotCancellable,
    Offer,
    Order,
    Passage,
    PriceUnknown,
    ShowtimeClosed,
    ShowtimeNotReady,
    State,
    TicketsDoNotMatch,
    TicketUnknown,
)

bookings = APIRouter(prefix="/api/bookings", tags=["bookings"])
tickets = APIRouter(prefix="/api/tickets", tags=["tickets"])

Who = Annotated[Caller, Depends(caller)]
Find = Callable[[str], Awaitable[model.Booking | None]]
BookingId = Annotated[Id, Path(description="The id of the hold that the booking began with.")]
Email = Annotated[EmailStr, StringConstraints(max_length=254), AfterValidator(str.lower)]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$")
]
Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")]
Reference = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^[A-Za-z0-9]{1,16}$")]


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


class Search(BaseModel):
    """Which bookings to list. The filters are for staff."""

    model_config = ConfigDict(extra="forbid")

    showtime_id: Id | None = None
    reference: Reference | None = None
    email: Email | None = None
    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class BookingOut(BaseModel):
    """A booking. Until the checkout it has no price, reference or screening; tickets only while it is confirmed."""

    id: Id
    state: State
    reference: str | None
    showtime_id: Id
    screening: Screening | None
    seats: list[Seat]
    lines: list[Line]
    tickets: list[Ticket]
    amount: Amount | None
    currency: Currency | None
    refunded_amount: Amount
    email: str | None
    name: str | None
    locale: str
    opened_at: datetime
    expires_at: datetime
    payment_deadline_at: datetime | None
    payment_failure: str | None
    ending: model.Ending | None
    history: list[Passage]


class TicketOut(BaseModel):
    """One ticket with what is printed on it."""

    booking_id: Id
    reference: str
    screening: Screening
    ticket: Ticket


class KeySet(BaseModel):
    """Public keys as a JWK set (RFC 7517)."""

    keys: list[dict[str, str]]


def shown(booking: model.Booking) -> BookingOut:
    """The booking as its people see it."""
    is_valid = booking.state is State.CONFIRMED
    return BookingOut.model_validate(dict(booking) | {"tickets": booking.tickets if is_valid else []})


def may_see(who: Caller, booking: model.Booking) -> bool:
    """Its owner, a holder of its guest secret, and staff."""
    return who.owns(booking.holder) or who.may("bookings:read")


async def visible(who: Caller, booking_id: str, find: Find = store.find) -> model.Booking:
    """The booking, waited for if it was just made. Raises Unauthenticated or BookingUnknown."""
    if who.principal is None and who.secret is None:
        raise Unauthenticated
    seconds = settings.get().arrival_seconds
    booking = await eventually(
        lambda: find(booking_id), seconds=seconds, pausing=partial(store.recent.kept, booking_id)
    )
    if booking is None or not may_see(who, booking):
        raise BookingUnknown
    return booking


@bookings.post(
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


@bookings.post(
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
    showtime = await eventually(lambda: store.Showtime.get(booking.showtime_id), seconds=seconds)
    if showtime is None:
        raise ShowtimeNotReady(retry_after=2)
    return showtime.offer


@bookings.get("", responses=documented(Unauthenticated, Forbidden))
async def list_bookings(who: Who, search: Annotated[Search, Query()]) -> Page[BookingOut]:
    """The caller's own bookings, the newest first; with a filter, everybody's that fit (takes `bookings:read`)."""
    if who.principal is None:
        raise Unauthenticated
    filters = search.model_dump(include={"showtime_id", "reference", "email"}, exclude_none=True)
    if filters and not who.may("bookings:read"):
        raise Forbidden("Looking through other people's bookings takes the permission bookings:read.")
    position = decode_cursor(search.cursor, str)
    found = await store.page(
        filters or {"holder.user_id": who.principal.user_id}, position[0] if position else None, search.limit + 1
    )
    last = encode_cursor(found[search.limit - 1].id) if len(found) > search.limit else None
    return Page(items=[shown(booking) for booking in found[: search.limit]], next_cursor=last)


@bookings.get("/{booking_id}", responses=documented(Unauthenticated, BookingUnknown))
async def get_booking(booking_id: BookingId, who: Who) -> BookingOut:
    """One booking: its owner, a holder of its guest secret, or staff with `bookings:read`."""
    return shown(await visible(who, booking_id))


@bookings.post("/{booking_id}/cancel", responses=documented(Unauthenticated, Forbidden, BookingUnknown, NotCancellable))
async def cancel_booking(booking_id: BookingId, who: Who) -> BookingOut:
    """Give up a booking that is not paid. While money may still be on its way it is `closing` first.

    Its owner, a holder of its guest secret, or staff with `bookings:write`. Again changes nothing.
    """
    telemetry.about(booking_id)
    held = await visible(who, booking_id)
    if not who.owns(held.holder) and not who.may("bookings:write"):
        raise Forbidden("Cancelling somebody's booking takes the permission bookings:write.")

    async def choose(booking: model.Booking) -> Cancel:
        if refusal := model.refuse_cancel(booking):
            raise refusal
        return Cancel("by_customer" if who.owns(booking.holder) else "by_staff")

    return shown(await store.drive(booking_id, choose))


@tickets.get("/keys")
async def ticket_key_set(response: Response) -> KeySet:
    """The public keys to check a ticket's QR text with, offline. Keys are added but never changed."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return KeySet(keys=await ticket_keys.public_keys())


@tickets.get("/{ticket_id}", responses=documented(Unauthenticated, TicketUnknown))
async def get_ticket(ticket_id: Annotated[Id, Path()], who: Who) -> TicketOut:
    """One valid ticket, for those who may see its booking."""
    if who.principal is None and who.secret is None:
        raise Unauthenticated
    booking = await store.find(model.booking_id_of(ticket_id))
    if booking is None or not may_see(who, booking) or booking.state is not State.CONFIRMED:
        raise TicketUnknown
    ticket = next((ticket for ticket in booking.tickets if ticket.ticket_id == ticket_id), None)
    if ticket is None:
        raise TicketUnknown
    facts = {"booking_id": booking.id, "reference": booking.reference, "screening": booking.screening}
    return TicketOut.model_validate(facts | {"ticket": ticket})
