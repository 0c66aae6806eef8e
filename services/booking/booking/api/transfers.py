"""Transfers: the holder of a ticket offers it to another person by mail, and can recall the offer until it is accepted.

The holder is the booking's customer, or the recipient of an earlier transfer. Staff see transfers but make none.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from chassis.clock import now
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.observability import telemetry
from chassis.security.auth import Caller
from contracts.types import Email, Id, LanguageTag, Name, clean_text
from fastapi import APIRouter, Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from booking import model, store
from booking.api.access import CurrentCaller, LinkKey, Manager, is_link, is_ticket_link, may_see
from booking.api.responses import TransferResponse, transfer_response
from booking.model import (
    Booking,
    BookingBusy,
    NotTransferable,
    OfferTicket,
    RecallTicket,
    TicketUnknown,
    TooManyTransfers,
    Transfer,
    TransferPending,
    TransfersClosed,
    TransferSettled,
)

router = APIRouter(prefix="/api/tickets", tags=["tickets"])
TicketId = Annotated[Id, Path()]
Message = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), AfterValidator(clean_text)]
PROBLEMS = (Unauthenticated, Forbidden, TicketUnknown, BookingBusy)


class TransferRequest(BaseModel):
    """Who gets the ticket. The recipient sees `name` and `message`, and nothing else of the giver.

    `name` is that of the booking if it is missing; a recipient who passes a ticket on has none then. `locale` is the
    language of the mail; if it is missing, that of the booking.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"email": "grace@example.org", "message": "See you there!"}]}
    )

    email: Email
    message: Annotated[Message | None, Field(description="Plain text.")] = None
    name: Annotated[Name, StringConstraints(max_length=60)] | None = None
    locale: LanguageTag | None = None


@dataclass(frozen=True)
class Keys:
    """What the key of the request opens: the booking, or a ticket that the caller received."""

    opens_booking: bool
    opens_ticket: bool


async def keys_of(key: str | None, ticket_id: str) -> Keys:
    """Check the request's key."""
    return Keys(await is_link(key, model.booking_id_of(ticket_id)), await is_ticket_link(key, ticket_id))


def _check_giver(caller: Caller, booking: Booking, ticket_id: str, keys: Keys) -> Literal["customer", "recipient"]:
    """As whom the caller may transfer the ticket. Raises Forbidden and TicketUnknown."""
    if (transfer := model.transfer_to(booking, ticket_id)) is None:
        is_known = any(model.ticket_id_of(booking.id, each.seat_id) == ticket_id for each in booking.seats)
        is_guests_link = keys.opens_booking and booking.holder.user_id is None
        if is_known and (caller.owns(booking.holder) or (is_guests_link and booking.email is not None)):
            return "customer"
        if is_known and keys.opens_booking:
            raise Forbidden("This booking belongs to an account. Please sign in to transfer its tickets.")
    elif transfer.state in ("accepted", "passed_on"):
        if is_recipient(caller, transfer) or (keys.opens_ticket and transfer.user_id is None and transfer.email):
            return "recipient"
        if keys.opens_ticket and transfer.email:
            raise Forbidden("This ticket belongs to an account. Please sign in to pass it on.")
    if may_see(caller, booking) and not caller.owns(booking.holder):
        raise Forbidden("Only the holder of a ticket can transfer it.")
    raise TicketUnknown


def is_recipient(caller: Caller, transfer: Transfer) -> bool:
    """Whether the caller's account has accepted the ticket."""
    return caller.principal is not None and caller.principal.user_id == transfer.user_id


def check_identified(caller: Caller, key: str | None) -> None:
    """Raises Unauthenticated."""
    if caller.principal is None and caller.secret is None and key is None:
        raise Unauthenticated


