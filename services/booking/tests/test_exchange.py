"""Exchanging tickets through the endpoints: quotes, both directions of money, parts, crashes, and races of replicas."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from booking import model, store
from booking.jobs import pass_deadlines
from booking.saga import advance
from booking.store.documents import bookings
from chassis.clock import now
from chassis.testing import until
from contracts.booking import (
    BookingConfirmed,
    BookingExchanged,
    BookingPaid,
    BookingRefundMade,
    BookingSeatsReturned,
    BookingTicketsExchanged,
    PaymentRequested,
    RefundRequested,
)
from contracts.catalog import ShowtimeCancelled
from contracts.payment import PaymentCancelled, PaymentRefunded

from .conftest import ORDERS, Customer, problem, raw_bookings
from .examples import F7, F8, TOTAL
from .test_cancellation import cancel
from .test_cancellation import quote as cancellation_quote


def hold_of(customer: Customer, *seats: Any) -> Customer:
    """The same person with a hold on another showtime."""
    new = Customer(customer.client, customer.bus, customer.headers, customer.holder)
    new.new_hold(*seats)
    return new


async def quoted(old: Customer, new: Customer, kind: str = "adult", headers: Any = None, **more: Any) -> Any:
    body = {
        "claim": new.claim,
        "tickets": [{"seat_id": seat.seat_id, "ticket_type": kind} for seat in new.hold.seats],
    } | more
    path = f"/api/bookings/{old.id}/exchange-quote"
    return await old.client.post(path, json=body, headers=headers or old.headers)


async def commit(old: Customer, new: Customer, quote: Any, kind: str = "adult", headers: Any = None) -> Any:
    body = {
        "claim": new.claim,
        "hold_id": new.id,
        "tickets": [{"seat_id": seat.seat_id, "ticket_type": kind} for seat in new.hold.seats],
        "replaces": {"booking_id": old.id, "quote_id": quote.json()["quote_id"]},
    }
    return await old.client.post("/api/bookings", json=body, headers=headers or old.headers)


def sale(new: Customer, amount: int) -> Any:
    return new.sold(seats=[seat.seat_id for seat in new.hold.seats], amount=amount, currency="EUR" if amount else None)


async def status_of(customer: Customer, seat: str = "F7") -> int:
    answer = await customer.client.get(f"/api/tickets/{customer.id}-{seat}", headers=customer.headers)
    return answer.status_code


async def bought(customer: Customer, *seats: Any) -> Customer:
    """A paid booking of adult tickets."""
    customer.new_hold(*seats)
    await customer.add_showtime()
    chosen = [{"seat_id": seat.seat_id, "ticket_type": "adult"} for seat in seats]
    booking = (await customer.check_out(tickets=chosen)).json()
    await customer.bus.publish(sale(customer, booking["amount"]))
    await customer.wait_for_state("confirmed")
    return customer


def refunded(request: RefundRequested, captured: int, total: int) -> PaymentRefunded:
    facts = request.model_dump(include={"booking_id", "refund_id", "amount", "currency"})
    return PaymentRefunded.model_validate(facts | {"refunded": total, "captured": captured, "requested": True})


def is_about(booking_id: str, amount: int, event: BookingRefundMade) -> bool:
    return (event.booking_id, event.amount) == (booking_id, amount)


async def test_an_exchange_for_a_dearer_showtime_is_paid_and_keeps_the_earlier_money(customer, bus):
    """A later cancellation returns the money of both payments, to the minor unit."""
    old, new = await bought(customer, F7), hold_of(customer, F7, F8)
    await new.add_showtime()
    quote = await quoted(old, new)
    assert quote.status_code == 200, quote.text
    sums = {name: quote.json()[name] for name in ("value", "price", "fee", "amount_due", "waived")}
    assert sums == {"value": 1250, "price": TOTAL, "fee": 0, "amount_due": 1800, "waived": 0}
    answers = [await commit(old, new, quote) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    booking = answers[1].json()
    assert (booking["state"], booking["amount"], booking["due"]) == ("awaiting_payment", TOTAL, 1800)
    assert (booking["email"], booking["name"], booking["replaces"]) == ("ada@example.org", "Ada", old.id)
    assert ORDERS.read(booking["order"]).amount == 1800
    assert (await bus.wait_for(PaymentRequested, new.is_mine)).amount == 1800
    assert (await status_of(old), (await old.get_booking())["state"]) == (200, "confirmed"), "valid until it is paid"

    for _ in range(2):
        await bus.publish(sale(new, 1800))
    confirmed = await new.wait_for_state("confirmed")
    assert (await status_of(old), await status_of(new)) == (404, 200)
    assert (await old.get_booking())["state"] == "exchanged"
    assert (await bus.wait_for(BookingExchanged, old.is_mine)).replaced_by == new.id
    event = await bus.wait_for(BookingConfirmed, new.is_mine)
    assert (event.replaces, event.amount, len(event.tickets)) == (old.id, TOTAL, 2)
    assert confirmed["tenders"] == [
        {"kind": "exchange", "captured": 1250, "refunded": 0, "moved": 0},
        {"kind": "card", "captured": 1800, "refunded": 0, "moved": 0},
    ]
    assert (await commit(old, new, quote)).json()["state"] == "confirmed", "a repeat, even after the end"

    assert (await cancel(new, await cancellation_quote(new))).json()["state"] == "refunding"
    own = await bus.wait_for(RefundRequested, new.is_mine)
    other = await bus.wait_for(RefundRequested, old.is_mine)
    assert (own.amount, other.amount) == (1800, 1250)
    await bus.publish(refunded(other, 1250, 1250))
    await bus.publish(refunded(own, 1800, 1800))
    ended = await new.wait_for_state("refunded")
    assert (ended["refunded_amount"], [each["state"] for each in ended["refunds"]]) == (TOTAL, ["accepted"] * 2)
    earlier = await old.get_booking()
    assert (earlier["state"], earlier["refunded_amount"], earlier["refunds"]) == ("exchanged", 0, [])
    for amount in (1250, 1800):
        await bus.wait_for(BookingRefundMade, partial(is_about, new.id, amount))
    assert not bus.events(BookingRefundMade, old.is_mine)


async def test_an_exchange_for_cheaper_tickets_refunds_the_difference(customer, bus):
    old, new = await bought(customer, F7, F8), hold_of(customer, F7, F8)
    await new.add_showtime()
    quote = await quoted(old, new, kind="child")
    assert quote.json()["amount_due"] == -TOTAL
    assert (await commit(old, new, quote, kind="child")).json()["state"] == "confirming"
    await bus.wait_for(BookingPaid, new.is_mine)
    assert await status_of(old) == 200, "the new seats are not sold yet"
    await bus.publish(sale(new, 0))
    await new.wait_for_state("confirmed")
    request = await bus.wait_for(RefundRequested, old.is_mine)
    assert (request.amount, request.reason) == (TOTAL, "exchange_difference")
    await bus.publish(refunded(request, TOTAL, TOTAL))

    async def is_refunded() -> bool:
        return (await old.get_booking())["refunded_amount"] == TOTAL

    await until(is_refunded)
    exchange = (await old.get_booking())["exchanges"][0]
    assert (exchange["value"], exchange["carried"], exchange["refund"]) == (TOTAL, 0, TOTAL)


async def test_one_of_two_tickets_is_exchanged(customer, bus):
    old, new = await bought(customer, F7, F8), hold_of(customer, F8)
    await new.add_showtime()
    quote = await quoted(old, new, ticket_ids=[f"{old.id}-F7"])
    assert quote.json()["amount_due"] == 550
    await commit(old, new, quote)
    await bus.publish(sale(new, 550))
    await new.wait_for_state("confirmed")
    assert (await status_of(old, "F7"), await status_of(old, "F8"), await status_of(new, "F8")) == (404, 200, 200)
    exchanged = await bus.wait_for(BookingTicketsExchanged, old.is_mine)
    assert (exchanged.seats, exchanged.remaining, exchanged.replaced_by) == ([F7], [F8], new.id)
    assert (await bus.wait_for(BookingSeatsReturned, old.is_mine)).seats == ["F7"]
    booking = await old.get_booking()
    assert [each["status"] for each in booking["tickets"]] == ["exchanged", "valid"]
    assert booking["tenders"] == [{"kind": "card", "captured": TOTAL, "refunded": 0, "moved": 1250}]
    rest = await cancellation_quote(old)
    assert rest.json()["total"] == 1800, "only the money of the ticket that is left"


async def test_other_seats_at_the_same_price_need_no_payment(customer, bus):
    old, new = await bought(customer, F7), hold_of(customer, F7.model_copy(update={"seat_id": "F6", "number": 6}))
    new.showtime_id = old.showtime_id
    new.new_hold(*new.hold.seats)
    quote = await quoted(old, new)
    assert quote.json()["amount_due"] == 0
    assert (await commit(old, new, quote)).json()["state"] == "confirming"
    await bus.publish(sale(new, 0))
    booking = await new.wait_for_state("confirmed")
    assert [tender["kind"] for tender in booking["tenders"]] == ["exchange"]


async def test_an_exchange_that_is_not_paid_leaves_the_tickets_valid(customer, bus):
    old, new = await bought(customer, F7), hold_of(customer, F7, F8)
    await new.add_showtime()
    await commit(old, new, await quoted(old, new))
    await bus.publish(PaymentCancelled(booking_id=new.id))
    await new.wait_for_state("expired")
    booking = await old.get_booking()
    assert (booking["state"], booking["exchanges"], await status_of(old)) == ("confirmed", [], 200)


async def test_bad_requests_are_refused(customer, guest, bus, staff, monkeypatch):
    old, new = await bought(customer, F7), hold_of(customer, F7, F8)
    unpaid = hold_of(customer, F7)
    assert problem(await quoted(old, new)) == (503, "showtime_not_ready")
    await new.add_showtime()
    assert problem(await quoted(unpaid, new)) == (404, "booking_unknown")
    await unpaid.add_showtime()
    await unpaid.check_out(tickets=[{"seat_id": "F7", "ticket_type": "adult"}])
    assert problem(await quoted(unpaid, new)) == (409, "not_exchangeable")
    assert problem(await quoted(old, new, ticket_ids=["x"])) == (404, "ticket_unknown")
    assert problem(await quoted(old, new, kind="pharaoh")) == (422, "price_unknown")
    assert problem(await quoted(old, new, claim=None)) == (422, "claim_required")
    assert problem(await quoted(old, new, claim="nonsense")) == (422, "claim_invalid")
    assert problem(await quoted(old, new, headers=guest.headers)) == (404, "booking_unknown")
    assert problem(await quoted(old, new, headers={"X-Request": "none"})) == (401, "unauthenticated")
    bad: list[dict[str, Any]] = [{"tickets": []}, {"ticket_ids": ["x"] * 11}, {"amount_due": 0}]
    for more in bad:
        assert (await quoted(old, new, **more)).status_code == 422
    both, one = await bought(hold_of(customer), F7, F8), hold_of(customer, F7)
    await one.add_showtime()
    assert problem(await quoted(both, one)) == (422, "too_few_seats")

    quote = await quoted(old, new)
    without = {"claim": new.claim, "tickets": new.order()["tickets"]}
    missing = await old.client.post("/api/bookings", json=without, headers=old.headers)
    assert (missing.status_code, missing.json()["errors"][0]["loc"]) == (422, ["body", "email"])
    assert problem(await commit(both, new, quote)) == (422, "quote_invalid"), "of another booking"
    assert problem(await commit(old, one, quote)) == (422, "quote_invalid"), "for another hold"
    assert problem(await commit(old, new, quote, kind="child")) == (422, "quote_invalid"), "for other ticket types"
    assert problem(await commit(old, new, await cancellation_quote(old))) == (422, "quote_invalid"), "a cancellation's"
    monkeypatch.setattr("booking.api.exchange.QUOTE_VALID_FOR", timedelta(0))
    late = await commit(old, new, quote)
    assert problem(late) == (409, "quote_changed")
    assert late.json()["quote"]["amount_due"] == 1800
    monkeypatch.undo()
    assert (await commit(old, new, quote)).status_code == 201
    assert problem(await new.check_out()) == (409, "already_checked_out"), "an exchange is not a plain checkout"


async def test_a_guest_exchanges_by_the_mailed_link(guest, customer, bus, state):
    old = await bought(guest, F7)
    key = {"X-Booking-Key": state.signer.link_key(old.id, now() + timedelta(days=1))}
    new = hold_of(customer, F8)  # on another device
    await new.add_showtime()
    headers = customer.headers | key
    quote = await quoted(old, new, headers=headers)
    assert quote.json()["amount_due"] == 550, quote.text
    assert (await commit(old, new, quote, headers=headers)).status_code == 201
    account = await bought(hold_of(customer), F7)
    key = {"X-Booking-Key": state.signer.link_key(account.id, now() + timedelta(days=1))}
    stranger = hold_of(guest, F7)
    await stranger.add_showtime()
    assert problem(await quoted(account, stranger, headers=guest.headers | key)) == (403, "forbidden")


# ---- crashes and races


async def stored_in(customer: Customer, booking_state: str) -> None:
    async def reached() -> bool:
        booking = await store.find(customer.id)
        return booking is not None and booking.state == booking_state

    await until(reached)


async def paid_exchange(customer: Customer, *seats: Any) -> tuple[Customer, Customer]:
    """An exchange of one ticket for two whose payment is on its way."""
    old, new = await bought(customer, *seats), hold_of(customer, F7, F8)
    await new.add_showtime()
    answer = await commit(old, new, await quoted(old, new))
    assert answer.status_code == 201, answer.text
    return old, new


@pytest.mark.parametrize("how", ["timer", "read"])
async def test_a_crash_before_the_decision_delays_the_exchange(customer, bus, state, monkeypatch, how):
    old, new = await paid_exchange(customer, F7)
    sold = advance(await store.find(new.id), sale(new, 1800), now())
    assert sold
    late = {"due_at": now() - timedelta(seconds=1)} if how == "timer" else {"due_at": now() + timedelta(days=1)}
    await raw_bookings().update_one(
        {"_id": new.id}, {"$set": sold.booking.model_dump(include=set(sold.changed)) | late, "$inc": {"version": 1}}
    )
    state.manager.forget(new.id)
    if how == "timer":
        await pass_deadlines(state.manager)
        await stored_in(new, "confirmed")
    else:
        assert await status_of(old) == 200
        assert (await new.get_booking())["state"] == "confirmed"
    assert (await status_of(old), await status_of(new)) == (404, 200)


async def test_tickets_that_are_gone_refuse_the_exchange_and_its_money_returns(customer, bus):
    old, new = await paid_exchange(customer, F7)
    await cancel(old, await cancellation_quote(old))
    await bus.publish(sale(new, 1800))
    booking = await new.wait_for_state("refunding")
    assert (booking["ending"], booking["tickets"], booking["documents"]) == ("exchange_refused", [], [])
    assert (await bus.wait_for(BookingSeatsReturned, new.is_mine)).seats == ["F7", "F8"]
    request = await bus.wait_for(RefundRequested, new.is_mine)
    assert request.amount == 1800
    await bus.publish(refunded(request, 1800, 1800))
    await new.wait_for_state("refunded")
    assert (await bus.wait_for(BookingRefundMade, new.is_mine)).reason == "exchange_refused"
    stored = await store.find(old.id)
    assert stored
    assert stored.refused_exchanges == [new.id]


async def test_a_cancelled_showtime_leaves_the_old_tickets_or_refunds_everything(customer, bus):
    """The sale and the cancellation of the new showtime cross. The old booking's write decides."""
    old, new = await paid_exchange(customer, F7)
    await asyncio.gather(
        bus.publish(sale(new, 1800)), bus.publish(ShowtimeCancelled(showtime_id=new.showtime_id, reason="technical"))
    )
    booking = await new.wait_for_state("refunding")
    was_made = (await old.get_booking())["state"] == "exchanged"
    assert sum(each["amount"] for each in booking["refunds"]) == (TOTAL if was_made else 1800)
    assert await status_of(old) == (404 if was_made else 200)


