"""Quote and checkout of a hold.

Both use the hold's claim, which inventory signed, so neither reads the hold nor waits for an event about it.
"""

from datetime import datetime, timedelta
from typing import Annotated

from chassis.clock import now
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.observability import telemetry
from contracts.catalog import RefundPolicy
from contracts.types import Amount, Code, Currency, Email, Id, LanguageTag, Name, SeatId
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from booking import model, settings, store
from booking.api.access import CurrentCaller, LinkKey, Manager, Showtimes, Signer
from booking.api.claims import ClaimRequest, TicketChoice, check_unique_seats, offer_of
from booking.api.exchange import Replaces, commit_exchange, digest_of, exchangeable
from booking.api.responses import BookingResponse, to_response
from booking.model import (
    AlreadyCheckedOut,
    BookingBusy,
    BookingUnknown,
    ClaimInvalid,
    ClaimRequired,
    CompanionWithoutWheelchair,
    CurrencyDiffers,
    HoldExpired,
    LinkVoid,
    NotExchangeable,
    Order,
    PriceUnknown,
    QuoteChanged,
    QuoteInvalid,
    ShowtimeClosed,
    ShowtimeNotReady,
    TicketsDoNotMatch,
    TooFewSeats,
)

router = APIRouter(prefix="/api/bookings", tags=["bookings"])

HolderName = Annotated[Name, StringConstraints(max_length=100)]


class CheckoutRequest(ClaimRequest):
    """An order for a hold: one ticket for each of its seats.

    With `replaces` it is an exchange, and the new booking has the address, name and language of the earlier one.
    """

    tickets: Annotated[list[TicketChoice], Field(min_length=1, max_length=10)]
    replaces: Replaces | None = None
    email: Annotated[Email | None, Field(validate_default=True, description="Required without `replaces`.")] = None
    name: HolderName | None = None
    locale: LanguageTag = "en"

    @field_validator("email")
    @classmethod
    def _is_given(cls, email: str | None, info: ValidationInfo) -> str | None:
        if email is None and info.data.get("replaces") is None:
            raise PydanticCustomError("missing", "Field required")
        return email

    def order(self, earlier: model.Booking | None = None) -> Order:
        """The order, with the contact of the earlier booking. Raises TicketsDoNotMatch when a seat has two tickets."""
        check_unique_seats(ticket.seat_id for ticket in self.tickets)
        contact = (earlier.email, earlier.name, earlier.locale) if earlier else (self.email, self.name, self.locale)
        email, name, locale = contact
        return Order({t.seat_id: t.ticket_type for t in self.tickets}, email or "", name, locale)


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
    offer, moment = await offer_of(hold, showtimes), now()
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


@router.post(
    "",
    status_code=201,
    responses=PROBLEMS
    | documented(Forbidden, LinkVoid, NotExchangeable, TooFewSeats, CurrencyDiffers, QuoteInvalid, QuoteChanged),
)
async def check_out(
    *,
    body: CheckoutRequest,
    caller: CurrentCaller,
    key: LinkKey,
    response: Response,
    manager: Manager,
    showtimes: Showtimes,
    signer: Signer,
) -> BookingResponse:
    """Order tickets for a hold. This makes the price final; the seats stay held until `payment_deadline_at`.

    The same order again returns the same booking. For the owner only: the account or guest secret that holds the seats.
    With `replaces`, the tickets of another booking are exchanged by a quote: they are void once the new ones are paid
    and valid, and stay valid if the payment fails.
    """
    hold, earlier = body.hold(caller), None
    if body.replaces:
        earlier = await exchangeable(caller, body.replaces.booking_id, key)
    order = body.order(earlier)
    offer = await offer_of(hold, showtimes)
    booking = await store.find(hold.hold_id) if earlier else None  # a repeat, after which the quote no longer applies
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
        booking = booking or await store.find(hold.hold_id)  # from an earlier checkout
        if booking is None:
            raise
    else:
        if earlier and body.replaces and not booking:
            checkout = commit_exchange(checkout, earlier, body.replaces.quote_id)
        booking = booking or await manager.create(checkout)
    if not caller.owns(booking.holder):  # a guest's booking from before somebody with its secret signed in
        raise BookingUnknown
    quote_id = digest_of(body.replaces.quote_id) if body.replaces else None
    if not model.is_same_order(booking, order) or quote_id != (booking.exchange.quote_id if booking.exchange else None):
        raise AlreadyCheckedOut
    telemetry.set_subject(booking.id, reference=booking.reference)
    response.headers["Location"] = f"/api/bookings/{booking.id}"
    return to_response(booking, signer, caller)
