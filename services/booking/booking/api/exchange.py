"""Exchange: quote what other seats cost in exchange for tickets. A checkout with `replaces` commits the quote."""

from datetime import datetime
from hashlib import sha256
from typing import Annotated, ClassVar, Literal

from chassis.clock import now
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.security.auth import Caller
from chassis.security.signed import NotSigned, SignedText
from contracts.catalog import RefundPolicy
from contracts.types import Amount, Code, Currency, Id, Seat, Shape
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from booking import model, settings, store
from booking.api.access import CurrentCaller, LinkKey, Showtimes, is_link, visible_booking, visible_by_link
from booking.api.cancellation import QUOTE_VALID_FOR
from booking.api.claims import ClaimRequest, TicketChoice, check_unique_seats, offer_of
from booking.api.responses import BookingId
from booking.model import (
    AlreadyCheckedOut,
    BookingUnknown,
    Checkout,
    ClaimInvalid,
    ClaimRequired,
    CompanionWithoutWheelchair,
    CurrencyDiffers,
    HoldExpired,
    LinkVoid,
    NotExchangeable,
    PriceUnknown,
    QuoteChanged,
    QuoteInvalid,
    ShowtimeClosed,
    ShowtimeNotReady,
    State,
    TicketsDoNotMatch,
    TicketUnknown,
    TooFewSeats,
)

router = APIRouter(prefix="/api/bookings", tags=["bookings"])


class ExchangeQuoteRequest(ClaimRequest):
    """The tickets to exchange, none for all, and a ticket type for each held seat."""

    ticket_ids: Annotated[list[Id], Field(max_length=10)] = []
    tickets: Annotated[list[TicketChoice], Field(min_length=1, max_length=10)]

    def choices(self) -> dict[str, str]:
        """Ticket type by seat id. Raises TicketsDoNotMatch when a seat has two tickets."""
        check_unique_seats(ticket.seat_id for ticket in self.tickets)
        return {ticket.seat_id: ticket.ticket_type for ticket in self.tickets}


class Replaces(BaseModel):
    """The booking whose tickets are exchanged, by a quote of `POST /api/bookings/{id}/exchange-quote`."""

    model_config = ConfigDict(extra="forbid")

    booking_id: Id
    quote_id: Annotated[str, Field(max_length=4096)]


class ExchangedTicketResponse(BaseModel):
    """A ticket to exchange, and what it is worth in minor units: of a group, what the remaining tickets cost less.

    `reason` says why it cannot be exchanged: `too_late` and `limit` are limits of the policy, `policy` excludes it.
    """

    ticket_id: Id
    seat: Seat
    ticket_type: Code
    value: Amount
    reason: Literal["cancelled", "checked_in", "transferred", "too_late", "policy", "limit"] | None


class ExchangeQuoteResponse(BaseModel):
    """A binding quote: a checkout of the hold with `replaces` until `expires_at` exchanges exactly this.

    `value` is what the exchanged tickets are worth, `price` what the new ones cost, in minor units. `amount_due` is
    price plus fee less value; a negative one is refunded. `waived` is a difference that is too small to be charged.
    `quote_id` is null when a ticket cannot be exchanged. `tickets` also contains the companion tickets that go with
    the ticket of their wheelchair space. `refund_policy` stays that of the exchanged tickets, and no later cancellation
    refunds more than `max_refund_percent`.
    """

    booking_id: Id
    hold_id: Id
    tickets: list[ExchangedTicketResponse]
    value: Amount
    price: Amount
    fee: Amount
    waived: Amount
    amount_due: int
    currency: Currency
    refund_policy: RefundPolicy | None
    max_refund_percent: int
    quote_id: str | None
    expires_at: datetime
    server_time: datetime


class ExchangeClaim(Shape):
    """What a quote's signed id says. `tickets` are the ticket types by held seat, `seats` those that are exchanged."""

    audience: ClassVar[str] = "usher:exchange-quote"

    booking_id: Id
    hold_id: Id
    tickets: dict[str, str]
    seats: list[str]
    value: int
    price: int
    fee: int
    quoted_at: datetime


def _quotes() -> SignedText[ExchangeClaim]:
    """Signs and verifies the ids of quotes. A commit relies on their times and choices, and recalculates the sums."""
    return SignedText(ExchangeClaim, ExchangeClaim.audience, settings.get().order_key)


async def exchangeable(caller: Caller, booking_id: str, key: str | None) -> model.Booking:
    """The booking, for its owner, with the guest secret or a guest's mailed link.

    Raises Unauthenticated, Forbidden, BookingUnknown and LinkVoid.
    """
    booking = await (visible_by_link(caller, booking_id, key) if key else visible_booking(caller, booking_id))
    if caller.owns(booking.holder) or (booking.holder.user_id is None and await is_link(key, booking_id)):
        return booking
    raise Forbidden("Only the customer can exchange tickets.")


