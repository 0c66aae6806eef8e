"""Events in: one function per event that inventory hears, and the map of them at the foot."""

from collections.abc import Awaitable
from datetime import timedelta

from chassis.messaging import current_envelope
from contracts.booking import BookingCancelled, BookingExchanged, BookingExpired, BookingPaid, PaymentRequested
from contracts.catalog import SeatLayoutPublished, ShowtimeCancelled, ShowtimeRescheduled, ShowtimeScheduled
from contracts.errors import NotYet, RejectedEvent

from inventory import settings, store
from inventory.model import ShowtimeUnknown, in_order


async def on_seat_layout_published(event: SeatLayoutPublished) -> None:
    """Keep the seats of an auditorium."""
    await store.publish_layout(event)


async def on_showtime_scheduled(event: ShowtimeScheduled) -> None:
    """Begin a showtime. Its layout may come later: it is needed only when somebody asks for seats."""
    await store.schedule(event, current_envelope().time)


async def on_showtime_rescheduled(event: ShowtimeRescheduled) -> None:
    """Move a showtime."""
    await _once_known(store.reschedule(event, current_envelope().time))


async def on_showtime_cancelled(event: ShowtimeCancelled) -> None:
    """Stop selling. Seats of bookings come back by booking's own events."""
    await _once_known(store.cancel_showtime(event.showtime_id))


async def on_payment_requested(event: PaymentRequested) -> None:
    """Keep the seats for the checkout, beyond its deadline in case that booking never answers."""
    until = event.payment_deadline_at + timedelta(seconds=settings.get().pin_grace_seconds)
    await _once_known(store.pin(event.showtime_id, event.booking_id, _seats(event), until))


async def on_booking_paid(event: BookingPaid) -> None:
    """Sell, or reject the sale."""
    await _once_known(store.sell(event.showtime_id, event.booking_id, _seats(event), event.holder.user_id))


async def on_booking_expired(event: BookingExpired) -> None:
    """Let an unpaid checkout's seats go."""
    await _once_known(store.expire(event.showtime_id, event.booking_id))


async def on_booking_over(event: BookingCancelled | BookingExchanged) -> None:
    """Let a booking's seats go, whether it was paid or not."""
    await _once_known(store.cancel(event.showtime_id, event.booking_id))


def _seats(event: PaymentRequested | BookingPaid) -> list[str]:
    if not event.seats:
        raise RejectedEvent(f"booking {event.booking_id} names no seats")
    return in_order(event.seats)


async def _once_known(change: Awaitable[None]) -> None:
    """An event may overtake the one that makes its showtime known."""
    try:
        await change
    except ShowtimeUnknown as error:
        raise NotYet("the showtime is not known yet") from error


REACTIONS = {
    SeatLayoutPublished: on_seat_layout_published,
    ShowtimeScheduled: on_showtime_scheduled,
    ShowtimeRescheduled: on_showtime_rescheduled,
    ShowtimeCancelled: on_showtime_cancelled,
    PaymentRequested: on_payment_requested,
    BookingPaid: on_booking_paid,
    BookingExpired: on_booking_expired,
    BookingCancelled: on_booking_over,
    BookingExchanged: on_booking_over,
}
