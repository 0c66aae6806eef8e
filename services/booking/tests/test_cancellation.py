"""Cancelling tickets through the endpoints: quotes, commits, staff, and races of replicas."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from booking import model, store
from booking.saga import advance
from booking.store.documents import bookings, showtimes
from chassis.clock import now
from chassis.testing import until
from contracts.booking import (
    BookingCancelled,
    BookingRefunded,
    BookingRefundFailed,
    BookingRefundMade,
    BookingSeatsReturned,
    BookingTicketsCancelled,
    RefundRequested,
    StaffActed,
)
from contracts.catalog import ShowtimeCancelled
from contracts.payment import PaymentRefunded, PaymentRefundFailed, TenderAmounts

from . import examples
from .conftest import problem
from .examples import TOTAL


async def quote(customer: Any, *seats: str, headers: Any = None, **more: Any) -> Any:
    body = {"ticket_ids": [f"{customer.id}-{seat}" for seat in seats]} | more
    path = f"/api/bookings/{customer.id}/cancellation-quote"
    return await customer.client.post(path, json=body, headers=headers or customer.headers)


async def cancel(customer: Any, quoted: Any, headers: Any = None) -> Any:
    body = {"quote_id": quoted.json()["quote_id"]}
    return await customer.client.post(
        f"/api/bookings/{customer.id}/cancel", json=body, headers=headers or customer.headers
    )


def refunded(customer: Any, refund_id: str, amount: int, total: int, kind: type = PaymentRefunded) -> Any:
    facts = {"booking_id": customer.id, "refund_id": refund_id, "amount": amount, "refunded": total}
    return kind.model_validate(facts | {"captured": TOTAL, "currency": "EUR", "requested": True})


async def test_a_part_is_cancelled_exactly_as_quoted(customer, bus):
    await customer.buy_tickets()
    quoted = await quote(customer, "F7")
    assert quoted.status_code == 200, quoted.text
    body = quoted.json()
    assert (body["total"], body["currency"], body["destinations"]) == (
        1250,
        "EUR",
        [{"to": "card", "amount": 1250, "bonus": 0}],
    )
    [ticket] = body["tickets"]
    assert (ticket["ticket_id"], ticket["paid"], ticket["fee"], ticket["refund"]) == (
        f"{customer.id}-F7",
        1250,
        0,
        1250,
    )
    assert (await customer.get_booking())["refunds"] == [], "a quote changes nothing"

    answers = [await cancel(customer, quoted) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    booking = answers[1].json()
    assert [(each["seat"]["seat_id"], each["status"], bool(each["qr"])) for each in booking["tickets"]] == [
        ("F7", "cancelled", False),
        ("F8", "valid", True),
    ]
    [refund] = booking["refunds"]
    assert (booking["state"], refund["state"], refund["amount"], refund["seats"]) == (
        "confirmed",
        "requested",
        1250,
        ["F7"],
    )
    void = await customer.client.get(f"/api/tickets/{customer.id}-F7", headers=customer.headers)
    assert problem(void) == (404, "ticket_unknown")
    assert (await customer.client.get(f"/api/tickets/{customer.id}-F8", headers=customer.headers)).status_code == 200
    told = await bus.wait_for(BookingTicketsCancelled, customer.is_mine)
    assert (told.seats, told.remaining) == ([examples.F7], [examples.F8])
    assert (told.refund_amount, told.reason) == (1250, "by_customer")
    request = await bus.wait_for(RefundRequested, customer.is_mine)
    assert (request.refund_id, request.amount) == (refund["refund_id"], 1250)

    await bus.publish(refunded(customer, request.refund_id, 1250, 1250))
    returned = await bus.wait_for(BookingSeatsReturned, customer.is_mine)
    assert returned.seats == ["F7"]
    after = await customer.get_booking()
    assert (after["refunds"][0]["state"], after["refunded_amount"]) == ("accepted", 1250)
    assert after["tenders"] == [{"kind": "card", "captured": TOTAL, "refunded": 1250, "moved": 0}]

    rest = await quote(customer)
    assert [each["seat"]["seat_id"] for each in rest.json()["tickets"]] == ["F8"]
    assert (await cancel(customer, rest)).json()["state"] == "refunding"
    second = await bus.wait_for(RefundRequested, lambda event: customer.is_mine(event) and event.amount == 1800)
    await bus.publish(refunded(customer, second.refund_id, 1800, TOTAL))
    assert (await bus.wait_for(BookingCancelled, customer.is_mine)).seats == ["F7", "F8"]
    assert (await bus.wait_for(BookingRefunded, customer.is_mine)).amount == TOTAL
    assert (await customer.wait_for_state("refunded"))["ending"] == "by_customer"
    assert problem(await quote(customer)) == (409, "not_cancellable")


async def test_a_changed_booking_needs_a_new_quote(customer):
    await customer.buy_tickets()
    both, one = await quote(customer), await quote(customer, "F7")
    await cancel(customer, one)
    late = await cancel(customer, both)
    assert problem(late) == (409, "quote_changed")
    fresh = late.json()["quote"]
    assert {each["seat"]["seat_id"]: each["reason"] for each in fresh["tickets"]} == {"F7": "cancelled", "F8": None}
    answer = await customer.client.post(
        f"/api/bookings/{customer.id}/cancel", json={"quote_id": fresh["quote_id"]}, headers=customer.headers
    )
    assert answer.json()["state"] == "refunding"
    assert (await cancel(customer, one)).status_code == 200, "a repeat, even after the end"


async def test_a_quote_does_not_outlive_what_the_cinema_changes(customer):
    """The showtime's change is stored, but has not reached the booking yet."""
    await customer.add_showtime(now() + timedelta(minutes=60))
    assert (await customer.check_out()).status_code == 201
    await customer.bus.publish(customer.sold())
    await customer.wait_for_state("confirmed")
    half = await quote(customer, "F7")
    assert half.json()["total"] == 625
    await showtimes.update(
        {"_id": customer.showtime_id}, {"$set": {"screening.starts_at": now() + timedelta(minutes=80)}}
    )
    late = await cancel(customer, half)
    assert problem(late) == (409, "quote_changed")
    assert (late.json()["quote"]["total"], (await quote(customer, "F7")).json()["total"]) == (1250, 1250)
    await showtimes.update({"_id": customer.showtime_id}, {"$set": {"is_cancelled": True}})
    for answer in (await cancel(customer, half), await quote(customer)):
        assert problem(answer) == (409, "not_cancellable")
    assert (await customer.get_booking())["refunds"] == []


