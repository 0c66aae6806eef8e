"""Tickets that another person offers or has transferred to the caller.

The caller has the key of the mailed link, or the account that accepted the ticket. They see nothing of the customer but
the name and message that the giver chose.
"""

from datetime import datetime
from typing import Annotated, Literal

from chassis.clock import now
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.observability import telemetry
from chassis.security.auth import Caller, Principal, signed_in
from contracts.booking import Screening
from contracts.types import Code, Id, Seat
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from booking import documents, model, settings, signing, store
from booking.api.access import Apple, CurrentCaller, CurrentPrinter, LinkKey, Manager, Signer
from booking.api.documents import SaveLinkResponse, check_document, file_response, file_responses
from booking.api.responses import TransferResponse, transfer_response
from booking.api.transfers import Keys, TicketId, check_identified, is_recipient, keys_of
from booking.documents import PASS, Document
from booking.model import (
    AcceptTicket,
    Booking,
    DocumentsBusy,
    DocumentUnavailable,
    NotTransferable,
    Received,
    ReturnTicket,
    Transfer,
    TransfersClosed,
    TransferSettled,
    TransferUnknown,
)

router = APIRouter(prefix="/api/tickets", tags=["tickets"])
MAX_LISTED = 100
PROBLEMS = (Unauthenticated, TransferUnknown)


class ReceivedTicketResponse(BaseModel):
    """An offered or transferred ticket, for its recipient. `qr` is null unless the ticket is accepted and valid.

    `sender` and `message` are the giver's words. `has_account`: it was accepted with an account, which alone can pass
    it on or return it. `expires_at` is when it can no longer be accepted or passed on. `transfer` is the recipient's
    own open offer.
    """

    ticket_id: Id
    state: Literal["offered", "accepted"]
    status: model.TicketStatus
    sender: str | None
    message: str | None
    showtime_id: Id
    screening: Screening
    seat: Seat
    ticket_type: Code
    qr: str | None
    has_account: bool
    transfer: TransferResponse | None
    documents: list[Document] = Field(description="Those that `GET /api/tickets/{id}/…` returns now.")
    offered_at: datetime
    expires_at: datetime


class ReceivedTicketsResponse(BaseModel):
    """The tickets that a person has accepted."""

    items: list[ReceivedTicketResponse]


def _to_response(booking: Booking, transfer: Transfer, signer: signing.Signer) -> ReceivedTicketResponse:
    view = model.received(booking, transfer)
    assert view.screening is not None  # noqa: S101 - bookings with tickets have one
    valid = signer.tickets(view)
    own = model.offer_of(booking, transfer.ticket_id)
    facts = vars(transfer) | {
        "status": view.lines[0].status,
        "showtime_id": view.showtime_id,
        "screening": view.screening,
        "seat": view.seats[0],
        "ticket_type": view.lines[0].ticket_type,
        "qr": valid[0].qr if valid else None,
        "has_account": transfer.user_id is not None,
        "transfer": transfer_response(booking, own) if own and valid else None,
        "documents": documents.documents_of(view, settings.get()) if transfer.state == "accepted" else [],
        "expires_at": model.transfers_end_at(booking),
    }
    return ReceivedTicketResponse.model_validate(facts)


def _transfer_of(booking: Booking, ticket_id: str, caller: Caller, keys: Keys) -> Transfer:
    """The caller's transfer. Raises TransferUnknown, also for an offer of a ticket that is void now."""
    transfer = model.transfer_to(booking, ticket_id)
    if transfer is None or not (is_recipient(caller, transfer) or (keys.opens_ticket and transfer.email is not None)):
        raise TransferUnknown
    is_open = transfer.state == "offered" and model.is_open(booking, AcceptTicket(ticket_id), now())
    if transfer.state != "accepted" and not is_open:
        raise TransferUnknown
    return transfer


async def _found(ticket_id: TicketId, caller: CurrentCaller, key: LinkKey) -> tuple[Booking, Transfer]:
    check_identified(caller, key)
    booking = await store.find(model.booking_id_of(ticket_id))
    if booking is None:
        raise TransferUnknown
    return booking, _transfer_of(booking, ticket_id, caller, await keys_of(key, ticket_id))


Found = Annotated[tuple[Booking, Transfer], Depends(_found)]


@router.get("", responses=documented(Unauthenticated))
async def list_received(
    person: Annotated[Principal, Depends(signed_in)], caller: CurrentCaller, signer: Signer
) -> ReceivedTicketsResponse:
    """List the tickets that the person has accepted from others, newest first; at most 100."""
    items: list[ReceivedTicketResponse] = []
    async for booking in store.received_by(person.user_id, MAX_LISTED):
        mine = [each for each in booking.transfers if each.state == "accepted" and is_recipient(caller, each)]
        items += [_to_response(booking, transfer, signer) for transfer in mine]
    return ReceivedTicketsResponse(items=items)


@router.get("/{ticket_id}/transfer", responses=documented(*PROBLEMS))
async def get_received(found: Found, signer: Signer) -> ReceivedTicketResponse:
    """Get a ticket that was offered or transferred to the caller."""
    return _to_response(*found, signer)