def _check_confirmed(booking: model.Booking) -> None:
    """Raises NotExchangeable unless the booking has tickets."""
    if booking.state is not State.CONFIRMED:
        refusal = model.cancel_refusal(booking, "by_customer")
        sentence = refusal.detail if refusal else "Only a confirmed booking has tickets to exchange."
        raise NotExchangeable(sentence, state=booking.state.value)


def _respond(
    booking: model.Booking, hold_id: str, choices: dict[str, str], quote: model.ExchangeQuote, moment: datetime
) -> ExchangeQuoteResponse:
    claim = ExchangeClaim(
        booking_id=booking.id,
        hold_id=hold_id,
        tickets=choices,
        seats=quote.seats,
        value=quote.value,
        price=quote.price,
        fee=quote.fee,
        quoted_at=moment,
    )
    return ExchangeQuoteResponse(
        booking_id=booking.id,
        hold_id=hold_id,
        tickets=[ExchangedTicketResponse.model_validate(ticket.model_dump()) for ticket in quote.tickets],
        value=quote.value,
        price=quote.price,
        fee=quote.fee,
        waived=quote.waived,
        amount_due=quote.amount_due,
        currency=booking.currency or "",
        refund_policy=booking.refund_policy,
        max_refund_percent=model.terms_of(quote, booking, hold_id, "", moment).max_refund_percent,
        quote_id=_quotes().sign(claim) if quote.is_possible else None,
        expires_at=moment + QUOTE_VALID_FOR,
        server_time=moment,
    )


@router.post(
    "/{booking_id}/exchange-quote",
    responses=documented(
        Unauthenticated, Forbidden, BookingUnknown, LinkVoid, ClaimRequired, ClaimInvalid, HoldExpired,
        AlreadyCheckedOut, ShowtimeClosed, ShowtimeNotReady, TicketsDoNotMatch, PriceUnknown,
        CompanionWithoutWheelchair, TicketUnknown, NotExchangeable, TooFewSeats, CurrencyDiffers,
    ),
)  # fmt: skip
async def quote_exchange(
    booking_id: BookingId,
    body: ExchangeQuoteRequest,
    *,
    caller: CurrentCaller,
    key: LinkKey,
    response: Response,
    showtimes: Showtimes,
) -> ExchangeQuoteResponse:
    """Quote the exchange of tickets for the held seats, without changing anything.

    For the owner, with the guest secret or a guest's mailed link; the hold is the caller's. Other seats at the same
    price on the same showtime are free until check-in; other exchanges follow the booking's policy.
    """
    response.headers["Cache-Control"] = "no-store"
    booking = await exchangeable(caller, booking_id, key)
    choices, hold = body.choices(), body.hold(caller)
    if await store.is_booked(hold.hold_id):
        raise AlreadyCheckedOut
    offer, moment = await offer_of(hold, showtimes), now()
    _check_confirmed(booking)
    lines = model.price_hold(hold, offer, choices, moment)
    quote = model.quote_exchange(booking, body.ticket_ids, lines, (hold.showtime_id, offer.currency), moment)
    return _respond(booking, hold.hold_id, choices, quote, moment)


def digest_of(quote_id: str) -> str:
    """What the bookings store of a committed quote's id."""
    return sha256(quote_id.encode()).hexdigest()[:32]


def commit_exchange(checkout: Checkout, booking: model.Booking, quote_id: str) -> Checkout:
    """The checkout with the terms of the quote, decided on the earlier booking.

    Raises QuoteInvalid unless the quote was made for this booking, hold and order, NotExchangeable, and QuoteChanged
    with the new quote when it has expired or the sums have changed.
    """
    try:
        claim = _quotes().read(quote_id)
    except NotSigned as error:
        raise QuoteInvalid from error
    hold, choices = checkout.hold, checkout.order.ticket_types
    if (claim.booking_id, claim.hold_id, claim.tickets) != (booking.id, hold.hold_id, choices):
        raise QuoteInvalid
    _check_confirmed(booking)
    tickets = [model.ticket_id_of(booking.id, seat_id) for seat_id in claim.seats]
    screening, moment = (hold.showtime_id, checkout.currency), now()
    current = model.quote_exchange(booking, tickets, checkout.lines, screening, claim.quoted_at)
    is_same = (current.value, current.price, current.fee) == (claim.value, claim.price, claim.fee)
    if not current.is_possible or not is_same or moment > claim.quoted_at + QUOTE_VALID_FOR:
        fresh = model.quote_exchange(booking, tickets, checkout.lines, screening, moment)
        response = _respond(booking, hold.hold_id, choices, fresh, moment)
        raise QuoteChanged(quote=response.model_dump(mode="json"))
    terms = model.terms_of(current, booking, hold.hold_id, digest_of(quote_id), claim.quoted_at)
    return model.as_exchange(checkout, booking, terms)
