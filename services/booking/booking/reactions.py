"""Events in. What concerns one booking goes through the saga; a showtime's change goes to each of its bookings."""

from chassis.messaging import current_envelope
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled, ShowtimeScheduled
from contracts.envelope import Event
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded

from booking import store, tickets
from booking.model import Replaced, State


async def on_saga_event(event: Event) -> None:
    """An event whose subject is the booking: one step."""
    await store.drive(event.subject, event, tickets.issue)


async def on_seats_sold(event: SeatsSold) -> None:
    """Confirm the booking. That makes an exchange complete: the booking that it replaces ends."""
    booking = await store.drive(event.hold_id, event, tickets.issue)
    if booking.replaces and booking.state is State.CONFIRMED:
        await store.drive(booking.replaces, Replaced(by=booking.id, amount=booking.amount or 0))


async def on_showtime_scheduled(event: ShowtimeScheduled) -> None:
    """Keep what selling takes."""
    await store.add_showtime(event, current_envelope().time)


async def on_showtime_rescheduled(event: ShowtimeRescheduled) -> None:
    """Move the showtime and then its bookings."""
    await store.move_showtime(event, current_envelope().time)
    await store.cascade(event.showtime_id)


async def on_showtime_cancelled(event: ShowtimeCancelled) -> None:
    """Close the showtime and then end its bookings."""
    await store.cancel_showtime(event.showtime_id)
    await store.cascade(event.showtime_id)


REACTIONS = {
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
