"""Cancellation: quote what cancelling tickets returns, and cancel by that quote. Staff can repeat a failed refund."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, ClassVar, Literal

from chassis.clock import now
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.ids import new_id
from chassis.observability import telemetry
from chassis.security.auth import Caller
from chassis.security.signed import NotSigned, SignedText
from contracts.booking import RefundTo, StaffActed
from contracts.payment import TenderKind
from contracts.types import Amount, Code, Currency, Id, Name, Seat, Shape
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from booking import model, settings, store
from booking.api.access import CurrentCaller, LinkKey, Manager, Signer, is_link, visible_booking, visible_by_link
from booking.api.responses import BookingId, BookingResponse, to_response
from booking.model import (
    Actor,
    BookingBusy,
    BookingUnknown,
    Cancel,
    CancelTickets,
    CreditUnavailable,
    LinkVoid,
    NotCancellable,
    QuoteChanged,
    QuoteInvalid,
    ReasonRequired,
    RefundTooLarge,
    RetryRefund,
    State,
    TicketUnknown,
)

router = APIRouter(prefix="/api/bookings", tags=["bookings"])
QUOTE_VALID_FOR = timedelta(minutes=5)
Reason = Annotated[Name, StringConstraints(min_length=3, max_length=200)]


class CancellationQuoteRequest(BaseModel):
    """The tickets to cancel; none for all. `reason` and `amount` are for staff, who cancel another person's tickets."""

    model_config = ConfigDict(extra="forbid")

    ticket_ids: Annotated[list[Id], Field(max_length=10)] = []
    refund_to: Annotated[
        RefundTo,
        Field(description="Where the card's part goes. Gift cards and credit always get back what they paid."),
    ] = "card"
    reason: Annotated[Reason | None, Field(description="Staff: why. Required.")] = None
    amount: Annotated[
        int | None,
        Field(ge=0, le=10**9, strict=True, description="Staff: refund this in minor units, whatever the policy says."),
    ] = None


class TicketQuoteResponse(BaseModel):
    """What cancelling one ticket returns, in minor units.

    `paid` is the price after `discount`, `fee` what is kept for the cancellation. `reason` says why the ticket cannot
    be cancelled; it is null for a ticket that the quote cancels.
    """

    ticket_id: Id
    seat: Seat
    ticket_type: Code
    paid: Amount
    discount: Amount
    fee: Amount
    refund: Amount
    reason: Literal["cancelled", "checked_in", "transferred", "too_late", "policy"] | None


class DestinationResponse(BaseModel):
    """Where a part of the refund goes. `bonus` is store credit beside `amount`. A guest's credit is a gift card."""

    to: TenderKind
    amount: Amount
    bonus: Amount


class CancellationQuoteResponse(BaseModel):
    """A binding quote: `POST …/cancel` with its `quote_id` until `expires_at` cancels exactly this.

    `quote_id` is null when none of the tickets can be cancelled. `tickets` also contains the companion tickets that
    are cancelled with the ticket of their wheelchair space. `total` is the sum of the refunds in minor units.
    """

    booking_id: Id
    tickets: list[TicketQuoteResponse]
    total: Amount
    currency: Currency
    destinations: list[DestinationResponse]
    quote_id: str | None
    expires_at: datetime
    server_time: datetime


class CancelRequest(BaseModel):
    """The quote to commit. An unpaid booking is cancelled without a quote."""

    model_config = ConfigDict(extra="forbid")

    quote_id: Annotated[str | None, Field(max_length=4096)] = None


class QuoteClaim(Shape):
    """What a quote's signed id says. `actor_id` is the member of staff who asked for it."""

    audience: ClassVar[str] = "usher:cancellation-quote"

    booking_id: Id
    refunds: dict[str, int]
    quoted_at: datetime
    amount: int | None = None
    reason: str | None = None
    actor_id: str | None = None
    refund_to: RefundTo = "card"


def _quotes() -> SignedText[QuoteClaim]:
    """Signs and verifies the ids of quotes. A commit relies on their times and choices, and recalculates the sums."""
    return SignedText(QuoteClaim, QuoteClaim.audience, settings.get().order_key)


@dataclass(frozen=True)
class _Party:
    """The person who cancels: the customer, or a member of staff."""

    by: Actor
    staff_id: str | None = None


def _party(caller: Caller, booking: model.Booking, *, has_link: bool) -> _Party:
    """Who the caller is for this booking. A mailed link is as good as the secret of the guest whom it was mailed to.

    `has_link`: the caller has a valid key of a mailed link. Raises Forbidden.
    """
    if caller.owns(booking.holder) or (has_link and booking.holder.user_id is None):
        return _Party("by_customer")
    if caller.principal and caller.may("bookings:refund", booking.theater_id):
        return _Party("by_staff", caller.principal.user_id)
    raise Forbidden("Cancelling another person's tickets requires the permission bookings:refund.")


