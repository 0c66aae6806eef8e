"""The documents of a booking, for everybody who may see it."""

from typing import Annotated, Any

from chassis.http.problems import Unauthenticated, documented
from contracts.errors import Problem
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from booking import documents, settings, store
from booking.api.access import Apple, CurrentCaller, CurrentPrinter, LinkKey, Signer, visible_booking, visible_by_link
from booking.api.responses import BookingId
from booking.documents import PASSES, Document
from booking.model import Booking, BookingUnknown, DocumentsBusy, DocumentUnavailable, LinkVoid

router = APIRouter(prefix="/api/bookings/{booking_id}", tags=["documents"])


async def _visible(booking_id: BookingId, caller: CurrentCaller, key: LinkKey) -> Booking:
    return await (visible_by_link(caller, booking_id, key) if key else visible_booking(caller, booking_id))


Visible = Annotated[Booking, Depends(_visible)]
PROBLEMS = (Unauthenticated, BookingUnknown, LinkVoid, DocumentUnavailable, DocumentsBusy)


def file_responses(media_type: str, *problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` argument of a route that returns a file."""
    return documented(*problems) | {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


def check_document(booking: Booking, document: Document) -> None:
    """Raises DocumentUnavailable unless the booking has the document now."""
    if document not in documents.documents_of(booking, settings.get()):
        raise DocumentUnavailable


def file_response(content: bytes, media_type: str, name: str) -> Response:
    """Return the response with a file that caches do not keep."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(content, media_type=media_type, headers=headers)


@router.get("/tickets.pdf", response_class=Response, responses=file_responses("application/pdf", *PROBLEMS))
async def get_tickets(booking: Visible, printer: CurrentPrinter, signer: Signer) -> Response:
    """Get the valid tickets as PDF, one page each, tagged for screen readers."""
    check_document(booking, "tickets")
    showtime = await store.find_showtime(booking.showtime_id)
    data = documents.tickets_data(booking, signer.tickets(booking), showtime.seller if showtime else None)
    return file_response(await printer.print("tickets", data), "application/pdf", f"tickets-{booking.reference}.pdf")


@router.get("/receipt.pdf", response_class=Response, responses=file_responses("application/pdf", *PROBLEMS))
async def get_receipt(booking: Visible, printer: CurrentPrinter) -> Response:
    """Get the receipt of a paid booking as PDF, with a credit note for each refund."""
    check_document(booking, "receipt")
    showtime = await store.find_showtime(booking.showtime_id)
    data = documents.receipt_data(booking, showtime.seller if showtime else None)
    return file_response(await printer.print("receipt", data), "application/pdf", f"receipt-{booking.reference}.pdf")


@router.get("/calendar.ics", response_class=Response, responses=file_responses("text/calendar", *PROBLEMS))
async def get_calendar(booking: Visible) -> Response:
    """Get the showtime as a calendar file. A later one replaces it.

    If the booking has ended, the file removes the showtime from the calendar.
    """
    check_document(booking, "calendar")
    file = documents.booking_calendar(booking)
    media_type = f"text/calendar; charset=utf-8; method={file.method}"
    return file_response(file.content, media_type, f"{booking.reference}.ics")


@router.get("/passes.pkpasses", response_class=Response, responses=file_responses(PASSES, *PROBLEMS))
async def get_passes(booking: Visible, apple: Apple, printer: CurrentPrinter, signer: Signer) -> Response:
    """Get the valid tickets as passes for Apple Wallet, which then keeps them up to date."""
    check_document(booking, "apple_wallet")
    assert apple is not None  # noqa: S101 - the booking has passes
    content = await printer.run(apple.passes, booking, signer.tickets(booking))
    return file_response(content, PASSES, f"{booking.reference}.pkpasses")


class SaveLinkResponse(BaseModel):
    """The address of the page that saves the tickets."""

    url: str


@router.get(
    "/google-wallet",
    responses=documented(*PROBLEMS),
)
async def get_google_wallet_link(
    booking: Visible, printer: CurrentPrinter, signer: Signer, response: Response
) -> SaveLinkResponse:
    """Get a link that saves the valid tickets to Google Wallet."""
    check_document(booking, "google_wallet")
    google, site = settings.get().google_wallet, settings.get().public_url
    assert google is not None  # noqa: S101 - the booking has the link
    url = await printer.run(documents.save_link, google, site, booking, signer.tickets(booking))
    response.headers["Cache-Control"] = "private, no-store"
    return SaveLinkResponse(url=url)
