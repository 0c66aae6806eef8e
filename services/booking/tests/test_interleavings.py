"""The saga with models of inventory and payment: customers, messages and timers in any order, some messages twice.

Booking uses the real table. The models of inventory and payment contain only the rules that booking relies on. Money,
seats and progress are checked after every message has been delivered and every timer has run.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from booking.handlers import TICKETS_CHANGED
from booking.model import Booking, Cancel, DeadlinePassed, Order, State
from booking.saga import LIVE, Trigger, advance
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingPaid,
    PaymentCancelRequested,
    PaymentRequested,
    RefundRequested,
)
from contracts.catalog import ShowtimeCancelled
from contracts.claims import HoldClaim
from contracts.envelope import Event
from contracts.errors import NotYet
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentSucceeded
from contracts.topology import CONSUMES
from hypothesis import HealthCheck, settings
from hypothesis import given as forall
from hypothesis import strategies as st

from . import examples as given
from .examples import NOW

EXAMPLES = int(os.environ.get("EXAMPLES", "500"))
WANTED = {"b1": [given.F7, given.F8], "b2": [given.F8], "b3": [given.F7, given.F8]}
"""The seats that each customer wants, which overlap with the others' seats."""
FAULTS = ("showtime_cancelled", "lapsed", "erased", "provider")
"""Faults that a run may include. Each run allows only some, so that runs with few faults get far."""
UNSETTLED = (State.AWAITING_PAYMENT, State.CLOSING, State.CONFIRMING)
TO_WALLETS = {("booking", event) for event in TICKETS_CHANGED}
"""Booking's own events, from which it tells wallets of a change. They change no booking."""
Publish = Callable[[Event], None]
Move = Callable[[], None]


