"""Events in. What concerns one booking goes through the saga; a showtime's change goes to each of its bookings."""

from chassis.messaging import current_envelope
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled, ShowtimeScheduled
from contracts.envelope import Event
from contracts.inventory import HoldChanged, SaleRejected, SeatsHeld, SeatsReleased, SeatsSold
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentSucceeded

from booking import store, tickets
from booking.model import Booking, Replaced, State


async def on_seats_held(event: SeatsHeld) -> None:
    """Open the booking. Nobody looks before the write: a second delivery finds its id taken."""
    await store.open_booking(event)


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
    """Move the showtime and then its bookings, each to the times that the showtime has by then.

    A checkout under way loses its race against this and looks at the showtime again.
    """
    await store.move_showtime(event, current_envelope().time)

    async def present_times(_: Booking) -> ShowtimeRescheduled | None:
        showtime = await store.find_showtime(event.showtime_id)
        return showtime.times if showtime else None

    async for booking_id in store.touched_by_showtime(event.showtime_id):
        await store.drive(booking_id, present_times)


async def on_showtime_cancelled(event: ShowtimeCancelled) -> None:
    """Close the showtime and then end its bookings. Bookings that open later find it closed at their checkout."""
    await store.cancel_showtime(event.showtime_id)
    async for booking_id in store.touched_by_showtime(event.showtime_id):
        await store.drive(booking_id, event)


REACTIONS = {
    ShowtimeScheduled: on_showtime_scheduled,
    ShowtimeRescheduled: on_showtime_rescheduled,
    ShowtimeCancelled: on_showtime_cancelled,
    SeatsHeld: on_seats_held,
    HoldChanged: on_saga_event,
    SeatsReleased: on_saga_event,
    SeatsSold: on_seats_sold,
    SaleRejected: on_saga_event,
    PaymentSucceeded: on_saga_event,
    PaymentFailed: on_saga_event,
    PaymentCancelled: on_saga_event,
    PaymentRefunded: on_saga_event,
}
