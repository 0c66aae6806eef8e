"""The customer's choice after the cinema has moved the showtime far: keep the tickets, or get everything back."""

from datetime import datetime
from typing import Annotated, Literal

from chassis.clock import now
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.observability import telemetry
from chassis.security.auth import Caller
from contracts.types import StorableMoment
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from booking import model, store
from booking.api.access import CurrentCaller, LinkKey, Manager, Signer, is_link, visible_booking, visible_by_link
from booking.api.responses import BookingId, BookingResponse, to_response
from booking.model import BookingBusy, BookingUnknown, CancelTickets, ChoiceClosed, LinkVoid
from booking.saga import Amendment, keep_tickets

router = APIRouter(prefix="/api/bookings", tags=["bookings"])


class ChoiceRequest(BaseModel):
    """The customer's choice. `starts_at` is the new start that the customer has seen."""

    model_config = ConfigDict(extra="forbid")

    choice: Literal["keep", "refund"]
    starts_at: Annotated[StorableMoment, Field(description="The booking's `choice.starts_at`.")]


@router.post(
    "/{booking_id}/choice",
    responses=documented(Unauthenticated, Forbidden, BookingUnknown, LinkVoid, ChoiceClosed, BookingBusy),
)
async def choose(
    booking_id: BookingId, *, body: ChoiceRequest, caller: CurrentCaller, key: LinkKey, manager: Manager, signer: Signer
) -> BookingResponse:
    """Keep the tickets of a showtime that was moved by more than 15 minutes, or get everything back, until the start.

    For the owner, with the guest secret or a guest's mailed link. Without a choice the tickets are kept; after `keep`,
    a refund can still be chosen. Repeating a choice changes nothing. 409 `choice_closed` when there is no such choice,
    or the showtime was moved again.
    """
    telemetry.set_subject(booking_id)
    booking = await (visible_by_link(caller, booking_id, key) if key else visible_booking(caller, booking_id))
    has_link = await is_link(key, booking_id)
    _check_customer(caller, booking, has_link=has_link)
    name = f"choice-{body.starts_at.timestamp():.0f}"

    async def refund_all(booking: model.Booking) -> CancelTickets | None:
        """The command, decided on the booking and its showtime as they are stored now; None for a repeat."""
        _check_customer(caller, booking, has_link=has_link)
        if any(refund.quote_id == name for refund in booking.refunds):
            return None
        current = await store.after_showtimes_change(booking)
        _check_open(current, body.starts_at)
        refunds = model.quote_cancellation(current, [], "by_customer", now()).refunds
        if not refunds:
            raise ChoiceClosed("The tickets have already been used.")
        return CancelTickets(refunds, "by_customer", name)

    def keep(booking: model.Booking) -> Amendment | None:
        _check_customer(caller, booking, has_link=has_link)
        _check_open(booking, body.starts_at)
        return keep_tickets(booking)

    if body.choice == "refund":
        return to_response(await manager.advance(booking_id, refund_all), signer, caller)
    return to_response(await manager.amend(booking_id, keep), signer, caller)


def _check_customer(caller: Caller, booking: model.Booking, *, has_link: bool) -> None:
    """Raises Forbidden unless the caller is the customer: staff cancel tickets by a quote."""
    if not (caller.owns(booking.holder) or (has_link and booking.holder.user_id is None)):
        raise Forbidden("Only the customer can make this choice.")


def _check_open(booking: model.Booking, starts_at: datetime) -> None:
    """Raises ChoiceClosed unless the customer can choose now, for this start."""
    choice = model.move_choice(booking, now())
    if choice is None or choice.starts_at != starts_at:
        raise ChoiceClosed
