"""A booking that its guest cannot open any more: a link to it is mailed to whom it was booked for."""

from chassis.clock import now
from contracts.booking import BookingLinkRequested
from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict

from booking import links, store
from booking.api.shapes import Email, Reference

router = APIRouter(prefix="/api/bookings", tags=["bookings"])


class LookupBody(BaseModel):
    """What stands in the mail with the tickets: the booking's reference and the address that it went to."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reference": "CDFGHJKM", "email": "ada@example.org"}]}
    )

    reference: Reference
    email: Email


class LookupAccepted(BaseModel):
    """The same for every reference and address."""

    detail: str = "If there is such a booking, a mail with a link to it is on its way."


@router.post("/lookup", status_code=status.HTTP_202_ACCEPTED)
async def look_up(body: LookupBody) -> LookupAccepted:
    """Mail a link to a booking to its own address. The same answer, and the same work, whether there is one or not.

    One reference and address have a mail sent every ten minutes at most. What is not paid yet has no link.
    """
    moment = now()
    booking = await store.find_lost(body.reference, body.email)
    link = links.new(booking, moment)
    events = [BookingLinkRequested.model_validate(dict(booking) | dict(link))] if booking else []
    await store.record_lookup(body.reference, body.email, events, moment)
    return LookupAccepted()
