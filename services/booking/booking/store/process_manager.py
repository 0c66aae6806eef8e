"""The process manager of the saga: the only code that creates a booking and changes its state."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import structlog
from cachetools import LRUCache
from chassis.clock import now
from contracts.envelope import Event
from contracts.errors import NotYet, RejectedEvent
from prometheus_client import Counter, Histogram

from booking.model import Booking, BookingBusy, BookingUnknown, Checkout, State
from booking.saga import Amendment, Outcome, Trigger, adoption, advance, name_of
from booking.signing import Signer
from booking.store.documents import bookings

TriggerFactory = Callable[[Booking], Awaitable[Trigger | None]]

log = structlog.get_logger()
ATTEMPTS = 20
CACHED_BOOKINGS = 2000
REFERENCE_LETTERS = "CDFGHJKMNPQRTVWXY34679"
"""No characters that are easily confused when spoken or handwritten, and no vowels, which could spell a word."""
BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 180, 600, 1800, 86_400)
_steps = Counter("usher_booking_steps_total", "Steps of the saga", ["event", "state"])
_in_state = Histogram("usher_booking_state_seconds", "How long bookings were in a state", ["state"], buckets=BUCKETS_S)
_to_confirmed = Histogram("usher_booking_confirmed_seconds", "Time from the checkout to the tickets", buckets=BUCKETS_S)


class ProcessManager:
    """Advances bookings. Caches what this replica wrote last, so that the next event need not read it again.

    Another replica may have changed a booking since. So each write is guarded by the version that the transition was
    decided on, and a rejection is based on the stored booking.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._recent: LRUCache[str, Booking] = LRUCache(CACHED_BOOKINGS)

    async def create(self, checkout: Checkout) -> Booking:
        """Insert the booking of a checkout; returns the stored booking, which may be from an earlier checkout.

        The insert needs no read first: the booking has the hold's id, so a hold becomes one booking. Raises
        BookingBusy.
        """
        for _ in range(ATTEMPTS):
            outcome = advance(None, checkout, now())
            assert outcome is not None  # noqa: S101 - a checkout always creates a booking
            if await bookings.insert(outcome.booking, events=outcome.events):
                return self._record(checkout, outcome, version=1)
            if booking := await bookings.get(checkout.hold.hold_id):
                return booking
            log.info("reference_taken", booking_id=checkout.hold.hold_id)
            checkout = replace(checkout, reference=new_reference())
        raise BookingBusy(retry_after=1)

    async def advance(
        self, booking_id: str, trigger: Trigger | TriggerFactory, *, also: Sequence[Event] = ()
    ) -> Booking:
        """Apply one transition of the saga; returns the booking after it, or unchanged if none applies.

        The same write publishes the events of `also`.

        `trigger` is an event or command, or a function that chooses one for the stored booking (None: do nothing).
        After a concurrent change of the booking, the transition is decided again. Raises the errors of `saga.advance`
        and of the function, BookingBusy when every attempt loses a race, and BookingUnknown when the function has no
        booking.
        """
        for _ in range(ATTEMPTS):
            if isinstance(trigger, Trigger):
                event = trigger
                booking, outcome = await self._decide(booking_id, event)
            else:
                booking = await bookings.get(booking_id)
                if booking is None:
                    raise BookingUnknown
                if (event := await trigger(booking)) is None:
                    return booking
                outcome = advance(booking, event, now())
            if outcome is None:
                return booking
            if await bookings.update(
                {"_id": booking_id, "version": booking.version},
                {"$set": outcome.booking.model_dump(include=set(outcome.changed))},
                events=[*(self._addressed(each, outcome.booking) for each in _events_of(outcome)), *also],
            ):
                return self._record(event, outcome, version=booking.version + 1)
            self.forget(booking_id)
        raise BookingBusy(retry_after=1)

    async def amend(self, booking_id: str, decide: Callable[[Booking], Amendment | None]) -> Booking:
        """Make a change outside the saga's table; returns the booking after it, or unchanged if there is none.

        `decide` decides it on the stored booking, again after each concurrent change. Raises its errors, BookingBusy
        and BookingUnknown.
        """
        for _ in range(ATTEMPTS):
            booking = await bookings.get(booking_id)
            if booking is None:
                raise BookingUnknown
            if (amendment := decide(booking)) is None:
                return booking
            after = amendment.booking
            if await bookings.update(
                {"_id": booking_id, "version": booking.version},
                {"$set": after.model_dump(include=set(amendment.changed))},
                events=[self._addressed(each, after) for each in amendment.events],
            ):
                self.forget(booking_id)
                return after.model_copy(update={"version": booking.version + 1})
        raise BookingBusy(retry_after=1)

    def _addressed(self, event: Event, booking: Booking) -> Event:
        with_codes = self._signer.with_codes(event, booking)
        return self._signer.with_recipient(self._signer.with_link(with_codes, booking, now()), booking)

    def forget(self, booking_id: str) -> None:
        """Remove the booking from the cache."""
        self._recent.pop(booking_id, None)

    async def _decide(self, booking_id: str, event: Trigger) -> tuple[Booking, Outcome | None]:
        """Decide the transition, first on this replica's latest copy, then on the stored booking if none applies."""
        if booking := self._recent.get(booking_id):
            with suppress(NotYet, RejectedEvent):
                if outcome := advance(booking, event, now()):
                    return booking, outcome
        booking = await bookings.get(booking_id)
        outcome = advance(booking, event, now())
        assert booking is not None  # noqa: S101 - `advance` raises when there is no booking
        return booking, outcome

    def _record(self, event: Trigger, outcome: Outcome, version: int) -> Booking:
        booking = outcome.booking.model_copy(update={"version": version})
        self._recent[booking.id] = booking
        _steps.labels(name_of(event), booking.state).inc()
        if "history" in outcome.changed and len(booking.history) > 1:
            previous, entered = booking.history[-2:]
            _in_state.labels(previous.state).observe((entered.at - previous.at).total_seconds())
            if entered.state is State.CONFIRMED:
                _to_confirmed.observe((entered.at - booking.opened_at).total_seconds())
        log.info("booking_advanced", booking_id=booking.id, state=booking.state, by=name_of(event))
        return booking


def _events_of(outcome: Outcome) -> list[Event]:
    """The events of a transition; of a booking that was a guest's, also that about its owner."""
    return [*outcome.events, *(adoption(outcome.booking) if "history" in outcome.changed else [])]


def new_reference() -> str:
    """Generate eight letters and digits that are easy to read aloud; 5e10 values are possible."""
    return "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(8))