async def test_an_expired_quote_is_quoted_again(customer, monkeypatch):
    await customer.buy_tickets()
    quoted = await quote(customer)
    monkeypatch.setattr("booking.api.cancellation.QUOTE_VALID_FOR", timedelta(0))
    late = await cancel(customer, quoted)
    assert problem(late) == (409, "quote_changed")
    assert late.json()["quote"]["total"] == TOTAL


async def test_bad_requests_are_refused(customer, guest, staff):
    await customer.buy_tickets()
    await guest.buy_tickets()
    assert problem(await quote(customer, "Z9")) == (404, "ticket_unknown")
    assert (await quote(customer, refund_to="cash")).status_code == 422
    assert (await quote(customer, ticket_ids=["x"] * 11)).status_code == 422
    for more in ({"amount": 1}, {"reason": "because"}):
        assert (await quote(customer, **more)).status_code == 403
    assert problem(await quote(customer, headers=guest.headers)) == (404, "booking_unknown")
    assert problem(await quote(customer, headers={"X-Request": "none"})) == (401, "unauthenticated")
    assert problem(await quote(customer, headers=staff("bookings:read"))) == (403, "forbidden")
    foreign = await quote(guest)
    for quote_id in ("nonsense", "x" * 5000, foreign.json()["quote_id"]):
        answer = await customer.client.post(
            f"/api/bookings/{customer.id}/cancel", json={"quote_id": quote_id}, headers=customer.headers
        )
        assert answer.status_code == 422
    assert (await cancel(guest, foreign)).json()["state"] == "refunding"


async def test_the_cards_part_becomes_credit_and_gift_cards_get_theirs_back(customer, bus):
    await customer.buy_tickets()
    mixed = {"paid_with": [{"kind": "gift_card", "captured": 1000, "refunded": 0}]}
    mixed["paid_with"].append({"kind": "card", "captured": TOTAL - 1000, "refunded": 0})
    policy = {"refund_policy.credit_bonus_percent": 10}
    await bookings.update({"_id": customer.id}, {"$set": mixed | policy})
    quoted = await quote(customer, "F7", refund_to="credit")
    assert quoted.status_code == 200, quoted.text
    assert quoted.json()["destinations"] == [
        {"to": "gift_card", "amount": 1000, "bonus": 0},
        {"to": "credit", "amount": 250, "bonus": 25},
    ]
    assert (await quote(customer, "F7")).json()["destinations"][1] == {"to": "card", "amount": 250, "bonus": 0}
    await cancel(customer, quoted)
    request = await bus.wait_for(RefundRequested, customer.is_mine)
    assert (request.amount, request.refund_to, request.bonus_percent, request.locale) == (1250, "credit", 10, "en")
    told = await bus.wait_for(BookingTicketsCancelled, customer.is_mine)
    assert (told.refund_amount, told.refund_to) == (1250, "credit")
    mixed["paid_with"][0]["refunded"], mixed["paid_with"][1]["refunded"] = 1000, 250
    done = refunded(customer, request.refund_id, 1250, 1250).model_copy(
        update={"tenders": [TenderAmounts(**tender) for tender in mixed["paid_with"]]}
    )
    await bus.publish(done)
    made = await bus.wait_for(BookingRefundMade, customer.is_mine)
    assert (made.amount, made.refund_to) == (1250, "credit")
    assert (await customer.get_booking())["tenders"] == [tender | {"moved": 0} for tender in mixed["paid_with"]]
    rest = (await quote(customer, refund_to="credit")).json()
    assert rest["destinations"] == [{"to": "credit", "amount": 1800, "bonus": 180}]


