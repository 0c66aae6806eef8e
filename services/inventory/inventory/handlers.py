"""Consumed events: one function per event type, registered at the end."""

from collections.abc import Awaitable
from datetime import timedelta
from functools import partial

from chassis.messaging.consumer import Handlers, current_envelope
from chassis.privacy import Privacy
from contracts.booking import (
    BookingCancelled,
    BookingExchanged,
    BookingExpired,
    BookingPaid,
    BookingSeatsReturned,
    PaymentRequested,
)
from contracts.catalog import SeatLayoutPublished, ShowtimeCancelled, ShowtimeRescheduled, ShowtimeScheduled
from contracts.errors import NotYet, RejectedEvent
from contracts.inventory import InventoryDataExported, SeatsSold
from contracts.notifier import OfferUnsent
from contracts.payment import PaymentSucceeded

from inventory import settings, store
from inventory.model import Hold, HoldUnknown, SeatMapMissing, ShowtimeUnknown, in_order
from inventory.store import Replica


async def on_seat_layout_published(_: Replica, event: SeatLayoutPublished) -> None:
    """Store the seats of an auditorium."""
    await store.save_layout(event)


async def on_showtime_scheduled(_: Replica, event: ShowtimeScheduled) -> None:
    """Create the showtime. Its layout may arrive later; only requests for seats need it."""
    await store.add_showtime(event, current_envelope().time)


async def on_showtime_rescheduled(_: Replica, event: ShowtimeRescheduled) -> None:
    """Update the times of a showtime."""
    await _retry_until_known(store.reschedule_showtime(event, current_envelope().time))


async def on_showtime_cancelled(replica: Replica, event: ShowtimeCancelled) -> None:
    """Stop selling seats. Booking's events release the seats of bookings."""
    await _retry_until_known(store.cancel_showtime(replica, event.showtime_id))


async def on_payment_requested(replica: Replica, event: PaymentRequested) -> None:
    """Pin the seats for the checkout until a while after its deadline, in case no event from booking arrives."""
    until = event.payment_deadline_at + timedelta(seconds=settings.get().pin_grace_seconds)
    wanted = Hold(
        id=event.booking_id, holder=event.holder, seats=_seats(event), expires_at=until, cap_at=until, pinned=True
    )
    await _retry_until_known(store.pin_hold(replica, event.showtime_id, wanted))


async def on_payment_succeeded(replica: Replica, event: PaymentSucceeded) -> None:
    """Sell the seats, or reject the sale."""
    if event.showtime_id is None:  # an account from before payment orders
        try:
            sale = await store.sale_of_hold(event.booking_id, event.amount, event.currency)
        except HoldUnknown as error:
            raise RejectedEvent(f"the payment has no showtime, and there is no hold {event.booking_id}") from error
    else:
        sale = SeatsSold(
            hold_id=event.booking_id,
            showtime_id=event.showtime_id,
            seats=_seats(event),
            user_id=event.user_id,
            amount=event.amount,
            currency=event.currency,
            tenders=event.tenders,
        )
    await _retry_until_known(store.sell_seats(replica, sale))


async def on_booking_paid(replica: Replica, event: BookingPaid) -> None:
    """Sell the seats of a free booking, or reject the sale."""
    user_id = event.holder.user_id
    sale = SeatsSold(
        hold_id=event.booking_id, showtime_id=event.showtime_id, seats=_seats(event), user_id=user_id, amount=0
    )
    await _retry_until_known(store.sell_seats(replica, sale))


async def on_booking_expired(replica: Replica, event: BookingExpired) -> None:
    """Release the seats of an unpaid checkout."""
    await _retry_until_known(store.expire_checkout(replica, event.showtime_id, event.booking_id))


async def on_booking_over(replica: Replica, event: BookingCancelled | BookingExchanged) -> None:
    """Release a booking's seats, held or sold. The booking can never get seats again."""
    await _retry_until_known(store.cancel_booking(replica, event.showtime_id, event.booking_id, event.seats))


async def on_seats_returned(replica: Replica, event: BookingSeatsReturned) -> None:
    """Release some of a booking's sold seats. The booking keeps the others."""
    await _retry_until_known(store.return_seats(replica, event.showtime_id, event.booking_id, event.seats))


async def on_offer_unsent(_: Replica, event: OfferUnsent) -> None:
    """Keep the place of a party that never got the mail about its offer."""
    await _retry_until_known(store.forgive_offer(event.showtime_id, event.hold_id))


def _seats(event: PaymentRequested | PaymentSucceeded | BookingPaid) -> list[str]:
    if not event.seats:
        raise RejectedEvent(f"booking {event.booking_id} has no seats")
    return in_order(event.seats)


async def _retry_until_known(change: Awaitable[None]) -> None:
    """Retry an event that arrives before its showtime's own event. Raises NotYet."""
    try:
        await change
    except (ShowtimeUnknown, SeatMapMissing) as error:
        raise NotYet("the showtime has not arrived yet") from error


def privacy(replica: Replica) -> Privacy:
    """Return how this service erases and exports a person's data: their places on waitlists."""
    return Privacy(erase=partial(store.erase_waiting, replica), gather=store.waiting_of, exported=InventoryDataExported)


def handlers(replica: Replica) -> Handlers:
    """Return the handlers of this replica."""
    return {event: partial(handle, replica) for event, handle in _HANDLERS.items()}


_HANDLERS = {
    SeatLayoutPublished: on_seat_layout_published,
    ShowtimeScheduled: on_showtime_scheduled,
    ShowtimeRescheduled: on_showtime_rescheduled,
    ShowtimeCancelled: on_showtime_cancelled,
    PaymentRequested: on_payment_requested,
    PaymentSucceeded: on_payment_succeeded,
    BookingPaid: on_booking_paid,
    BookingExpired: on_booking_expired,
    BookingCancelled: on_booking_over,
    BookingExchanged: on_booking_over,
    BookingSeatsReturned: on_seats_returned,
    OfferUnsent: on_offer_unsent,
}
