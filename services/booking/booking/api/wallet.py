"""Apple Wallet's web service for passes: devices register, learn which passes changed, and get the latest ones.

Paths and answers are Apple's (developer.apple.com/documentation/walletpasses). A pass contains the token with which its
device authenticates.
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated

import structlog
from chassis.clock import now
from chassis.http.problems import Unauthenticated, documented
from contracts.types import Id
from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, Field, StringConstraints

from booking import model, store
from booking.api.access import Apple, CurrentPrinter, Signer
from booking.documents import PASS, AppleWallet
from booking.model import Booking, DocumentUnavailable, TicketUnknown, TooManyDevices

log = structlog.get_logger()
router = APIRouter(prefix="/api/wallet/v1", tags=["wallet"])
Device = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,128}$"), Path()]
PassType = Annotated[str, StringConstraints(max_length=200), Path()]
PushToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,200}$")]


class RegistrationRequest(BaseModel):
    """The address of a device at Apple's push service."""

    push_token: Annotated[PushToken, Field(alias="pushToken")]


class ChangedPassesResponse(BaseModel):
    """The serial numbers of changed passes, and the time to ask from next."""

    serialNumbers: list[str]  # noqa: N815 - Apple's name
    lastUpdated: str  # noqa: N815 - Apple's name


class LogRequest(BaseModel):
    """What went wrong on a device."""

    logs: Annotated[list[Annotated[str, StringConstraints(max_length=2000)]], Field(max_length=50)] = []


def _offered(pass_type: PassType, apple: Apple) -> AppleWallet:
    if apple is None or pass_type != apple.pass_type:
        raise DocumentUnavailable("This cinema has no such passes.")
    return apple


Offered = Annotated[AppleWallet, Depends(_offered)]


def _authenticated(
    ticket_id: Annotated[Id, Path()], apple: Offered, authorization: Annotated[str, Header()] = ""
) -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme != "ApplePass" or not apple.is_token(token, ticket_id):
        raise Unauthenticated("The pass's token is missing or wrong.")
    return ticket_id


TicketId = Annotated[str, Depends(_authenticated)]
PROBLEMS = documented(Unauthenticated, DocumentUnavailable, TicketUnknown)
PASSES_OF_DEVICE = "/devices/{device}/registrations/{pass_type}"


async def _booking_of(ticket_id: str) -> Booking:
    booking = await store.find(model.booking_id_of(ticket_id))
    if booking is None or booking.screening is None:
        raise TicketUnknown
    return booking


@router.post(PASSES_OF_DEVICE + "/{ticket_id}", responses=PROBLEMS | documented(TooManyDevices))
async def register_device(device: Device, ticket_id: TicketId, body: RegistrationRequest, response: Response) -> None:
    """Register a device that has the pass. 201 if it is new there."""
    booking = await _booking_of(ticket_id)
    assert booking.screening is not None  # noqa: S101 - see `_booking_of`
    if await store.register_pass(device, ticket_id, body.push_token, booking.screening, now()):
        response.status_code = 201


@router.delete(PASSES_OF_DEVICE + "/{ticket_id}", responses=PROBLEMS)
async def unregister_device(device: Device, ticket_id: TicketId) -> None:
    """Forget a device whose owner has removed the pass."""
    await store.unregister_pass(device, ticket_id)


@router.get(PASSES_OF_DEVICE, responses=documented(DocumentUnavailable) | {204: {"description": "No pass changed."}})
async def list_changed_passes(
    device: Device, _: Offered, since: Annotated[float | None, Query(alias="passesUpdatedSince", ge=0, le=1e11)] = None
) -> ChangedPassesResponse:
    """List the device's passes that have changed since the last answer's `lastUpdated`."""
    found = await store.changed_passes(device, datetime.fromtimestamp(since, UTC) if since is not None else None)
    if not found:
        return Response(status_code=204)  # pyright: ignore[reportReturnType] - FastAPI sends it as it is
    latest = max(each.changed_at for each in found)
    return ChangedPassesResponse(
        serialNumbers=[each.ticket_id for each in found], lastUpdated=f"{latest.timestamp():.3f}"
    )


@router.get("/passes/{pass_type}/{ticket_id}", response_class=Response, responses=PROBLEMS)
async def get_latest_pass(ticket_id: TicketId, apple: Offered, signer: Signer, printer: CurrentPrinter) -> Response:
    """Get the pass as it is now; void once the ticket is."""
    booking = await _booking_of(ticket_id)
    if transfer := model.transfer_to(booking, ticket_id):
        booking, seat_id = model.received(booking, transfer), transfer.seat_id
    else:
        seat_id = ticket_id.rpartition("-")[2]
    ticket = next((each for each in booking.tickets if each.seat.seat_id == seat_id), None)
    if ticket is None:
        raise TicketUnknown
    ticket = ticket.model_copy(update={"ticket_id": ticket_id})  # the pass of a ticket that was transferred is void
    signed = ticket.model_copy(update={"qr": signer.code_of(ticket, booking)})
    content = await printer.run(apple.one_pass, booking, signed)
    headers = {"Last-Modified": format_datetime(now(), usegmt=True), "Cache-Control": "private, no-store"}
    return Response(content, media_type=PASS, headers=headers)


@router.post("/log")
async def log_errors(body: LogRequest, apple: Apple) -> None:
    """Write what went wrong on a device to the log, without the serial numbers."""
    if apple is not None:
        log.warning("apple_wallet", count=len(body.logs))
