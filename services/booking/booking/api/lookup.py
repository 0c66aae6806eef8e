"""Lookup: mail a link to a booking to the address that it was booked with."""

from chassis.clock import now
from contracts.booking import BookingLinkRequested
from contracts.types import KnownEmail
from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict

from booking import store
from booking.api.access import Signer
from booking.api.responses import Reference

router = APIRouter(prefix="/api/bookings", tags=["bookings"])


class LookupRequest(BaseModel):
    """The booking's reference and the address that its tickets were mailed to."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reference": "CDFGHJKM", "email": "ada@example.org"}]}
    )

    reference: Reference
    email: KnownEmail


class LookupResponse(BaseModel):
    """The response to every lookup, whether a booking matches or not."""

    detail: str = "If a booking matches, an email with a link to it is on its way."


@router.post("/lookup", status_code=status.HTTP_202_ACCEPTED)
async def look_up(body: LookupRequest, signer: Signer) -> LookupResponse:
    """Mail a link to a booking to the address of its order. Response and work are the same if no booking matches.

    Each reference and address can request one mail every ten minutes. Unpaid bookings have no link.
    """
    moment = now()
    booking = await store.find_for_lookup(body.reference, body.email)
    link = signer.new_link(booking, moment)
    events = [BookingLinkRequested.model_validate(dict(booking) | dict(link))] if booking else []
    await store.record_lookup(body.reference, body.email, events, moment)
    return LookupResponse()