async def test_a_booking_without_an_address_gets_no_credit(customer, staff):
    await customer.buy_tickets()
    await bookings.update({"_id": customer.id}, {"$set": {"email": None}})
    answer = await quote(
        customer, refund_to="credit", reason="erased", headers=staff("bookings:read", "bookings:refund")
    )
    assert problem(answer) == (422, "credit_unavailable")


async def test_a_disputed_payment_becomes_no_credit(customer):
    """A refund to the card waits for the bank's decision, but credit would be given at once, beside a lost dispute."""
    await customer.buy_tickets()
    quoted = await quote(customer, "F7", refund_to="credit")
    await bookings.update({"_id": customer.id}, {"$set": {"is_disputed": True}})
    assert problem(await quote(customer, "F7", refund_to="credit")) == (422, "credit_unavailable")
    assert problem(await cancel(customer, quoted)) == (422, "credit_unavailable")
    assert (await quote(customer, "F7")).status_code == 200


async def test_an_unpaid_booking_has_no_tickets_to_cancel(customer):
    await customer.place_order()
    assert problem(await quote(customer)) == (409, "not_cancellable")


async def test_a_guest_cancels_by_the_mailed_link(guest, state):
    await guest.buy_tickets()
    key = {"X-Booking-Key": state.signer.link_key(guest.id, now() + timedelta(days=1))}
    quoted = await quote(guest, headers=key)
    assert quoted.status_code == 200, quoted.text
    assert (await cancel(guest, quoted, headers=key)).json()["state"] == "refunding"


async def test_a_void_key_gives_staff_no_further_rights(guest, state, staff):
    await guest.buy_tickets()
    quoted = await quote(guest)
    expired = state.signer.link_key(guest.id, now() - timedelta(days=1))
    for key in ("nonsense", expired):
        headers = staff("bookings:read") | {"X-Booking-Key": key}
        assert problem(await quote(guest, headers=headers)) == (403, "forbidden")
        assert problem(await cancel(guest, quoted, headers=headers)) == (403, "forbidden")
    assert (await guest.get_booking())["state"] == "confirmed"


async def test_a_link_does_not_cancel_the_booking_of_an_account(customer, state):
    await customer.buy_tickets()
    key = {"X-Booking-Key": state.signer.link_key(customer.id, now() + timedelta(days=1))}
    assert (await quote(customer, headers=key)).status_code == 403


async def test_the_caller_is_checked_when_the_quote_is_committed(guest, state, signer, monkeypatch):
    """The guest signs in and adopts the booking between the first look at the caller's rights and the write."""
    await guest.buy_tickets()
    key = {"X-Booking-Key": state.signer.link_key(guest.id, now() + timedelta(days=1))}
    quoted = await quote(guest, headers=key)
    advance_booking = state.manager.advance

    async def adopt_first(*args: Any, **more: Any) -> Any:
        headers = signer.headers("the-guest") | guest.headers
        assert (await guest.client.post(f"/api/bookings/{guest.id}/adopt", headers=headers)).status_code == 200
        return await advance_booking(*args, **more)

    monkeypatch.setattr(state.manager, "advance", adopt_first)
    assert problem(await cancel(guest, quoted, headers=key)) == (403, "forbidden")