@dataclass
class Inventory:
    """Inventory: a seat belongs to at most one live hold or one ticket; a hold of n seats is all or nothing."""

    publish: Publish
    holds: dict[str, list[str]] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    sold: dict[str, list[str]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    is_cancelled: bool = False

    def are_free(self, seats: list[str], owner: str) -> bool:
        others = [taken for each in (self.holds, self.sold) for other, taken in each.items() if other != owner]
        return not any(set(seats) & set(taken) for taken in others)

    def release(self, booking_id: str) -> None:
        self.holds.pop(booking_id, None)
        self.pinned.discard(booking_id)

    def receive(self, event: Event) -> None:
        match event:
            case PaymentRequested():
                self.pin(event.booking_id, event.seats)
            case PaymentSucceeded():
                self.sell(event.booking_id, event.seats, event.amount, event.currency)
            case BookingPaid():
                self.sell(event.booking_id, event.seats, 0, None)
            case BookingExpired() if event.booking_id not in self.sold:  # a late payment may have bought the seats
                self.release(event.booking_id)
                self.closed.add(event.booking_id)
            case BookingCancelled():  # frees held or sold seats; a later payment is refunded
                self.release(event.booking_id)
                self.sold.pop(event.booking_id, None)
                self.ended.add(event.booking_id)
            case ShowtimeCancelled():
                self.is_cancelled = True

    def pin(self, booking_id: str, seats: list[str]) -> None:
        """Pin the claim's seats, or cancel the checkout of a stale claim."""
        if booking_id in self.sold or booking_id in self.closed | self.ended:
            return
        as_claimed = self.holds.get(booking_id, seats) == seats
        if as_claimed and self.are_free(seats, booking_id) and not self.is_cancelled:
            self.holds[booking_id] = seats
            self.pinned.add(booking_id)
            return
        self.release(booking_id)
        self.closed.add(booking_id)
        reason = "lapsed" if as_claimed else "mismatch"
        self.publish(SeatsReleased(hold_id=booking_id, showtime_id=given.SHOWTIME, seats=seats, reason=reason))

    def sell(self, booking_id: str, seats: list[str], amount: int, currency: str | None) -> None:
        """Decide between payment, cancellation and lapse. A late payment buys the seats if all are free."""
        if booking_id in self.sold:
            return
        facts: dict[str, Any] = {"hold_id": booking_id, "showtime_id": given.SHOWTIME}
        self.release(booking_id)
        if self.is_cancelled or booking_id in self.ended or not self.are_free(seats, booking_id):
            self.ended.add(booking_id)
            self.publish(SaleRejected(**facts, lost=seats))
        else:
            self.sold[booking_id] = seats
            self.publish(SeatsSold(**facts, seats=seats, amount=amount, currency=currency))


@dataclass
class Account:
    """The money of one booking. Without an intent it is a tombstone: payment no longer creates one."""

    has_intent: bool
    is_open: bool
    captured: int = 0
    refunded: int = 0
    refunds: set[str] = field(default_factory=set)


@dataclass
class Payment:
    publish: Publish
    accounts: dict[str, Account] = field(default_factory=dict)

    def create_intent(self, booking_id: str) -> None:
        """Create an intent: one even if the order is used twice, none after a cancellation."""
        self.accounts.setdefault(booking_id, Account(has_intent=True, is_open=True))

    def capture(self, booking: Booking) -> None:
        account = self.accounts[booking.id]
        account.captured, account.is_open = booking.amount or 0, False
        order = {"showtime_id": booking.showtime_id, "seats": booking.seat_ids, "currency": "EUR"}
        money = {"booking_id": booking.id, "amount": account.captured}
        self.publish(PaymentSucceeded.model_validate(order | money))

    def cancel(self, booking_id: str) -> None:
        """Publish `payment.cancelled`, also without an intent, unless money was captured."""
        account = self.accounts.setdefault(booking_id, Account(has_intent=False, is_open=False))
        account.is_open = False
        if not account.captured:
            self.publish(PaymentCancelled(booking_id=booking_id))

    def refund(self, booking_id: str, refund_id: str, amount: int, *, requested: bool) -> None:
        """Refund at most the captured amount; a `refund_id` refunds once."""
        account = self.accounts[booking_id]
        amount = min(amount, account.captured - account.refunded)
        if refund_id not in account.refunds:
            account.refunds.add(refund_id)
            account.refunded += amount
        facts = {"refunded": account.refunded, "captured": account.captured, "currency": "EUR", "amount": amount}
        self.publish(
            PaymentRefunded.model_validate(
                facts | {"booking_id": booking_id, "refund_id": refund_id, "requested": requested}
            )
        )

    def receive(self, event: Event) -> None:
        match event:
            case PaymentCancelRequested():
                self.cancel(event.booking_id)
            case RefundRequested():
                self.refund(event.booking_id, event.refund_id, event.amount, requested=True)


class World:
    """The queue of each service, and every possible action of customers, Stripe and timers."""

    def __init__(self, faults: set[str]) -> None:
        self.faults = faults
        self.queues: dict[str, list[Event]] = {"inventory": [], "payment": [], "booking": []}
        self.inventory, self.payment = Inventory(self.publish), Payment(self.publish)
        self.bookings: dict[str, Booking] = {}
        self.claims: dict[str, list[HoldClaim]] = {}
        self.erased: set[str] = set()
        self.knows_cancellation = False
        self.confirmations: Counter[str] = Counter()

    def publish(self, event: Event) -> None:
        if isinstance(event, BookingConfirmed):
            self.confirmations[event.booking_id] += 1
        for service, queue in self.queues.items():
            if type(event) in CONSUMES[service] and (service, type(event)) not in TO_WALLETS:
                queue.append(event)

    def moves(self) -> list[Move]:
        """The actions that are possible now. Each message may be delivered once or twice."""
        deliveries = [
            partial(self.deliver, service, position, again=again)
            for service, queue in self.queues.items()
            for position in range(len(queue))
            for again in (False, False, True)
        ]
        moves = [*deliveries, *(move for each in WANTED for move in self.moves_of(each))]
        if "showtime_cancelled" in self.faults and not self.inventory.is_cancelled:
            moves.append(partial(self.publish, given.SHOWTIME_CANCELLED))
        return moves

    def moves_of(self, booking_id: str) -> Iterator[Move]:
        """The possible actions on one customer's hold and booking."""
        inventory = self.inventory
        booking, hold = self.bookings.get(booking_id), inventory.holds.get(booking_id)
        seats = [seat.seat_id for seat in WANTED[booking_id]]
        if booking_id not in self.claims and not inventory.is_cancelled and inventory.are_free(seats, booking_id):
            yield partial(self.hold, booking_id, seats)
        if hold and "lapsed" in self.faults:
            yield partial(inventory.release, booking_id)  # a pinned hold lapses by its hard cap
        if hold and len(hold) > 1 and booking_id not in inventory.pinned:
            yield partial(self.drop_a_seat, booking_id)
        if booking is None:
            for claim in self.claims.get(booking_id, []):
                yield from (partial(self.check_out, claim, kind) for kind in ("adult", "adult", "child"))
            return
        if "erased" in self.faults and booking_id not in self.erased:
            yield partial(self.erase, booking_id)
        if booking.state is State.AWAITING_PAYMENT:
            yield partial(self.advance_booking, booking_id, Cancel("by_customer"))
        if booking.state is State.CONFIRMED:
            yield partial(self.advance_booking, booking_id, Cancel("by_staff"))  # within policy
        if booking.due_at:
            yield partial(self.advance_booking, booking_id, DeadlinePassed())
        yield from self.moves_of_money(booking)

    def moves_of_money(self, booking: Booking) -> Iterator[Move]:
        """The possible actions of the customer and Stripe on the payment of a checkout."""
        booking_id, payment = booking.id, self.payment
        account = payment.accounts.get(booking_id)
        if booking.amount and not account:
            yield from 2 * [partial(payment.create_intent, booking_id)]
        if account and account.has_intent and not account.captured:
            yield partial(payment.capture, booking)  # possibly after Stripe reported the intent as cancelled
            yield partial(self.publish, PaymentFailed(booking_id=booking_id, code="declined"))
            if "provider" in self.faults:
                yield partial(payment.cancel, booking_id)
        if account and account.captured > account.refunded and "provider" in self.faults:
            yield partial(payment.refund, booking_id, "at-the-provider", account.captured, requested=False)

    # ---- customers

    def hold(self, booking_id: str, seats: list[str]) -> None:
        self.inventory.holds[booking_id] = seats
        self.claims[booking_id] = [given.held(hold_id=booking_id, seats=WANTED[booking_id])]

    def drop_a_seat(self, booking_id: str) -> None:
        """Remove a seat from the hold. Its earlier claim is stale now, but its owner may still send it."""
        self.inventory.holds[booking_id] = self.inventory.holds[booking_id][:1]
        fewer = {"seats": WANTED[booking_id][:1], "revision": 1}
        self.claims[booking_id].append(self.claims[booking_id][0].model_copy(update=fewer))

    def check_out(self, claim: HoldClaim, kind: str) -> None:
        """Check out, possibly on a replica that does not know the cancellation yet. A claim creates one booking."""
        order = Order({seat.seat_id: kind for seat in claim.seats}, "ada@example.org")
        self.advance_booking(claim.hold_id, given.checkout(order, claim))

    def erase(self, booking_id: str) -> None:
        """Erase a person: cancel unpaid bookings and remove the person's data from settled ones."""
        self.erased.add(booking_id)
        booking = self.bookings[booking_id]
        if booking.state is State.AWAITING_PAYMENT:
            self.advance_booking(booking_id, Cancel("by_customer"))
        elif booking.state not in UNSETTLED:
            self.bookings[booking_id] = booking.model_copy(update={"email": None, "name": None})

    def cascade(self) -> None:
        """Apply the showtime's cancellation to the live bookings and to those that may be paid late."""
        for booking_id, booking in list(self.bookings.items()):
            if booking.state in (*LIVE, State.EXPIRED):
                self.advance_booking(booking_id, given.SHOWTIME_CANCELLED)

    # ---- messages

    def advance_booking(self, booking_id: str, trigger: Trigger) -> None:
        """Apply one transition of the real saga; an unexpected event fails the test."""
        booking = self.bookings.get(booking_id)
        moment = booking.due_at if booking and booking.due_at and isinstance(trigger, DeadlinePassed) else NOW
        outcome = advance(booking, trigger, moment)
        if outcome:
            self.bookings[booking_id] = outcome.booking
            for event in outcome.events:
                self.publish(event)

    def deliver(self, service: str, position: int, *, again: bool) -> None:
        queue = self.queues[service]
        event = queue[position] if again else queue.pop(position)
        if service == "inventory":
            self.inventory.receive(event)
        elif service == "payment":
            self.payment.receive(event)
        elif isinstance(event, ShowtimeCancelled):
            self.knows_cancellation = True
            self.cascade()
        else:
            try:
                self.advance_booking(event.subject, event)
            except NotYet:
                queue.extend([] if again else [event])

    def settle(self) -> None:
        """Deliver every message and run every timer until nothing is outstanding."""
        for _ in range(50):
            for service in 10 * tuple(self.queues):
                for _ in range(len(self.queues[service])):
                    self.deliver(service, 0, again=False)
            if self.knows_cancellation:
                self.cascade()  # the second update, for checkouts with a stale offer
            for booking_id in self.erased:
                self.erase(booking_id)
            if not any(self.queues.values()) and not any(booking.due_at for booking in self.bookings.values()):
                return
            for booking_id in self.bookings:
                self.advance_booking(booking_id, DeadlinePassed())
        raise AssertionError(f"a saga does not end: {self.bookings}, {self.queues}")


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@forall(st.sets(st.sampled_from(FAULTS)), st.lists(st.integers(0, 10_000), min_size=20, max_size=80))
def test_money_seats_and_progress_in_any_order(faults: set[str], choices: list[int]) -> None:
    world = World(faults)
    for choice in choices:
        if moves := world.moves():
            moves[choice % len(moves)]()
    world.settle()

    sold = world.inventory.sold
    assert all(count == 1 for count in Counter(seat for seats in sold.values() for seat in seats).values()), "once"
    assert sold.keys() == {each.id for each in world.bookings.values() if each.state is State.CONFIRMED}
    assert not world.inventory.pinned, "no seat stays pinned"
    for booking in world.bookings.values():
        account = world.payment.accounts.get(booking.id) or Account(has_intent=False, is_open=False)
        entitled = booking.amount if booking.state is State.CONFIRMED else 0
        assert account.captured - account.refunded == entitled, booking
        assert account.refunded <= account.captured
        assert booking.state in (State.CONFIRMED, State.EXPIRED, State.CANCELLED, State.REFUNDED)
        assert not (booking.state is State.CONFIRMED and world.inventory.is_cancelled)
        assert sold.get(booking.id, booking.seat_ids) == booking.seat_ids
        assert booking.email is None or booking.id not in world.erased
        was_confirmed = State.CONFIRMED in [passage.state for passage in booking.history]
        assert world.confirmations[booking.id] == int(was_confirmed), "tickets are mailed once"


def test_the_second_update_finds_a_checkout_with_a_stale_offer() -> None:
    """Booking knows the cancellation, but one replica has an older offer and inventory does not know it yet."""
    world = World(set())
    world.hold("b1", ["F7", "F8"])
    world.publish(given.SHOWTIME_CANCELLED)
    world.deliver("booking", 0, again=False)
    world.check_out(world.claims["b1"][0], "child")
    world.deliver("inventory", 1, again=False)
    world.deliver("booking", 0, again=False)
    assert world.bookings["b1"].state is State.CONFIRMED
    world.settle()
    assert (world.bookings["b1"].state, world.inventory.sold) == (State.REFUNDED, {})
