"""Handlers of consumed events. An event about a booking advances it; one about a showtime advances all its bookings."""

from chassis.messaging.consumer import current_envelope
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled, ShowtimeScheduled
from contracts.envelope import Event
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded

from booking import store, tickets
from booking.model import Replaced, State


async def on_saga_event(event: Event) -> None:
    """Advance the booking that is the event's subject."""
    await store.advance_booking(event.subject, event, tickets.issue)


async def on_seats_sold(event: SeatsSold) -> None:
    """Confirm the booking. If it replaces another booking, end that one, which completes the exchange."""
    booking = await store.advance_booking(event.hold_id, event, tickets.issue)
    if booking.replaces and booking.state is State.CONFIRMED:
        await store.advance_booking(booking.replaces, Replaced(by=booking.id, amount=booking.amount or 0))


async def on_showtime_scheduled(event: ShowtimeScheduled) -> None:
    """Store the showtime's prices and times."""
    await store.add_showtime(event, current_envelope().time)


async def on_showtime_rescheduled(event: ShowtimeRescheduled) -> None:
    """Move the showtime and then its bookings."""
    await store.move_showtime(event, current_envelope().time)
    await store.cascade(event.showtime_id)


async def on_showtime_cancelled(event: ShowtimeCancelled) -> None:
    """Close the showtime and then end its bookings."""
    await store.cancel_showtime(event.showtime_id)
    await store.cascade(event.showtime_id)


HANDLERS = {
    ShowtimeScheduled: on_showtime_scheduled,
    ShowtimeRescheduled: on_showtime_rescheduled,
    ShowtimeCancelled: on_showtime_cancelled,
    SeatsReleased: on_saga_event,
    SeatsSold: on_seats_sold,
    SaleRejected: on_saga_event,
    PaymentFailed: on_saga_event,
    PaymentCancelled: on_saga_event,
    PaymentRefunded: on_saga_event,
}