async def test_staff_cancel_free_tickets_without_a_quote_on_record(customer, bus, staff):
    await customer.add_showtime()
    free = [{"seat_id": seat, "ticket_type": "child"} for seat in ("F7", "F8")]
    assert (await customer.check_out(tickets=free)).status_code == 201
    await bus.publish(customer.sold(amount=0, currency=None))
    await customer.wait_for_state("confirmed")
    for _ in range(2):
        headers = staff("bookings:read", "bookings:write")
        answer = await customer.client.post(f"/api/bookings/{customer.id}/cancel", headers=headers)
        assert answer.json()["state"] == "refunded"
    act = await bus.wait_for(StaffActed, customer.is_mine)
    assert (act.action, act.actor_id, act.user_id) == ("booking_cancelled", "staff-1", customer.holder.user_id)
    assert len({each.act_id for each in bus.events(StaffActed, customer.is_mine)}) == 1, "a repeat is no act"


async def test_staff_cancel_with_a_reason_and_another_amount(customer, bus, staff):
    await customer.buy_tickets()
    manager = staff("bookings:read", "bookings:refund", theaters=["t1"])
    assert problem(await quote(customer, headers=manager)) == (422, "reason_required")
    assert (
        await quote(customer, headers=staff("bookings:read", "bookings:refund", theaters=["t2"]))
    ).status_code == 404
    too_much = await quote(customer, "F7", headers=manager, reason="Projector", amount=1251)
    assert problem(too_much) == (422, "refund_too_large")
    quoted = await quote(customer, "F7", headers=manager, reason="Projector", amount=100)
    assert quoted.json()["total"] == 100
    assert problem(await cancel(customer, quoted)) == (422, "quote_invalid"), "the customer cannot commit it"
    booking = (await cancel(customer, quoted, headers=manager)).json()
    assert (booking["refunds"][0]["amount"], booking["refunds"][0]["note"]) == (100, "Projector")
    assert (await customer.get_booking())["refunds"][0]["note"] is None
    act = await bus.wait_for(StaffActed, customer.is_mine)
    assert (act.action, act.actor_id, act.user_id) == ("tickets_cancelled", "staff-1", customer.holder.user_id)
    told = await bus.wait_for(BookingTicketsCancelled, customer.is_mine)
    assert (told.reason, told.refund_amount) == ("by_staff", 100)


async def test_free_tickets_are_cancelled_at_once(customer, bus):
    await customer.add_showtime()
    free = [{"seat_id": seat, "ticket_type": "child"} for seat in ("F7", "F8")]
    assert (await customer.check_out(tickets=free)).status_code == 201
    await bus.publish(customer.sold(amount=0, currency=None))
    await customer.wait_for_state("confirmed")
    part = await cancel(customer, await quote(customer, "F7"))
    assert (part.json()["state"], part.json()["refunds"][0]["state"]) == ("confirmed", "accepted")
    assert (await bus.wait_for(BookingSeatsReturned, customer.is_mine)).seats == ["F7"]
    assert (await cancel(customer, await quote(customer))).json()["state"] == "refunded"
    await bus.wait_for(BookingCancelled, customer.is_mine)


async def test_a_failed_refund_is_shown_and_repeated_by_staff(customer, bus, staff):
    await customer.buy_tickets()
    await cancel(customer, await quote(customer))
    request = await bus.wait_for(RefundRequested, customer.is_mine)
    await bus.publish(refunded(customer, request.refund_id, TOTAL, 0, PaymentRefundFailed))
    failed = await bus.wait_for(BookingRefundFailed, customer.is_mine)
    assert (failed.refund_id, failed.amount) == (request.refund_id, TOTAL)
    assert (await customer.get_booking())["refunds"][0]["state"] == "failed"
    path = f"/api/bookings/{customer.id}/refunds/{request.refund_id}/retry"
    assert (await customer.client.post(path, headers=customer.headers)).status_code == 403
    assert (await customer.client.post(path, headers=staff("bookings:read"))).status_code == 403
    manager = staff("bookings:read", "bookings:refund")
    answers = [await customer.client.post(path, headers=manager) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 409]
    again = await bus.wait_for(
        RefundRequested, lambda event: customer.is_mine(event) and event.refund_id != request.refund_id
    )
    assert again.amount == TOTAL
    await bus.publish(refunded(customer, again.refund_id, TOTAL, TOTAL))
    await customer.wait_for_state("refunded")


# ---- races


def is_for(booking_id: str, amount: int, event: RefundRequested) -> bool:
    return (event.booking_id, event.amount) == (booking_id, amount)


async def commit_unguarded(booking: model.Booking, command: model.CancelTickets) -> None:
    """What a commit would do without the version in the filter of its write."""
    outcome = advance(booking, command, now())
    assert outcome
    await bookings.update(
        {"_id": booking.id}, {"$set": outcome.booking.model_dump(include=set(outcome.changed))}, events=outcome.events
    )


