"""What the owner of a booking may correct: who owns it, the address for mails, and tickets mailed again."""

from collections.abc import Callable
from typing import Annotated, Literal

from chassis.clock import now
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.ids import new_id
from chassis.observability import telemetry
from chassis.security.auth import Caller, Principal, signed_in
from contracts.types import Email
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from booking import saga, store
from booking.api.access import CurrentCaller, LinkKey, Manager, Signer, is_link, mailer_of
from booking.api.responses import BookingId, BookingResponse, to_response
from booking.model import (
    AccountsBooking,
    AddressFixed,
    Booking,
    BookingBusy,
    BookingUnknown,
    LinkVoid,
    MailedBy,
    MailedRecently,
    Mailing,
    NoTickets,
)

router = APIRouter(prefix="/api/bookings", tags=["bookings"])
PROBLEMS = (Unauthenticated, Forbidden, BookingUnknown, LinkVoid, MailedRecently, BookingBusy)


class EmailRequest(BaseModel):
    """The address that mails about the booking go to from now on."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"email": "ada@example.org"}]})

    email: Email


@router.post("/{booking_id}/adopt", responses=documented(Unauthenticated, BookingUnknown, BookingBusy))
async def adopt_booking(
    booking_id: BookingId,
    caller: CurrentCaller,
    person: Annotated[Principal, Depends(signed_in)],
    manager: Manager,
    signer: Signer,
) -> BookingResponse:
    """Make a guest's booking the signed-in person's. It needs the guest's secret; a repetition changes nothing.

    A checkout or payment that the guest has begun goes on.
    """
    telemetry.set_subject(booking_id)

    def decide(booking: Booking) -> saga.Amendment | None:
        if not caller.owns(booking.holder):
            raise BookingUnknown
        return saga.adopt(booking, person.user_id)

    return to_response(await manager.amend(booking_id, decide), signer, caller)


@router.put("/{booking_id}/email", responses=documented(*PROBLEMS, AddressFixed, AccountsBooking))
async def change_email(
    booking_id: BookingId, body: EmailRequest, *, caller: CurrentCaller, key: LinkKey, manager: Manager, signer: Signer
) -> BookingResponse:
    """Correct the address for mails, before or after the payment. Valid tickets are mailed to it at once.

    The former address gets a notice if mails were sent to it. For the owner, with the guest secret, for staff with
    `bookings:write`, or with a mailed link's key if the booking is a guest's.
    """

    def decide(booking: Booking, by: MailedBy) -> saga.Amendment | None:
        if by == "link" and booking.holder.user_id is not None:
            raise AccountsBooking
        return saga.change_email(booking, body.email, _mailing("email_changed", caller, by))

    return to_response(await _amend(booking_id, caller, key, manager, decide), signer, caller)


@router.post("/{booking_id}/send-tickets", responses=documented(*PROBLEMS, NoTickets))
async def send_tickets(
    booking_id: BookingId, caller: CurrentCaller, key: LinkKey, manager: Manager, signer: Signer
) -> BookingResponse:
    """Mail the tickets again to the booking's address: at most every two minutes, and ten times for customers.

    For the owner, with the guest secret or a mailed link's key, or for staff with `bookings:write`.
    """

    def decide(booking: Booking, by: MailedBy) -> saga.Amendment:
        return saga.send_again(booking, _mailing("tickets_sent", caller, by))

    return to_response(await _amend(booking_id, caller, key, manager, decide), signer, caller)


def _mailing(kind: Literal["email_changed", "tickets_sent"], caller: Caller, by: MailedBy) -> Mailing:
    staff_id = caller.principal.user_id if caller.principal and by == "staff" else None
    return Mailing(id=new_id(), kind=kind, by=by, at=now(), staff_id=staff_id)


async def _amend(
    booking_id: str,
    caller: Caller,
    key: str | None,
    manager: store.ProcessManager,
    decide: Callable[[Booking, MailedBy], saga.Amendment | None],
) -> Booking:
    """Change the booking if the caller may. Raises Unauthenticated, Forbidden, BookingUnknown and LinkVoid."""
    telemetry.set_subject(booking_id)
    if caller.principal is None and caller.secret is None and key is None:
        raise Unauthenticated
    has_link = await is_link(key, booking_id)
    try:
        return await manager.amend(
            booking_id, lambda booking: decide(booking, mailer_of(caller, booking, has_link=has_link))
        )
    except BookingUnknown as error:
        raise LinkVoid if key else error from None
