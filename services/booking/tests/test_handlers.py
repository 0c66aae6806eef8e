"""Consumed events: in order, repeated, late, early and invalid."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from booking import store
from booking.model import State
from booking.store import process_manager
from chassis.clock import now
from chassis.testing import until
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExpired,
    BookingRefunded,
    BookingRescheduled,
    PaymentCancelRequested,
    PaymentRequested,
    RefundRequested,
)
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.notifier import MailFailed
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded
from contracts.topology import CONSUMES

from . import examples
from .conftest import sealed_codes
from .examples import TOTAL


def released(customer: Any, reason: Any = "lapsed") -> SeatsReleased:
    return SeatsReleased(hold_id=customer.id, showtime_id=customer.showtime_id, seats=["F7", "F8"], reason=reason)


def rejected(customer: Any) -> SaleRejected:
    return SaleRejected(hold_id=customer.id, showtime_id=customer.showtime_id, lost=["F8"])


def refunded(customer: Any, refund_id: str, amount: int = TOTAL, **changes: Any) -> PaymentRefunded:
    facts = {"booking_id": customer.id, "refund_id": refund_id, "amount": amount, "refunded": amount}
    return PaymentRefunded.model_validate(facts | {"captured": TOTAL, "currency": "EUR", "requested": True} | changes)


# ---- mails


async def test_a_mail_that_could_not_be_delivered_is_shown_and_changes_nothing_else(customer, bus):
    await customer.add_showtime()
    await customer.check_out()
    before = await customer.get_booking()
    assert before["failed_mail"] is None
    for _ in range(2):
        await bus.publish(MailFailed(booking_id=customer.id, kind="confirmation", failed_at=now()))

    async def is_shown() -> bool:
        return (await customer.get_booking())["failed_mail"] == "confirmation"

    await until(is_shown)
    await bus.publish(customer.sold())
    after = await customer.wait_for_state("confirmed")
    assert after["failed_mail"] == "confirmation"


# ---- the sale


async def test_a_sale_with_every_event_three_times(customer, bus):
    await customer.add_showtime()
    await customer.add_showtime()
    for _ in range(3):
        assert (await customer.check_out()).status_code == 201
    for _ in range(3):
        await bus.publish(customer.sold())
    await customer.wait_for_state("confirmed")
    for late in (customer.sold(), released(customer), PaymentFailed(booking_id=customer.id, code="late")):
        await bus.publish(late)
    confirmed = await bus.wait_for(BookingConfirmed, customer.is_mine)
    await customer.wait_for_state("confirmed")
    await asyncio.sleep(0.2)
    assert [len(bus.events(kind, customer.is_mine)) for kind in (PaymentRequested, BookingConfirmed)] == [1, 1]
    assert [ticket.ticket_id for ticket in confirmed.tickets] == [f"{customer.id}-F7", f"{customer.id}-F8"]
    assert confirmed.screening.movie_title == "Metropolis"
    booking = await customer.get_booking()
    assert [ticket["qr"] for ticket in booking["tickets"]] == sealed_codes(confirmed)
    assert await bus.dead("booking", seconds=0.1) == []


async def test_a_declined_card_leaves_the_booking_payable(customer, bus):
    await customer.place_order()
    await bus.publish(PaymentFailed(booking_id=customer.id, code="insufficient_funds"))

    async def declined() -> bool:
        return (await customer.get_booking())["payment_failure"] == "insufficient_funds"

    await until(declined)
    await bus.publish(customer.sold())
    await customer.wait_for_state("confirmed")


async def test_a_late_payment_buys_seats_that_are_still_free(customer, bus):
    await customer.place_order()
    await bus.publish(released(customer))
    assert (await bus.wait_for(PaymentCancelRequested, customer.is_mine)).reason == "seats_released"
    await bus.publish(PaymentCancelled(booking_id=customer.id))
    await bus.wait_for(BookingExpired, customer.is_mine)
    await bus.publish(customer.sold())
    await customer.wait_for_state("confirmed")


async def test_a_payment_for_lost_seats_is_refunded_once(customer, bus):
    await customer.place_order()
    for _ in range(2):
        await bus.publish(rejected(customer))
    request = await bus.wait_for(RefundRequested, customer.is_mine)
    assert (request.amount, request.reason) == (TOTAL, "seats_lost")
    for _ in range(2):
        await bus.publish(refunded(customer, request.refund_id))
    booking = await customer.wait_for_state("refunded")
    assert (booking["refunded_amount"], booking["tickets"]) == (TOTAL, [])
    await bus.publish(rejected(customer))
    assert (await bus.wait_for(BookingRefunded, customer.is_mine)).amount == TOTAL
    await asyncio.sleep(0.1)
    assert [len(bus.events(kind, customer.is_mine)) for kind in (RefundRequested, BookingRefunded)] == [1, 1]


async def test_a_refund_made_at_the_provider(customer, bus):
    await customer.buy_tickets()
    await bus.publish(refunded(customer, "part", 1000, requested=False))

    async def noted() -> bool:
        return (await customer.get_booking())["refunded_amount"] == 1000

    await until(noted)
    assert (await customer.get_booking())["state"] == "confirmed"
    await bus.publish(refunded(customer, "rest", TOTAL - 1000, refunded=TOTAL, requested=False))
    await customer.wait_for_state("refunded")
    assert (await bus.wait_for(BookingCancelled, customer.is_mine)).reason == "refunded_at_provider"


# ---- out of order


async def test_a_sale_that_crosses_a_cancellation_is_undone_and_refunded(customer, bus):
    await customer.place_order()
    await customer.client.post(f"/api/bookings/{customer.id}/cancel", headers=customer.headers)
    await bus.publish(PaymentCancelled(booking_id=customer.id))
    await customer.wait_for_state("cancelled")
    await bus.publish(customer.sold())
    assert (await bus.wait_for(RefundRequested, customer.is_mine)).amount == TOTAL
    await customer.wait_for_state("refunding")
    assert len(bus.events(BookingCancelled, customer.is_mine)) == 2, "the second one frees the seats that were sold"


async def test_a_refund_that_overtakes_its_sale_waits_for_it(customer, bus):
    await customer.place_order()
    await bus.publish(refunded(customer, "at-stripe", requested=False))
    await asyncio.sleep(0.1)
    await bus.publish(customer.sold())
    await customer.wait_for_state("refunded")


# ---- invalid events


@pytest.mark.parametrize("other", [{"amount": TOTAL - 1}, {"currency": "USD"}, {"amount": 0}, {"amount": None}])
async def test_a_wrong_amount_is_a_dead_letter(customer, bus, other):
    await customer.place_order()
    await bus.publish(customer.sold(**other))
    [letter] = await bus.dead("booking")
    assert letter.type == SeatsSold.type
    assert "WrongAmount" in letter.reason
    assert (await customer.get_booking())["state"] == "awaiting_payment"


async def test_an_unexpected_event_is_a_dead_letter(customer, bus):
    await customer.buy_tickets()
    await bus.publish(rejected(customer))
    [letter] = await bus.dead("booking")
    assert "UnexpectedEvent" in letter.reason
    assert "confirmed" in letter.reason
    assert (await customer.get_booking())["state"] == "confirmed"


@pytest.mark.parametrize("kind", ["sold", "rejected", "released", "failed", "cancelled", "refunded"])
async def test_an_event_about_a_booking_that_does_not_exist_is_a_dead_letter(customer, bus, kind):
    """A booking is stored before any event about it is published, so this event did not overtake anything."""
    events = {
        "sold": customer.sold(),
        "rejected": rejected(customer),
        "released": released(customer),
        "failed": PaymentFailed(booking_id=customer.id, code="declined"),
        "cancelled": PaymentCancelled(booking_id=customer.id),
        "refunded": refunded(customer, "at-stripe"),
    }
    await bus.publish(events[kind])
    [letter] = await bus.dead("booking")
    assert "UnexpectedEvent" in letter.reason


async def test_a_sale_of_other_seats_is_a_dead_letter(customer, bus):
    await customer.place_order()
    await bus.publish(customer.sold(seats=["F7"]))
    [letter] = await bus.dead("booking")
    assert "F8" in letter.reason
    assert (await customer.get_booking())["state"] == "awaiting_payment"


@pytest.mark.parametrize("event", CONSUMES["booking"], ids=lambda event: event.type)
@pytest.mark.parametrize("body", ["{", "[]", "{}", "\ud7ff"])
async def test_a_malformed_event_is_a_dead_letter_and_the_queue_moves_on(customer, bus, event, body):
    await bus.publish_raw(event.type, body)
    [letter] = await bus.dead("booking")
    assert (letter.type, letter.body.decode()) == (event.type, body)
    assert "malformed" in letter.reason


async def test_the_queue_moves_on(customer, bus):
    await customer.place_order()
    await bus.publish_raw(SeatsSold.type, customer.sold().model_dump_json().replace("F7", "'; F7"))
    await bus.dead("booking")
    await bus.publish(customer.sold())
    await customer.wait_for_state("confirmed")


# ---- showtimes


async def test_a_cancelled_showtime_ends_its_bookings_according_to_their_state(customer, bus):
    await customer.buy_tickets()
    with_tickets = customer.id
    customer.new_hold()
    awaiting = customer.id
    await customer.check_out()

    cancelled = ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical")
    for _ in range(2):
        await bus.publish(cancelled)
    for booking_id, state in ((with_tickets, "refunding"), (awaiting, "closing")):
        customer.id = booking_id
        await customer.wait_for_state(state)

    customer.id = with_tickets
    request = await bus.wait_for(RefundRequested, customer.is_mine)
    assert (request.amount, request.reason) == (TOTAL, "showtime_cancelled")
    await asyncio.sleep(0.1)
    assert len(bus.events(RefundRequested, customer.is_mine)) == 1
    assert len(bus.events(BookingCancelled, customer.is_mine)) == 1

    customer.id = awaiting
    await bus.publish(rejected(customer))
    assert (await bus.wait_for(RefundRequested, customer.is_mine)).reason == "showtime_cancelled"


async def test_a_late_payment_for_a_cancelled_showtime_is_refunded(customer, bus):
    await customer.place_order()
    await bus.publish(released(customer))
    await customer.wait_for_state("closing")
    await bus.publish(PaymentCancelled(booking_id=customer.id))
    await customer.wait_for_state("expired")
    await bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    await customer.wait_for_state("cancelled")
    await bus.publish(customer.sold())
    assert (await bus.wait_for(RefundRequested, customer.is_mine)).reason == "showtime_cancelled"
    assert (await bus.wait_for(BookingCancelled, customer.is_mine)).reason == "showtime_cancelled"


async def test_a_rescheduled_showtime_moves_its_bookings_and_tickets_stay(customer, bus, state):
    await customer.buy_tickets()
    before = await customer.get_booking()
    later = now() + timedelta(days=2)
    move = ShowtimeRescheduled(
        showtime_id=customer.showtime_id,
        starts_at=later,
        ends_at=later + timedelta(hours=2),
        sales_open_at=now(),
        sales_close_at=later,
    )
    await bus.publish(move)

    async def moved() -> bool:
        return (await customer.get_booking())["screening"]["starts_at"] == later.isoformat().replace("+00:00", "Z")

    await until(moved)
    assert (await customer.get_booking())["tickets"] == before["tickets"]
    rescheduled = await bus.wait_for(BookingRescheduled, customer.is_mine)
    assert rescheduled.previous_starts_at.isoformat().replace("+00:00", "Z") == before["screening"]["starts_at"]
    assert (rescheduled.screening.starts_at, rescheduled.email) == (later, "ada@example.org")
    await asyncio.gather(*(bus.publish(move) for _ in range(5)))

    stale = move.model_copy(update={"starts_at": later + timedelta(days=9)})
    await state.showtimes.move(stale, now() - timedelta(hours=1), "late")
    showtime = await store.Showtime.get(customer.showtime_id)
    assert showtime is not None
    assert showtime.screening.starts_at == later, "an older event that arrives later changes nothing"

    back = move.model_copy(update={"starts_at": rescheduled.previous_starts_at})
    await bus.publish(back)
    again = await bus.wait_for(BookingRescheduled, lambda event: customer.is_mine(event) and event.moves == 2)
    assert (again.previous_starts_at, again.screening.starts_at) == (later, rescheduled.previous_starts_at)
    assert len(bus.events(BookingRescheduled, customer.is_mine)) == 2


async def test_a_cancellation_that_overtakes_its_showtime_is_applied(customer, bus):
    await bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="other"))
    await bus.publish(examples.scheduled(customer.showtime_id, now() + timedelta(hours=3)))

    async def closed() -> bool:
        showtime = await store.Showtime.get(customer.showtime_id)
        return showtime is not None and showtime.is_cancelled

    await until(closed)


# ---- races


async def test_concurrent_events_are_applied_one_after_the_other(customer, bus):
    await customer.place_order()
    await asyncio.gather(
        *(bus.publish(customer.sold()) for _ in range(8)),
        *(bus.publish(released(customer)) for _ in range(8)),
        *(bus.publish(PaymentFailed(booking_id=customer.id, code=f"declined_{n}")) for n in range(8)),
    )
    booking = await customer.wait_for_state("confirmed")
    states = [passage["state"] for passage in booking["history"]]
    assert states in (["awaiting_payment", "confirmed"], ["awaiting_payment", "closing", "confirmed"])
    await asyncio.sleep(0.2)
    assert len(bus.events(BookingConfirmed, customer.is_mine)) == 1


async def test_a_taken_reference_is_replaced(customer, guest, monkeypatch):
    first = await customer.place_order()
    drawn = iter([first["reference"], "CCCCDDDD"])
    monkeypatch.setattr(store, "new_reference", lambda: first["reference"])
    monkeypatch.setattr(process_manager, "new_reference", lambda: next(drawn))
    assert (await guest.place_order())["reference"] == "CCCCDDDD"
    assert State((await guest.get_booking())["state"]) is State.AWAITING_PAYMENT