@router.post(
    "/{ticket_id}/transfer",
    status_code=201,
    responses=documented(*PROBLEMS, NotTransferable, TransfersClosed, TransferPending, TooManyTransfers),
)
async def offer_ticket(
    ticket_id: TicketId, body: TransferRequest, *, caller: CurrentCaller, key: LinkKey, manager: Manager
) -> TransferResponse:
    """Offer a ticket to another person, who gets a mail with a link and can accept until 30 minutes before the start.

    Until then the ticket stays valid for the giver. For the owner, with the guest secret or a guest's mailed link; for
    the recipient of a transferred ticket with the account or the mailed link. A ticket can be offered ten times in all,
    and an address gets 50 offers a day. The same request again changes nothing.
    """
    telemetry.set_subject(booking_id := model.booking_id_of(ticket_id))
    check_identified(caller, key)
    keys, moment = await keys_of(key, ticket_id), now()

    async def offer(booking: Booking) -> OfferTicket | None:
        role = _check_giver(caller, booking, ticket_id, keys)
        if (known := model.offer_of(booking, ticket_id)) and known.email == body.email:
            return None
        command = OfferTicket(_transfer(booking, ticket_id, body, role, moment))
        _check_offer(booking, command, moment)
        await store.count_offer(body.email, moment)
        return command

    booking = await _change(manager, booking_id, offer)
    made = model.offer_of(booking, ticket_id)
    if made is None:  # the recipient has accepted it between the change and this answer
        raise TransferSettled
    return transfer_response(booking, made)


def _transfer(
    booking: Booking, ticket_id: str, body: TransferRequest, role: Literal["customer", "recipient"], moment: datetime
) -> Transfer:
    """The transfer that the request asks for."""
    earlier = model.transfer_to(booking, ticket_id)
    seat_id = earlier.seat_id if earlier else ticket_id.rpartition("-")[2]
    return Transfer(
        ticket_id=model.new_ticket_id(booking, seat_id),
        previous_id=ticket_id,
        seat_id=seat_id,
        email=body.email,
        sender=body.name or (booking.name if role == "customer" else None),
        message=body.message or None,
        locale=body.locale or booking.locale,
        offered_at=moment,
    )


def _check_offer(booking: Booking, command: OfferTicket, moment: datetime) -> None:
    """Raises the reason why the ticket cannot be offered now."""
    transfer = command.transfer
    line = model.line_of(booking, transfer.seat_id)
    if line is None or model.current_ticket(booking, transfer.previous_id) is None:
        is_given = any(each.previous_id == transfer.previous_id for each in booking.transfers)
        reason = "transferred" if line and line.status == "transferred" and is_given else "cancelled"
        raise NotTransferable("This ticket is no longer valid.", reason=reason)
    if line.checked_in_at is not None:
        raise NotTransferable("This ticket has been used.", reason="checked_in")
    if moment >= model.transfers_end_at(booking):
        raise TransfersClosed
    if model.offer_of(booking, transfer.previous_id):
        raise TransferPending
    if sum(each.seat_id == transfer.seat_id for each in booking.transfers) >= model.MAX_OFFERS:
        raise TooManyTransfers


@router.delete("/{ticket_id}/transfer", status_code=204, responses=documented(*PROBLEMS, TransferSettled))
async def recall_ticket(ticket_id: TicketId, *, caller: CurrentCaller, key: LinkKey, manager: Manager) -> None:
    """Withdraw the offer of a ticket. Its link opens nothing any more. For the same callers as the offer.

    409 `transfer_settled` once the recipient has accepted it. Without an offer, nothing changes.
    """
    telemetry.set_subject(booking_id := model.booking_id_of(ticket_id))
    check_identified(caller, key)
    keys = await keys_of(key, ticket_id)

    async def recall(booking: Booking) -> RecallTicket | None:
        _check_giver(caller, booking, ticket_id, keys)
        if offer := model.offer_of(booking, ticket_id):
            return RecallTicket(offer.ticket_id)
        if any(t.previous_id == ticket_id and t.state in ("accepted", "passed_on") for t in booking.transfers):
            raise TransferSettled
        return None

    await _change(manager, booking_id, recall)


async def _change(manager: store.ProcessManager, booking_id: str, decide: store.TriggerFactory) -> Booking:
    """Apply the command. Raises TicketUnknown instead of BookingUnknown."""
    try:
        return await manager.advance(booking_id, decide)
    except model.BookingUnknown as error:
        raise TicketUnknown from error