def _check_confirmed(booking: model.Booking) -> None:
    """Raises NotCancellable unless the booking has tickets."""
    if booking.state is not State.CONFIRMED:
        sentence = "Only a confirmed booking has tickets to cancel. An unpaid one is cancelled without a quote."
        raise model.cancel_refusal(booking, "by_customer") or NotCancellable(sentence, state=booking.state.value)


def _check_credit(booking: model.Booking, refund_to: RefundTo) -> None:
    """Raises CreditUnavailable when the card's part cannot become credit.

    While the bank decides about a dispute, no money is given at once: it may take the payment back.
    """
    if refund_to == "credit" and (booking.email is None or booking.sources or booking.is_disputed):
        raise CreditUnavailable


async def _respond(
    booking: model.Booking, wanted: list[str], party: _Party, choice: CancellationQuoteRequest | QuoteClaim
) -> CancellationQuoteResponse:
    """Quote the cancellation now, with the `choice` of amount, reason and destination."""
    moment = now()
    quote = model.quote_cancellation(booking, wanted, party.by, moment, choice.amount)
    claim = QuoteClaim(
        booking_id=booking.id,
        refunds=quote.refunds,
        quoted_at=moment,
        amount=choice.amount,
        reason=choice.reason,
        actor_id=party.staff_id,
        refund_to=choice.refund_to,
    )
    found = [await store.find(source.booking_id) for source in booking.sources]
    payers = {payer.id: payer for payer in found if payer}
    parts = model.destinations(booking, quote.total, choice.refund_to, payers)
    return CancellationQuoteResponse(
        booking_id=booking.id,
        tickets=[TicketQuoteResponse.model_validate(ticket.model_dump()) for ticket in quote.tickets],
        total=quote.total,
        currency=booking.currency or "",
        destinations=[DestinationResponse(**part.model_dump()) for part in parts],
        quote_id=_quotes().sign(claim) if quote.cancellable else None,
        expires_at=moment + QUOTE_VALID_FOR,
        server_time=moment,
    )


@router.post(
    "/{booking_id}/cancellation-quote",
    responses=documented(
        Unauthenticated, Forbidden, BookingUnknown, LinkVoid, TicketUnknown, NotCancellable, RefundTooLarge,
        ReasonRequired, CreditUnavailable,
    ),
)  # fmt: skip
async def quote_cancellation(
    booking_id: BookingId, body: CancellationQuoteRequest, caller: CurrentCaller, key: LinkKey, response: Response
) -> CancellationQuoteResponse:
    """Quote what cancelling tickets returns, without changing anything.

    For the owner, with the guest secret or a guest's mailed link, or for staff with `bookings:refund`, who are not
    bound to the refund policy.
    """
    response.headers["Cache-Control"] = "no-store"
    booking = await (visible_by_link(caller, booking_id, key) if key else visible_booking(caller, booking_id))
    party = _party(caller, booking, has_link=await is_link(key, booking_id))
    if party.by == "by_staff" and body.reason is None:
        raise ReasonRequired
    if party.by == "by_customer" and (body.reason or body.amount is not None):
        raise Forbidden("Only staff with the permission bookings:refund can set a reason or an amount.")
    _check_credit(booking, body.refund_to)
    booking = await store.after_showtimes_change(booking)
    _check_confirmed(booking)
    return await _respond(booking, body.ticket_ids, party, body)


@router.post(
    "/{booking_id}/cancel",
    responses=documented(
        Unauthenticated, Forbidden, BookingUnknown, LinkVoid, NotCancellable, QuoteInvalid, QuoteChanged, BookingBusy,
        CreditUnavailable,
    ),
)  # fmt: skip
async def cancel_booking(
    booking_id: BookingId,
    *,
    caller: CurrentCaller,
    key: LinkKey,
    manager: Manager,
    signer: Signer,
    body: CancelRequest | None = None,
) -> BookingResponse:
    """Cancel the tickets of a quote; without a quote, an unpaid booking.

    A quote is for the same callers as it was made for. An unpaid booking is `closing` first, while a payment may still
    arrive; for its owner, with the guest secret, or for staff with `bookings:write`, who can also cancel a booking of
    free tickets. A repeated request changes nothing.
    """
    telemetry.set_subject(booking_id)
    if body and body.quote_id:
        booking = await _cancel_tickets(booking_id, body.quote_id, caller, key, manager)
        return to_response(booking, signer, caller)
    booking = await visible_booking(caller, booking_id)

    async def cancel_if_allowed(booking: model.Booking) -> Cancel:
        by = _canceller(caller, booking).by
        if refusal := model.cancel_refusal(booking, by):
            raise refusal
        return Cancel(by)

    act = _act("booking_cancelled", booking, _canceller(caller, booking))
    return to_response(await manager.advance(booking_id, cancel_if_allowed, also=act), signer, caller)


