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
from booking.api.discounts import AppliedPromotionResponse, CurrentDiscounts, Discounts, PromotionCodes, shown
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
    PromotionRefused,
    QuoteChanged,
    QuoteInvalid,
    ShowtimeClosed,
    ShowtimeNotReady,
    TicketsDoNotMatch,
    TooFewSeats,
    TooManyCodes,
)

router = APIRouter(prefix="/api/bookings", tags=["bookings"])

HolderName = Annotated[Name, StringConstraints(max_length=100)]


class CheckoutRequest(ClaimRequest):
    """An order for a hold: one ticket for each of its seats.

    With `replaces` it is an exchange, and the new booking has the address, name and language of the earlier one.
    Promotions do not apply to exchanges.
    """

    tickets: Annotated[list[TicketChoice], Field(min_length=1, max_length=10)]
    replaces: Replaces | None = None
    email: Annotated[Email | None, Field(validate_default=True, description="Required without `replaces`.")] = None
    name: HolderName | None = None
    locale: LanguageTag = "en"
    promotion_codes: PromotionCodes = []

    @field_validator("promotion_codes")
    @classmethod
    def _are_for_purchases(cls, codes: list[str], info: ValidationInfo) -> list[str]:
        if codes and info.data.get("replaces") is not None:
            raise ValueError("codes do not apply to an exchange")
        return codes

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
        types = {ticket.seat_id: ticket.ticket_type for ticket in self.tickets}
        return Order(types, email or "", name, locale, tuple(self.promotion_codes))


class QuoteChoice(BaseModel):
    """A held seat and optionally its ticket type."""

    model_config = ConfigDict(extra="forbid")

    seat_id: SeatId
    ticket_type: Code | None = None


class QuoteRequest(ClaimRequest):
    """A quote request. `tickets` names all seats of the hold or none."""

    tickets: Annotated[list[QuoteChoice], Field(max_length=10)] = []
    promotion_codes: PromotionCodes = []

    def choices(self) -> dict[str, str | None]:
        """Ticket type by seat id. Raises TicketsDoNotMatch when a seat has two tickets."""
        check_unique_seats(ticket.seat_id for ticket in self.tickets)
        return {ticket.seat_id: ticket.ticket_type for ticket in self.tickets}


class QuoteResponse(BaseModel):
    """All-in prices in minor units. `amount` is `price` less `discount`; it includes `fee` and `tax`, null if unknown.

    `promotions` are those of the codes and automatic ones. Only the checkout makes the price final and reserves them.
    """

    hold_id: Id
    showtime_id: Id
    currency: Currency
    seats: list[model.QuotedSeat]
    price: Amount
    discount: Amount
    promotions: list[AppliedPromotionResponse]
    amount: Amount
    fee: Amount | None
    tax: Amount | None
    refund_policy: RefundPolicy
    expires_at: datetime
    server_time: datetime


PROBLEMS = documented(
    Unauthenticated, BookingUnknown, ClaimRequired, ClaimInvalid, HoldExpired, AlreadyCheckedOut, ShowtimeClosed,
    ShowtimeNotReady, BookingBusy, TicketsDoNotMatch, PriceUnknown, CompanionWithoutWheelchair,
    PromotionRefused, TooManyCodes,
)  # fmt: skip


@router.post("/quote", responses=PROBLEMS)
async def quote(
    body: QuoteRequest, caller: CurrentCaller, response: Response, showtimes: Showtimes, discounts: CurrentDiscounts
) -> QuoteResponse:
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
    lines = model.price(hold.seats, {each.seat.seat_id: each.chosen.ticket_type for each in seats}, offer.prices)
    priced = await discounts.price(lines, offer, body.promotion_codes, store.Person(hold.holder.user_id, None))
    for seat, line in zip(seats, priced.lines, strict=True):
        seat.discount = line.discount
    return QuoteResponse(
        hold_id=hold.hold_id,
        showtime_id=hold.showtime_id,
        currency=offer.currency,
        seats=seats,
        price=sum(line.amount for line in lines),
        discount=sum(line.discount for line in priced.lines),
        promotions=shown(priced.promotions),
        amount=priced.amount,
        fee=model.total_of(line.fee for line in priced.lines),
        tax=model.total_of(line.tax for line in priced.lines),
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
    discounts: CurrentDiscounts,
) -> BookingResponse:
    """Order tickets for a hold. This makes the price final; the seats stay held until `payment_deadline_at`.

    Promotions are those of the codes and automatic ones, at the lowest price; a code that does not apply is refused.

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
            booking = await manager.create(commit_exchange(checkout, earlier, body.replaces.quote_id))
        booking = booking or await _create(checkout, offer, manager, discounts)
    if not caller.owns(booking.holder):  # a guest's booking from before somebody with its secret signed in
        raise BookingUnknown
    quote_id = digest_of(body.replaces.quote_id) if body.replaces else None
    if not model.is_same_order(booking, order) or quote_id != (booking.exchange.quote_id if booking.exchange else None):
        raise AlreadyCheckedOut
    telemetry.set_subject(booking.id, reference=booking.reference)
    response.headers["Location"] = f"/api/bookings/{booking.id}"
    return to_response(booking, signer, caller)


async def _create(
    checkout: model.Checkout, offer: model.ShowtimeOffer, manager: store.ProcessManager, discounts: Discounts
) -> model.Booking:
    """The booking of the checkout at its lowest price, or the one of an earlier checkout."""
    discounted = await discounts.reserve(checkout, offer)
    booking = await manager.create(discounted)
    if discounted.uses_id and booking.uses_id != discounted.uses_id:
        await store.release(discounted.uses_id)
    return booking
