"""Events in: in order, again, late, too early, wrong."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from booking import store
from booking.model import State
from booking.store import bookings
from chassis.clock import now
from chassis.testing import until
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExchanged,
    BookingExpired,
    BookingRefunded,
    BookingRescheduled,
    PaymentCancelRequested,
    PaymentRequested,
    RefundRequested,
)
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded
from contracts.topology import HEARS

from . import examples
from .examples import TOTAL


def released(customer: Any, reason: Any = "lapsed") -> SeatsReleased:
    return SeatsReleased(hold_id=customer.id, showtime_id=customer.showtime_id, seats=["F7", "F8"], reason=reason)


def rejected(customer: Any) -> SaleRejected:
    return SaleRejected(hold_id=customer.id, showtime_id=customer.showtime_id, lost=["F8"])


def refunded(customer: Any, refund_id: str, amount: int = TOTAL, **changes: Any) -> PaymentRefunded:
    facts = {"booking_id": customer.id, "refund_id": refund_id, "amount": amount, "refunded": amount}
    return PaymentRefunded.model_validate(facts | {"captured": TOTAL, "currency": "EUR", "requested": True} | changes)


# ---- the sale


async def test_a_sale_in_which_every_event_comes_three_times(customer, bus):
    await customer.finds_showtime()
    await customer.finds_showtime()
    for _ in range(3):
        assert (await customer.checks_out()).status_code == 201
    for _ in range(3):
        await bus.say(customer.sold())
    await customer.sees("confirmed")
    for late in (customer.sold(), released(customer), PaymentFailed(booking_id=customer.id, code="late")):
        await bus.say(late)
    confirmed = await bus.heard(BookingConfirmed, customer.mine)
    await customer.sees("confirmed")
    await asyncio.sleep(0.2)
    assert [len(bus.events(kind, customer.mine)) for kind in (PaymentRequested, BookingConfirmed)] == [1, 1]
    assert [ticket.ticket_id for ticket in confirmed.tickets] == [f"{customer.id}-F7", f"{customer.id}-F8"]
    assert confirmed.screening.movie_title == "Metropolis"
    booking = await customer.looks()
    assert [ticket["qr"] for ticket in booking["tickets"]] == [ticket.qr for ticket in confirmed.tickets]
    assert await bus.dead("booking", seconds=0.1) == []


async def test_a_declined_card_leaves_the_booking_payable(customer, bus):
    await customer.has_ordered()
    await bus.say(PaymentFailed(booking_id=customer.id, code="insufficient_funds"))

    async def declined() -> bool:
        return (await customer.looks())["payment_failure"] == "insufficient_funds"

    await until(declined)
    await bus.say(customer.sold())
    await customer.sees("confirmed")


async def test_money_after_the_deadline_buys_seats_that_are_still_free(customer, bus):
    await customer.has_ordered()
    await bus.say(released(customer))
    assert (await bus.heard(PaymentCancelRequested, customer.mine)).reason == "seats_released"
    await bus.say(PaymentCancelled(booking_id=customer.id))
    await bus.heard(BookingExpired, customer.mine)
    await bus.say(customer.sold())
    await customer.sees("confirmed")


async def test_money_for_seats_that_are_gone_goes_back_once(customer, bus):
    await customer.has_ordered()
    for _ in range(2):
        await bus.say(rejected(customer))
    request = await bus.heard(RefundRequested, customer.mine)
    assert (request.amount, request.reason) == (TOTAL, "seats_lost")
    for _ in range(2):
        await bus.say(refunded(customer, request.refund_id))
    booking = await customer.sees("refunded")
    assert (booking["refunded_amount"], booking["tickets"]) == (TOTAL, [])
    await bus.say(rejected(customer))
    assert (await bus.heard(BookingRefunded, customer.mine)).amount == TOTAL
    await asyncio.sleep(0.1)
    assert [len(bus.events(kind, customer.mine)) for kind in (RefundRequested, BookingRefunded)] == [1, 1]


async def test_a_refund_made_at_the_provider(customer, bus):
    await customer.has_tickets()
    await bus.say(refunded(customer, "part", 1000, requested=False))

    async def noted() -> bool:
        return (await customer.looks())["refunded_amount"] == 1000

    await until(noted)
    assert (await customer.looks())["state"] == "confirmed"
    await bus.say(refunded(customer, "rest", TOTAL - 1000, refunded=TOTAL, requested=False))
    await customer.sees("refunded")
    assert (await bus.heard(BookingCancelled, customer.mine)).reason == "refunded_at_provider"


# ---- out of order


async def test_a_sale_that_crosses_a_cancellation_gives_seats_and_money_back(customer, bus):
    await customer.has_ordered()
    await customer.client.post(f"/api/bookings/{customer.id}/cancel", headers=customer.headers)
    await bus.say(PaymentCancelled(booking_id=customer.id))
    await customer.sees("cancelled")
    await bus.say(customer.sold())
    assert (await bus.heard(RefundRequested, customer.mine)).amount == TOTAL
    await customer.sees("refunding")
    assert len(bus.events(BookingCancelled, customer.mine)) == 2, "the second one frees the seats that were sold"


async def test_a_refund_that_overtakes_its_sale_waits_for_it(customer, bus):
    await customer.has_ordered()
    await bus.say(refunded(customer, "at-stripe", requested=False))
    await asyncio.sleep(0.1)
    await bus.say(customer.sold())
    await customer.sees("refunded")


# ---- what can never be right


@pytest.mark.parametrize("other", [{"amount": TOTAL - 1}, {"currency": "USD"}, {"amount": 0}, {"amount": None}])
async def test_other_money_than_the_price_is_a_dead_letter(customer, bus, other):
    await customer.has_ordered()
    await bus.say(customer.sold(**other))
    [letter] = await bus.dead("booking")
    assert letter.type == SeatsSold.type
    assert "WrongAmount" in letter.reason
    assert (await customer.looks())["state"] == "awaiting_payment"


async def test_an_event_that_cannot_happen_here_is_a_dead_letter(customer, bus):
    await customer.has_tickets()
    await bus.say(rejected(customer))
    [letter] = await bus.dead("booking")
    assert "UnexpectedEvent" in letter.reason
    assert "confirmed" in letter.reason
    assert (await customer.looks())["state"] == "confirmed"


@pytest.mark.parametrize("kind", ["sold", "rejected", "released", "failed", "cancelled", "refunded"])
async def test_an_event_about_a_booking_that_does_not_exist_is_a_dead_letter(customer, bus, kind):
    """The booking is there before anything about it is published, so none is on its way."""
    events = {
        "sold": customer.sold(),
        "rejected": rejected(customer),
        "released": released(customer),
        "failed": PaymentFailed(booking_id=customer.id, code="declined"),
        "cancelled": PaymentCancelled(booking_id=customer.id),
        "refunded": refunded(customer, "at-stripe"),
    }
    await bus.say(events[kind])
    [letter] = await bus.dead("booking")
    assert "UnexpectedEvent" in letter.reason


async def test_other_seats_than_the_paid_ones_are_a_dead_letter(customer, bus):
    await customer.has_ordered()
    await bus.say(customer.sold(seats=["F7"]))
    [letter] = await bus.dead("booking")
    assert "F8" in letter.reason
    assert (await customer.looks())["state"] == "awaiting_payment"


@pytest.mark.parametrize("event", HEARS["booking"], ids=lambda event: event.type)
@pytest.mark.parametrize("body", ["{", "[]", "{}", "\ud7ff"])
async def test_a_malformed_event_is_a_dead_letter_and_the_queue_moves_on(customer, bus, event, body):
    await bus.say_raw(event.type, body)
    [letter] = await bus.dead("booking")
    assert (letter.type, letter.body.decode()) == (event.type, body)
    assert "malformed" in letter.reason


async def test_the_queue_moves_on(customer, bus):
    await customer.has_ordered()
    await bus.say_raw(SeatsSold.type, customer.sold().model_dump_json().replace("F7", "'; F7"))
    await bus.dead("booking")
    await bus.say(customer.sold())
    await customer.sees("confirmed")


# ---- showtimes


async def test_a_cancelled_showtime_ends_each_of_its_bookings_as_it_stands(customer, bus):
    await customer.has_tickets()
    with_tickets = customer.id
    customer.holds()
    awaiting = customer.id
    await customer.checks_out()

    cancelled = ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical")
    for _ in range(2):
        await bus.say(cancelled)
    for booking_id, state in ((with_tickets, "refunding"), (awaiting, "closing")):
        customer.id = booking_id
        await customer.sees(state)

    customer.id = with_tickets
    request = await bus.heard(RefundRequested, customer.mine)
    assert (request.amount, request.reason) == (TOTAL, "showtime_cancelled")
    await asyncio.sleep(0.1)
    assert len(bus.events(RefundRequested, customer.mine)) == 1
    assert len(bus.events(BookingCancelled, customer.mine)) == 1

    customer.id = awaiting
    await bus.say(rejected(customer))
    assert (await bus.heard(RefundRequested, customer.mine)).reason == "showtime_cancelled"


async def test_late_money_for_a_cancelled_showtime_goes_back(customer, bus):
    await customer.has_ordered()
    await bus.say(released(customer))
    await customer.sees("closing")
    await bus.say(PaymentCancelled(booking_id=customer.id))
    await customer.sees("expired")
    await bus.say(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    await customer.sees("cancelled")
    await bus.say(customer.sold())
    assert (await bus.heard(RefundRequested, customer.mine)).reason == "showtime_cancelled"
    assert (await bus.heard(BookingCancelled, customer.mine)).reason == "showtime_cancelled"


async def test_a_rescheduled_showtime_moves_its_bookings_and_tickets_stay(customer, bus):
    await customer.has_tickets()
    before = await customer.looks()
    later = now() + timedelta(days=2)
    move = ShowtimeRescheduled(
        showtime_id=customer.showtime_id,
        starts_at=later,
        ends_at=later + timedelta(hours=2),
        sales_open_at=now(),
        sales_close_at=later,
    )
    await bus.say(move)

    async def moved() -> bool:
        return (await customer.looks())["screening"]["starts_at"] == later.isoformat().replace("+00:00", "Z")

    await until(moved)
    assert (await customer.looks())["tickets"] == before["tickets"]
    told = await bus.heard(BookingRescheduled, customer.mine)
    assert told.previous_starts_at.isoformat().replace("+00:00", "Z") == before["screening"]["starts_at"]
    assert (told.screening.starts_at, told.email) == (later, "ada@example.org")
    await asyncio.gather(*(bus.say(move) for _ in range(5)))

    stale = move.model_copy(update={"starts_at": later + timedelta(days=9)})
    await store.move_showtime(stale, now() - timedelta(hours=1))
    showtime = await store.Showtime.get(customer.showtime_id)
    assert showtime is not None
    assert showtime.screening.starts_at == later, "an older word that comes later changes nothing"

    back = move.model_copy(update={"starts_at": told.previous_starts_at})
    await bus.say(back)
    again = await bus.heard(BookingRescheduled, lambda event: customer.mine(event) and event.moves == 2)
    assert (again.previous_starts_at, again.screening.starts_at) == (later, told.previous_starts_at)
    assert len(bus.events(BookingRescheduled, customer.mine)) == 2


async def test_a_showtime_is_known_once_and_a_change_may_overtake_it(customer, bus):
    await bus.say(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="other"))
    await bus.say(examples.scheduled(customer.showtime_id, now() + timedelta(hours=3)))

    async def closed() -> bool:
        showtime = await store.Showtime.get(customer.showtime_id)
        return showtime is not None and showtime.is_cancelled

    await until(closed)


# ---- exchange


async def test_a_confirmed_successor_ends_the_booking_that_it_replaces(customer, guest, bus):
    before = await customer.has_tickets()
    await guest.has_ordered()
    where, cheaper = {"_id": guest.id}, {"replaces": customer.id, "amount": before["amount"] - 300}
    await store.Booking.collection().update_one(where, {"$set": cheaper})
    store.recent.forget(guest.id)
    for _ in range(2):
        await bus.say(guest.sold(amount=cheaper["amount"]))
    await customer.sees("exchanged")
    assert (await bus.heard(BookingExchanged, customer.mine)).replaced_by == guest.id
    assert (await bus.heard(RefundRequested, customer.mine)).amount == 300
    assert (await guest.looks())["state"] == "confirmed"


async def test_a_crash_between_the_confirmation_and_the_exchange_loses_neither(customer, guest, bus):
    await customer.has_tickets()
    await guest.has_tickets()
    await store.Booking.collection().update_one({"_id": guest.id}, {"$set": {"replaces": customer.id}})
    store.recent.forget(guest.id)
    await bus.say(guest.sold())  # the queue delivers again what nobody acknowledged
    await customer.sees("exchanged")


# ---- races


async def test_steps_at_the_same_time_happen_one_after_the_other(customer, bus):
    await customer.has_ordered()
    await asyncio.gather(
        *(bus.say(customer.sold()) for _ in range(8)),
        *(bus.say(released(customer)) for _ in range(8)),
        *(bus.say(PaymentFailed(booking_id=customer.id, code=f"declined_{n}")) for n in range(8)),
    )
    booking = await customer.sees("confirmed")
    states = [passage["state"] for passage in booking["history"]]
    assert states in (["awaiting_payment", "confirmed"], ["awaiting_payment", "closing", "confirmed"])
    await asyncio.sleep(0.2)
    assert len(bus.events(BookingConfirmed, customer.mine)) == 1


async def test_a_reference_that_is_taken_is_drawn_again(customer, guest, monkeypatch):
    first = await customer.has_ordered()
    drawn = iter([first["reference"], "CCCCDDDD"])
    monkeypatch.setattr(store, "new_reference", lambda: first["reference"])
    monkeypatch.setattr(bookings, "new_reference", lambda: next(drawn))
    assert (await guest.has_ordered())["reference"] == "CCCCDDDD"
    assert State((await guest.looks())["state"]) is State.AWAITING_PAYMENT