def _canceller(caller: Caller, booking: model.Booking) -> _Party:
    """Who the caller is for this booking when there is no quote. Raises Forbidden."""
    if caller.owns(booking.holder):
        return _Party("by_customer")
    if caller.principal and caller.may("bookings:write", booking.theater_id):
        return _Party("by_staff", caller.principal.user_id)
    raise Forbidden("Cancelling another person's booking requires the permission bookings:write.")


async def _cancel_tickets(
    booking_id: str, quote_id: str, caller: Caller, key: str | None, manager: store.ProcessManager
) -> model.Booking:
    booking = await (visible_by_link(caller, booking_id, key) if key else visible_booking(caller, booking_id))
    has_link = await is_link(key, booking_id)
    act = _act("tickets_cancelled", booking, _party(caller, booking, has_link=has_link))
    digest = sha256(quote_id.encode()).hexdigest()[:32]

    async def cancel_as_quoted(booking: model.Booking) -> CancelTickets | None:
        """The command, decided on the booking and its showtime as they are stored now; None for a repeat."""
        party = _party(caller, booking, has_link=has_link)
        claim = _read(quote_id, booking_id, party)
        if any(refund.quote_id == digest for refund in booking.refunds):
            return None
        _check_credit(booking, claim.refund_to)
        booking = await store.after_showtimes_change(booking)
        _check_confirmed(booking)
        tickets = [model.ticket_id_of(booking_id, seat_id) for seat_id in claim.refunds]
        is_expired = now() > claim.quoted_at + QUOTE_VALID_FOR
        current = model.quote_cancellation(booking, tickets, party.by, claim.quoted_at, claim.amount)
        if is_expired or current.refunds != claim.refunds:
            quote = await _respond(booking, tickets, party, claim)
            raise QuoteChanged(quote=quote.model_dump(mode="json"))
        return CancelTickets(claim.refunds, party.by, digest, claim.reason, claim.refund_to)

    return await manager.advance(booking_id, cancel_as_quoted, also=act)


def _read(quote_id: str, booking_id: str, party: _Party) -> QuoteClaim:
    """The claim of a quote. Raises QuoteInvalid unless it was made for this booking and this kind of caller."""
    try:
        claim = _quotes().read(quote_id)
    except NotSigned as error:
        raise QuoteInvalid from error
    if claim.booking_id != booking_id or claim.actor_id != party.staff_id:
        raise QuoteInvalid
    return claim


def _act(action: str, booking: model.Booking, party: _Party) -> list[StaffActed]:
    """The line of the audit log about an act of staff; none for a customer."""
    if party.staff_id is None:
        return []
    return [
        StaffActed(
            act_id=new_id(),
            action=action,
            actor_id=party.staff_id,
            booking_id=booking.id,
            user_id=booking.holder.user_id,
            acted_at=now(),
        )
    ]


@router.post(
    "/{booking_id}/refunds/{refund_id}/retry",
    responses=documented(Unauthenticated, Forbidden, BookingUnknown, NotCancellable, BookingBusy),
)
async def retry_refund(
    booking_id: BookingId, refund_id: Id, caller: CurrentCaller, manager: Manager, signer: Signer
) -> BookingResponse:
    """Request what is still owed of a failed refund. For staff with `bookings:refund`.

    Refunds that were made at the provider since the failure are deducted.
    """
    booking = await visible_booking(caller, booking_id)
    if caller.principal is None:
        raise Unauthenticated
    new_refund_id = f"{booking_id}-refund-{new_id()[-16:]}"

    async def retry(booking: model.Booking) -> RetryRefund:
        if not caller.may("bookings:refund", booking.theater_id):
            raise Forbidden("Repeating a refund requires the permission bookings:refund.")
        if not any(refund.refund_id == refund_id and refund.must_be_repeated for refund in booking.refunds):
            raise NotCancellable("Only a failed refund can be repeated.", state=booking.state.value)
        return RetryRefund(refund_id, new_refund_id)

    act = _act("refund_repeated", booking, _Party("by_staff", caller.principal.user_id))
    return to_response(await manager.advance(booking_id, retry, also=act), signer, caller)
