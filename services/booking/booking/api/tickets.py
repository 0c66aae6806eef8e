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

    A signature proves that the ticket was issued, not that it is still valid: the text of a refunded, cancelled or
    exchanged ticket verifies, too. `GET /api/tickets/{ticket_id}` answers 404 for such a ticket.
    """
    response.headers["Cache-Control"] = "public, max-age=300"
    return KeySetResponse(keys=await store.public_keys())


@router.get("/{ticket_id}", responses=documented(Unauthenticated, TicketUnknown))
async def get_ticket(ticket_id: Annotated[Id, Path()], caller: CurrentCaller, signer: Signer) -> TicketResponse:
    """Get one valid ticket. For everybody who may see its booking."""
    if caller.principal is None and caller.secret is None:
        raise Unauthenticated
    booking = await store.find(model.booking_id_of(ticket_id))
    if booking is None or not may_see(caller, booking):
        raise TicketUnknown
    ticket = next((ticket for ticket in signer.tickets(booking) if ticket.ticket_id == ticket_id), None)
    if ticket is None:
        raise TicketUnknown
    facts = {"booking_id": booking.id, "reference": booking.reference, "screening": booking.screening}
    return TicketResponse.model_validate(facts | {"ticket": ticket})