async def test_two_overlapping_cancellations_refund_a_ticket_once(customer, bus, state):
    """With the guard off, both are committed and the shared ticket is refunded twice."""
    await customer.buy_tickets()
    stale = await store.find(customer.id)
    assert stale
    both = model.CancelTickets({"F7": 1250, "F8": 1800}, "by_customer", "both")
    one = model.CancelTickets({"F7": 1250}, "by_customer", "one")
    for command in (one, both):
        await commit_unguarded(stale, command)
        state.manager.forget(customer.id)
    for command in (one, both):  # more than was paid, so the race exists
        await bus.wait_for(RefundRequested, partial(is_for, customer.id, command.amount))

    customer.new_hold()
    assert (await customer.check_out()).status_code == 201
    await bus.publish(customer.sold())
    await customer.wait_for_state("confirmed")
    quotes = [await quote(customer), await quote(customer, "F7"), await quote(customer, "F8")]
    answers = await asyncio.gather(*(cancel(customer, each) for each in quotes * 2))
    assert {answer.status_code for answer in answers} <= {200, 409}
    booking = await store.find(customer.id)
    assert booking
    assert booking.state is model.State.REFUNDING
    assert sum(refund.amount for refund in booking.refunds) == TOTAL
    assert sorted(seat for refund in booking.refunds for seat in refund.seats) == ["F7", "F8"]


@pytest.mark.parametrize("seats", [("F7",), ()])
async def test_a_cancellation_and_the_showtimes_refund_everything_once(customer, bus, seats):
    await customer.buy_tickets()
    quoted = await quote(customer, *seats)
    answer, _ = await asyncio.gather(
        cancel(customer, quoted),
        bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical")),
    )
    assert answer.status_code in {200, 409}
    booking = await customer.wait_for_state("refunding")
    assert sum(refund["amount"] for refund in booking["refunds"]) == TOTAL
    total = 0
    for refund in booking["refunds"]:
        total += refund["amount"]
        await bus.publish(refunded(customer, refund["refund_id"], refund["amount"], total))
    await customer.wait_for_state("refunded")


async def test_a_refund_at_the_provider_meets_a_cancellation(customer, bus):
    """Staff refund everything at the provider while the customer cancels a part."""
    await customer.buy_tickets()
    whole = refunded(customer, "re_dashboard", TOTAL, TOTAL).model_copy(update={"requested": False})
    answer, _ = await asyncio.gather(cancel(customer, await quote(customer, "F7")), bus.publish(whole))
    assert answer.status_code in {200, 409}
    booking = await customer.wait_for_state("refunded")
    assert booking["refunded_amount"] == TOTAL
    for refund in [each for each in booking["refunds"] if each["state"] == "requested"]:
        await bus.publish(refunded(customer, refund["refund_id"], 0, TOTAL))

    async def is_settled() -> bool:
        return {each["state"] for each in (await customer.get_booking())["refunds"]} == {"accepted"}

    await until(is_settled)


async def test_a_goodwill_refund_and_a_cancelled_ticket_leave_the_other_ticket_valid(customer, bus):
    """Together they are everything that was paid, but only one ticket was cancelled."""
    await customer.buy_tickets()
    price = (await quote(customer, "F7")).json()["total"]
    goodwill = refunded(customer, "re_goodwill", TOTAL - price, TOTAL - price)
    await bus.publish(goodwill.model_copy(update={"requested": False}))

    async def is_refunded() -> bool:
        return (await customer.get_booking())["refunded_amount"] == TOTAL - price

    await until(is_refunded)
    assert (await cancel(customer, await quote(customer, "F7"))).status_code == 200
    (own,) = [each for each in (await customer.get_booking())["refunds"] if each["state"] == "requested"]
    await bus.publish(refunded(customer, own["refund_id"], price, TOTAL))

    async def is_settled() -> bool:
        return all(each["state"] == "accepted" for each in (await customer.get_booking())["refunds"])

    await until(is_settled)
    booking = await customer.get_booking()
    assert (booking["state"], [ticket["status"] for ticket in booking["tickets"]]) == (
        "confirmed",
        ["cancelled", "valid"],
    )


async def test_the_policy_is_frozen_at_the_checkout(customer, bus):
    await customer.buy_tickets()
    booking = await customer.get_booking()
    tiers = [(tier["minutes_before_start"], tier["refund_percent"]) for tier in booking["refund_policy"]["tiers"]]
    assert tiers == [(120, 100), (30, 50)]
    never = examples.scheduled(customer.showtime_id, now() + timedelta(hours=3))
    await showtimes.update({"_id": never.showtime_id}, {"$set": {"refund_policy": {"tiers": []}}})
    assert (await quote(customer)).json()["total"] == TOTAL
