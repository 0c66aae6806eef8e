"""Tickets, and the public keys that verify them."""

from typing import Annotated

from chassis.http.problems import Unauthenticated, documented
from contracts.booking import Screening, Ticket
from contracts.types import Id
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from booking import model, store
from booking.api.access import CurrentCaller, Signer, may_see
from booking.model import TicketUnknown

router = APIRouter(prefix="/api/tickets", tags=["tickets"])


class TicketResponse(BaseModel):
    """One ticket with the data printed on it."""

    booking_id: Id
    reference: str
    screening: Screening
    ticket: Ticket


class KeySetResponse(BaseModel):
    """Public keys as a JWK set (RFC 7517)."""

    keys: list[dict[str, str]]


@router.get("/keys")
async def ticket_key_set(response: Response) -> KeySetResponse:
    """Get the public keys that verify a ticket's QR text offline. Keys are added but never changed.

    A signature proves that the ticket was issued, not that it is still valid: the text of a refunded, cancelled,
    exchanged or transferred ticket verifies, too. `GET /api/tickets/{ticket_id}` answers 404 for such a ticket.
    """
    response.headers["Cache-Control"] = "public, max-age=300"
    return KeySetResponse(keys=await store.public_keys())


@router.get("/{ticket_id}", responses=documented(Unauthenticated, TicketUnknown))
async def get_ticket(ticket_id: Annotated[Id, Path()], caller: CurrentCaller, signer: Signer) -> TicketResponse:
    """Get one valid ticket. For everybody who may see its booking; a transferred one only for staff.

    Its recipient uses `GET /api/tickets/{ticket_id}/transfer`.
    """
    if caller.principal is None and caller.secret is None:
        raise Unauthenticated
    booking = await store.find(model.booking_id_of(ticket_id))
    if booking is None or not may_see(caller, booking):
        raise TicketUnknown
    ticket = model.current_ticket(booking, ticket_id)
    is_staff = caller.may("bookings:read", booking.theater_id)
    if ticket is None or (model.transfer_to(booking, ticket_id) and not is_staff):
        raise TicketUnknown
    facts = {"booking_id": booking.id, "reference": booking.reference, "screening": booking.screening}
    signed = ticket.model_copy(update={"qr": signer.code_of(ticket, booking)})
    return TicketResponse.model_validate(facts | {"ticket": signed})