async def take_unguarded(old: model.Booking, exchange: model.Exchange) -> None:
    """What the decision would do without the version in the filter of its write."""
    outcome = advance(old, model.ExchangeTickets(exchange), now())
    assert outcome
    change = {"$set": outcome.booking.model_dump(include=set(outcome.changed))}
    await bookings.update({"_id": old.id}, change, events=outcome.events)


async def terms_in(customer: Customer) -> model.Exchange:
    booking = await store.find(customer.id)
    assert booking
    assert booking.exchange
    return booking.exchange


async def two_exchanges(customer: Customer) -> tuple[Customer, list[Customer]]:
    old, first = await paid_exchange(customer, F7)
    second = hold_of(customer, F7, F8)
    await second.add_showtime()
    assert (await commit(old, second, await quoted(old, second))).status_code == 201
    return old, [first, second]


def ends(old: Customer, new: Customer, event: BookingExchanged) -> bool:
    return (event.booking_id, event.replaced_by) == (old.id, new.id)


async def test_two_exchanges_of_a_ticket_make_one(customer, bus):
    """With the guard off, both new bookings take over the money of one ticket."""
    old, both = await two_exchanges(customer)
    stale = await store.find(old.id)
    assert stale
    for new in both:
        await take_unguarded(stale, await terms_in(new))
    for new in both:  # both were told that they replace the booking, so the race exists
        await bus.wait_for(BookingExchanged, partial(ends, old, new))

    old, both = await two_exchanges(hold_of(customer))
    await asyncio.gather(*(bus.publish(sale(new, 1800)) for new in both * 2))

    async def are_decided() -> set[str]:
        states = {(await new.get_booking())["state"] for new in both}
        return states if states == {"confirmed", "refunding"} else set()

    await until(are_decided)
    stored = await store.find(old.id)
    assert stored
    assert (len(stored.exchanges), len(stored.refused_exchanges)) == (1, 1)


async def test_an_exchange_and_a_cancellation_use_a_ticket_once(customer, bus):
    """With the guard off, the money of the ticket is refunded and also pays for the new ones."""
    old, new = await paid_exchange(customer, F7)
    stale = await store.find(old.id)
    assert stale
    command = model.CancelTickets({"F7": 1250}, "by_customer", "q")
    outcome = advance(stale, command, now())
    assert outcome
    change = {"$set": outcome.booking.model_dump(include=set(outcome.changed))}
    await bookings.update({"_id": old.id}, change, events=outcome.events)
    await take_unguarded(stale, await terms_in(new))
    await bus.wait_for(RefundRequested, old.is_mine)
    await bus.wait_for(BookingExchanged, old.is_mine)

    old, new = await paid_exchange(hold_of(customer), F7)
    quote = await cancellation_quote(old)
    answer, _ = await asyncio.gather(cancel(old, quote), bus.publish(sale(new, 1800)))
    won = "refunding" if answer.status_code == 200 else "confirmed"
    assert answer.status_code in {200, 409}
    assert (await old.get_booking())["state"] == ("refunding" if won == "refunding" else "exchanged")
    await new.wait_for_state(won)
