"""Handlers of consumed events. An event about a booking advances it; one about a showtime advances all its bookings."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, get_args

from chassis.clock import now
from chassis.messaging.consumer import Handlers, current_envelope
from chassis.privacy import Privacy
from contracts.booking import (
    BookingCancelled,
    BookingDataExported,
    BookingExchanged,
    BookingRescheduled,
    BookingTicketsCancelled,
    BookingTicketsExchanged,
    BookingTicketTransferred,
)
from contracts.catalog import ShowtimeCancelled, ShowtimeChangeRefused, ShowtimeRescheduled, ShowtimeScheduled
from contracts.envelope import Event
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.notifier import MailFailed
from contracts.payment import PaymentCancelled, PaymentDisputed, PaymentFailed, PaymentRefunded, PaymentRefundFailed

from booking import store
from booking.documents import AppleWallet
from booking.model import Booking, Cancel, State, is_customers
from booking.saga import record_passed_on, refunded_booking
from booking.signing import Signer
from booking.store import ProcessManager, Showtimes

TicketsChanged = (
    BookingRescheduled
    | BookingCancelled
    | BookingTicketsCancelled
    | BookingTicketsExchanged
    | BookingTicketTransferred
    | BookingExchanged
)
TICKETS_CHANGED = get_args(TicketsChanged)
EXPORTED_FIELDS = {
    "id", "reference", "state", "holder", "showtime_id", "screening", "seats", "lines", "amount", "currency", "email",
    "name", "locale", "opened_at", "payment_deadline_at", "refund_policy", "refunded_amount", "refunds", "is_disputed",
    "replaces", "exchange", "exchanges", "ending", "history", "mailings", "promotions",
}  # fmt: skip
"""Without the tickets' QR texts, which grant admission."""
WITHHELD = {"refunds": {"__all__": {"note", "quote_id"}}, "mailings": {"__all__": {"staff_id"}}}
"""What staff wrote for staff, and who they are."""
GIVEN_FIELDS = {"ticket_id", "email", "sender", "message", "locale", "state", "offered_at", "settled_at"}
RECEIVED_FIELDS = GIVEN_FIELDS | {"seat_id"}


async def on_saga_event(manager: ProcessManager, event: Event) -> None:
    """Advance the booking that is the event's subject."""
    await manager.advance(event.subject, event)


async def on_seats_sold(manager: ProcessManager, event: SeatsSold) -> None:
    """Confirm the booking; one that replaces another, by completing the exchange."""
    booking = await manager.advance(event.hold_id, event)
    if booking.state is State.EXCHANGING:
        await store.complete_exchange(manager, booking)


async def on_refund(manager: ProcessManager, event: PaymentRefunded | PaymentRefundFailed) -> None:
    """Advance the booking whose tickets are refunded; the money may be on the payment of one that it replaces."""
    booking_id = refunded_booking(event)
    if booking_id != event.booking_id:
        await manager.amend(event.booking_id, partial(record_passed_on, event=event))
    await manager.advance(booking_id, event)


async def on_payment_disputed(manager: ProcessManager, event: PaymentDisputed) -> None:
    """Advance the booking, and store the dispute for the staff's list."""
    booking = await manager.advance(event.subject, event)
    await store.record_dispute(event, booking, current_envelope().time)


async def on_showtime_scheduled(showtimes: Showtimes, event: ShowtimeScheduled) -> None:
    """Store the showtime's theater, prices and times."""
    await showtimes.add(event, current_envelope().time)


async def on_showtime_rescheduled(showtimes: Showtimes, event: ShowtimeRescheduled) -> None:
    """Move the showtime and then its bookings."""
    envelope = current_envelope()
    await showtimes.move(event, envelope.time, envelope.id)
    await showtimes.cascade(event.showtime_id)


async def on_showtime_cancelled(showtimes: Showtimes, event: ShowtimeCancelled) -> None:
    """Close the showtime and then end its bookings."""
    await showtimes.cancel(event, current_envelope().id)
    await showtimes.cascade(event.showtime_id)


