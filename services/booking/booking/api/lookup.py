"""Lookup: mail links to bookings to the address that they were booked with."""

from collections.abc import Sequence
from datetime import datetime

from chassis.clock import now
from chassis.ids import new_id
from contracts.booking import BookingLinkRequested, BookingLinksRequested, LinkedBooking
from contracts.types import KnownEmail
from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict

from booking import signing, store
from booking.api.access import Signer
from booking.api.responses import Reference
from booking.model import Booking

router = APIRouter(prefix="/api/bookings", tags=["bookings"])


class LookupRequest(BaseModel):
    """The address that tickets were mailed to, and a booking's reference; without it, all upcoming bookings count."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reference": "CDFGHJKM", "email": "ada@example.org"}]}
    )

    reference: Reference | None = None
    email: KnownEmail


class LookupResponse(BaseModel):
    """The response to every lookup, whether a booking matches or not."""

    detail: str = "If a booking matches, an email with a link to it is on its way."


@router.post("/lookup", status_code=status.HTTP_202_ACCEPTED)
async def look_up(body: LookupRequest, signer: Signer) -> LookupResponse:
    """Mail a link to a booking, or links to all upcoming ones, to their address, if any match.

    Response and work are the same if none does. In ten minutes, each address can request one mail for each
    reference, and one for all bookings. Unpaid bookings have no link.
    """
    moment = now()
    if body.reference is None:
        found = await store.upcoming_of(body.email, moment)
        events = _links_requested(found, body.email, signer, moment)
        await store.record_lookup("all", body.email, events, moment)
        return LookupResponse()
    booking = await store.find_for_lookup(body.reference, body.email)
    link = signer.new_link(booking, moment)
    events = [BookingLinkRequested.model_validate(dict(booking) | dict(link))] if booking else []
    await store.record_lookup(body.reference, body.email, events, moment)
    return LookupResponse()


def _links_requested(
    found: Sequence[Booking], email: str, signer: signing.Signer, moment: datetime
) -> list[BookingLinksRequested]:
    """The request to mail links to these bookings. It takes as long for any number of them."""
    links = [signer.new_link(booking, moment) for booking in [*found, *[None] * store.MAX_LINKS][: store.MAX_LINKS]]
    if not found:
        return []
    newest = max(found, key=lambda booking: booking.id)
    linked = [dict(booking) | dict(link) for booking, link in zip(found, links, strict=False)]
    owner = next((booking.holder.user_id for booking in found if booking.holder.user_id), None)
    return [
        BookingLinksRequested(
            request_id=new_id(),
            user_id=owner,
            email=email,
            name=newest.name,
            locale=newest.locale,
            bookings=[LinkedBooking.model_validate(each) for each in linked],
        )
    ]
