"""Periodic work: deadlines, repeated requests to services that have not answered, and gauges."""

from functools import partial

import structlog
from chassis.clock import now
from chassis.jobs import Job
from chassis.observability import telemetry
from prometheus_client import Counter, Gauge

from booking import store
from booking.model import DeadlinePassed, State
from booking.store import ProcessManager, Showtimes

log = structlog.get_logger()
BATCH = 500
WAITING_FOR_PARTNER = (State.CLOSING, State.CONFIRMING, State.EXCHANGING, State.REFUNDING)
_reminders = Counter("usher_booking_reminders_total", "Requests repeated without an answer", ["state"])
_open = Gauge("usher_booking_open_sagas", "Bookings whose saga has not ended", ["state"])
_oldest = Gauge("usher_booking_oldest_saga_seconds", "How long the oldest of them has been in its state", ["state"])
_refunds = Gauge("usher_booking_unsettled_refunds", "Refunds under way, and failed ones to be repeated", ["state"])
_oldest_refund = Gauge("usher_booking_oldest_refund_seconds", "How long the oldest of them has been so", ["state"])
_failures = Counter("usher_booking_deadline_failures_total", "Deadlines whose processing failed")


async def pass_deadlines(manager: ProcessManager) -> None:
    """Advance every booking whose `due_at` has passed. A failure does not delay the other bookings."""
    async for booking_id, state in store.due_bookings(now(), BATCH):
        try:
            with telemetry.span("deadline", subject=booking_id):
                after = await manager.advance(booking_id, DeadlinePassed())
                if after.state is State.EXCHANGING:
                    after = await store.complete_exchange(manager, after)
        except Exception:
            _failures.inc()
            log.exception("deadline_failed", booking_id=booking_id)
            continue
        if after.state == state and (state in WAITING_FOR_PARTNER or after.open_refunds):
            _reminders.labels(state).inc()
            log.warning("partner_silent", booking_id=booking_id, state=state)


async def cascade_again(showtimes: Showtimes) -> None:
    """Apply changes of showtimes to the bookings that a replica created from a stale copy."""
    async for showtime in store.due_cascades(now(), BATCH):
        try:
            is_complete = await showtimes.cascade(showtime.id)
        except Exception:
            log.exception("cascade_failed", showtime_id=showtime.id)
        else:
            await store.end_cascade(showtime, is_complete=is_complete)


async def settle_uses() -> None:
    """Bring the uses of promotions up to the states of their bookings, and release those without a booking."""
    async for booking in store.open_uses(BATCH):
        try:
            await store.settle(booking)
        except Exception:
            log.exception("uses_not_settled", booking_id=booking.id)
    await store.release_orphans(BATCH)


async def erase_contacts() -> None:
    """Remove kept addresses of erased persons after their showtimes."""
    await store.erase_contacts(now())


async def measure() -> None:
    """Set the gauges of open sagas and unsettled refunds."""
    moment = now()
    found = {state: (count, since) async for state, count, since in store.open_sagas()}
    for state in (State.AWAITING_PAYMENT, *WAITING_FOR_PARTNER):
        count, since = found.get(state, (0, moment))
        _open.labels(state).set(count)
        _oldest.labels(state).set((moment - since).total_seconds())
    refunds = {state: (count, since) async for state, count, since in store.unsettled_refunds()}
    for state in store.UNSETTLED_REFUNDS:
        count, since = refunds.get(state, (0, moment))
        _refunds.labels(state).set(count)
        _oldest_refund.labels(state).set((moment - since).total_seconds())


def clear_measurements() -> None:
    """Remove the gauges: another replica sets them now."""
    for gauge in (_open, _oldest, _refunds, _oldest_refund):
        gauge.clear()


def jobs(manager: ProcessManager, showtimes: Showtimes) -> list[Job]:
    """The jobs of this service."""
    return [
        Job("pass_deadlines", every=1.0, run=partial(pass_deadlines, manager)),
        Job("cascade_again", every=5.0, run=partial(cascade_again, showtimes)),
        Job("settle_uses", every=2.0, run=settle_uses),
        Job("erase_contacts", every=600.0, run=erase_contacts),
        Job("measure", every=15.0, run=measure, stand_by=clear_measurements),
    ]