@router.post("/{ticket_id}/transfer/accept", responses=documented(*PROBLEMS, TransferSettled, TransfersClosed))
async def accept_ticket(
    ticket_id: TicketId, *, caller: CurrentCaller, key: LinkKey, manager: Manager, signer: Signer
) -> ReceivedTicketResponse:
    """Accept an offered ticket, with the mailed link's key. The giver's code is void from now on.

    A signed-in person's account then has the ticket. Accepting again changes nothing.
    """
    telemetry.set_subject(ticket_id)
    check_identified(caller, key)
    keys = await keys_of(key, ticket_id)
    user_id = caller.principal.user_id if caller.principal else None

    async def accept(booking: Booking) -> AcceptTicket | None:
        transfer = _transfer_of(booking, ticket_id, caller, keys)
        if transfer.state == "accepted":
            if transfer.user_id and user_id and transfer.user_id != user_id:
                raise TransferSettled
            return None
        command = AcceptTicket(ticket_id, user_id, is_customer=caller.owns(booking.holder))
        if not model.is_acceptable(booking, command, now()):
            raise TransfersClosed
        return command

    booking = await _change(manager, ticket_id, accept)
    transfer = model.transfer_to(booking, ticket_id)
    if transfer is None or transfer.state != "accepted":  # the customer has the own ticket again
        raise TransferUnknown("The ticket is yours again. You find it in your booking.")
    return _to_response(booking, transfer, signer)


@router.post("/{ticket_id}/return", status_code=204, responses=documented(*PROBLEMS, Forbidden, NotTransferable))
async def return_ticket(ticket_id: TicketId, *, caller: CurrentCaller, key: LinkKey, manager: Manager) -> None:
    """Return a transferred ticket to the customer who bought it. Its code is void, and the customer's valid again.

    For the account that has accepted it; without one, with the mailed link's key.
    """
    telemetry.set_subject(ticket_id)
    check_identified(caller, key)
    keys = await keys_of(key, ticket_id)

    async def give_back(booking: Booking) -> ReturnTicket:
        transfer = _transfer_of(booking, ticket_id, caller, keys)
        if transfer.user_id is not None and not is_recipient(caller, transfer):
            raise Forbidden("This ticket belongs to an account. Please sign in to return it.")
        command = ReturnTicket(ticket_id)
        if transfer.state == "offered" or not model.is_returnable(booking, command, now()):
            raise NotTransferable("This ticket is not valid or has been used.", reason="not_valid")
        return command

    await _change(manager, ticket_id, give_back)


async def _change(manager: store.ProcessManager, ticket_id: str, decide: store.TriggerFactory) -> Booking:
    """Apply the command. Raises TransferUnknown instead of BookingUnknown."""
    try:
        return await manager.advance(model.booking_id_of(ticket_id), decide)
    except model.BookingUnknown as error:
        raise TransferUnknown from error


# ---- documents of an accepted ticket


async def _accepted(found: Found) -> Received:
    booking, transfer = found
    if transfer.state != "accepted":
        raise DocumentUnavailable("Accept the ticket first.")
    return model.received(booking, transfer)


Accepted = Annotated[Received, Depends(_accepted)]
MORE = (*PROBLEMS, DocumentUnavailable, DocumentsBusy)


@router.get("/{ticket_id}/ticket.pdf", response_class=Response, responses=file_responses("application/pdf", *MORE))
async def get_ticket_pdf(view: Accepted, printer: CurrentPrinter, signer: Signer) -> Response:
    """Get a transferred ticket as PDF, without its price."""
    check_document(view, "tickets")
    showtime = await store.find_showtime(view.showtime_id)
    data = documents.tickets_data(view, signer.tickets(view), showtime.seller if showtime else None)
    return file_response(await printer.print("tickets", data), "application/pdf", "ticket.pdf")


@router.get("/{ticket_id}/calendar.ics", response_class=Response, responses=file_responses("text/calendar", *MORE))
async def get_ticket_calendar(view: Accepted) -> Response:
    """Get the showtime of a transferred ticket as a calendar file. A later one replaces it."""
    check_document(view, "calendar")
    file = documents.booking_calendar(view)
    return file_response(file.content, f"text/calendar; charset=utf-8; method={file.method}", "ticket.ics")


@router.get("/{ticket_id}/ticket.pkpass", response_class=Response, responses=file_responses(PASS, *MORE))
async def get_ticket_pass(view: Accepted, apple: Apple, printer: CurrentPrinter, signer: Signer) -> Response:
    """Get a transferred ticket as a pass for Apple Wallet, which then keeps it up to date."""
    check_document(view, "apple_wallet")
    assert apple is not None  # noqa: S101 - the ticket has a pass
    return file_response(await printer.run(apple.one_pass, view, signer.tickets(view)[0]), PASS, "ticket.pkpass")


@router.get("/{ticket_id}/google-wallet", responses=documented(*MORE))
async def get_ticket_save_link(
    view: Accepted, printer: CurrentPrinter, signer: Signer, response: Response
) -> SaveLinkResponse:
    """Get a link that saves a transferred ticket to Google Wallet."""
    check_document(view, "google_wallet")
    google, site = settings.get().google_wallet, settings.get().public_url
    assert google is not None  # noqa: S101 - the ticket has the link
    url = await printer.run(documents.save_link, google, site, view, signer.tickets(view))
    response.headers["Cache-Control"] = "private, no-store"
    return SaveLinkResponse(url=url)