async def on_showtime_change_refused(event: ShowtimeChangeRefused) -> None:
    """Store why catalog did not make an approved change."""
    await store.refuse_change(event.change_id, event.code, event.detail)


async def on_mail_failed(event: MailFailed) -> None:
    """Store that a mail about the booking could not be delivered, so that its page says so.

    The notice to a former address does not count: it is replaced because mails do not arrive there.
    """
    if event.kind != "email_changed":
        await store.set_failed_mail(event.booking_id, event.kind, event.queued_at)


async def on_tickets_changed(apple: AppleWallet | None, event: TicketsChanged) -> None:
    """Tell the devices with passes of the booking that these have changed."""
    if apple is None:
        return
    for push_token in await store.mark_passes_changed(event.booking_id, now()):
        if not await apple.tell(push_token):
            await store.forget_push_token(event.booking_id, push_token)


def handlers(manager: ProcessManager, showtimes: Showtimes, apple: AppleWallet | None) -> Handlers:
    """The handler of each consumed event."""
    saga_events = (
        *(SeatsReleased, SaleRejected),
        *(PaymentFailed, PaymentCancelled),
    )
    return {
        ShowtimeScheduled: partial(on_showtime_scheduled, showtimes),
        ShowtimeRescheduled: partial(on_showtime_rescheduled, showtimes),
        ShowtimeCancelled: partial(on_showtime_cancelled, showtimes),
        ShowtimeChangeRefused: on_showtime_change_refused,
        SeatsSold: partial(on_seats_sold, manager),
        MailFailed: on_mail_failed,
        PaymentDisputed: partial(on_payment_disputed, manager),
        PaymentRefunded: partial(on_refund, manager),
        PaymentRefundFailed: partial(on_refund, manager),
        **dict.fromkeys(TICKETS_CHANGED, partial(on_tickets_changed, apple)),
        **dict.fromkeys(saga_events, partial(on_saga_event, manager)),
    }


async def erase(manager: ProcessManager, signer: Signer, user_id: str) -> None:
    """Cancel the person's unpaid bookings and remove their data from the others. Tickets stay valid.

    The same goes for tickets that they received.

    Until a showtime with tickets is over, the address is kept encrypted for mails about its changes.
    """

    async def cancel_unpaid(booking: Booking) -> Cancel | None:
        return Cancel("by_customer") if booking.state is State.AWAITING_PAYMENT else None

    async for booking in store.owned_by(user_id):
        screening = booking.screening if booking.state is State.CONFIRMED else None
        if booking.state is State.AWAITING_PAYMENT:
            await manager.advance(booking.id, cancel_unpaid)
        elif booking.email and screening and screening.ends_at > now():
            await store.keep_contact(booking, signer.seal(booking.email), screening.ends_at)
        await store.forget_passes(booking.id)
        if booking.uses_id:
            await store.forget_person(booking.uses_id)
    await store.erase_owner(user_id)
    await store.erase_recipient(user_id)


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the person's bookings, with the offers of their tickets, and the tickets that they have accepted."""
    async for booking in store.owned_by(user_id):
        given = [each.model_dump(include=GIVEN_FIELDS) for each in booking.transfers if is_customers(booking, each)]
        yield booking.model_dump(include=EXPORTED_FIELDS, exclude=WITHHELD) | {"transfers": given}
    async for booking in store.received_by(user_id):
        for transfer in booking.transfers:
            if transfer.user_id == user_id:
                facts = transfer.model_dump(include=RECEIVED_FIELDS)
                yield facts | {"screening": booking.screening.model_dump() if booking.screening else None}


def privacy(manager: ProcessManager, signer: Signer) -> Privacy:
    """Erases and exports personal data in bookings."""
    return Privacy(erase=partial(erase, manager, signer), gather=gather, exported=BookingDataExported)
