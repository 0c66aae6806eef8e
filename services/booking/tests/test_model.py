"""Prices, checkout and tickets without I/O."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from booking.model import (
    Cancel,
    HoldExpired,
    Order,
    PriceUnknown,
    ShowtimeClosed,
    ShowtimeOffer,
    State,
    TicketsDoNotMatch,
    booking_id_of,
    cancel_refusal,
    claims_of,
    is_same_order,
    issue_tickets,
    price,
    quote,
    total_of,
    valid_until,
)
from booking.saga import IGNORED, TRANSITIONS
from contracts.catalog import Price
from contracts.types import Seat
from hypothesis import given as forall
from hypothesis import strategies as st

from . import examples as given
from .examples import NOW, OFFER, PRICES, WINDOW, held, in_state


def test_a_seats_price_depends_on_category_and_ticket_type() -> None:
    lines = price([given.F7, given.F8], {"F8": "child", "F7": "adult"}, PRICES)
    assert [(line.seat.seat_id, line.ticket_type, line.amount) for line in lines] == [
        ("F7", "adult", 1250),
        ("F8", "child", 0),
    ]


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({}, ["F7", "F8"]),
        ({"F7": "adult"}, ["F8"]),
        ({"F7": "adult", "F8": "adult", "A1": "adult"}, ["A1"]),
        ({"F7": "adult", "A1": "adult"}, ["A1", "F8"]),
    ],
)
def test_tickets_that_do_not_match_the_seats_are_named(chosen: dict[str, str], named: list[str]) -> None:
    with pytest.raises(TicketsDoNotMatch) as caught:
        price([given.F7, given.F8], chosen, PRICES)
    assert caught.value.members == {"seats": named}


def test_a_seat_without_a_price_for_its_ticket_type_is_named() -> None:
    with pytest.raises(PriceUnknown) as caught:
        price([given.F7, given.F8], {"F7": "adult", "F8": "senior"}, PRICES)
    assert caught.value.members == {"seats": ["F8"]}


@forall(st.dictionaries(st.sampled_from(["F7", "F8"]), st.sampled_from(["adult", "child"]), min_size=2))
def test_the_total_is_the_sum_of_the_lines(chosen: dict[str, str]) -> None:
    command = given.checkout(Order(chosen, "ada@example.org"))
    assert command.amount == sum(line.amount for line in command.lines)
    assert {line.seat.seat_id: line.ticket_type for line in command.lines} == chosen


def test_a_quote_shows_every_ticket_type_of_each_seat() -> None:
    quoted = quote(held(), OFFER, {}, NOW)
    assert [(each.seat, each.chosen.ticket_type, each.chosen.amount) for each in quoted] == [
        (given.F7, "adult", 1250),
        (given.F8, "adult", 1800),
    ]
    assert [(option.ticket_type, option.amount) for option in quoted[1].options] == [("adult", 1800), ("child", 0)]
    child = [Price(category="standard", ticket_type="child", amount=800, fee=100, tax=52)]
    only = ShowtimeOffer(
        given.screening(), "t1", "EUR", [*child, *(price for price in PRICES if price.category == "vip")]
    )
    (first, _) = quote(held(), only, {"F7": None, "F8": "child"}, NOW)
    assert first.chosen.model_dump() == {"ticket_type": "child", "amount": 800, "fee": 100, "tax": 52}


@forall(st.dictionaries(st.sampled_from(["F7", "F8"]), st.sampled_from(["adult", "child"]), min_size=2))
def test_a_quote_and_its_checkout_have_the_same_prices(chosen: dict[str, str]) -> None:
    quoted = quote(held(), OFFER, dict(chosen), NOW)
    lines = given.checkout(Order(chosen, "ada@example.org")).lines
    assert [(each.seat, each.chosen.ticket_type, each.chosen.amount) for each in quoted] == [
        (line.seat, line.ticket_type, line.amount) for line in lines
    ]


@pytest.mark.parametrize(
    ("choices", "changes", "moment", "problem"),
    [
        ({"F7": "adult"}, {}, NOW, TicketsDoNotMatch),
        ({"F7": "adult", "F9": None}, {}, NOW, TicketsDoNotMatch),
        ({"F7": "adult", "F8": "senior"}, {}, NOW, PriceUnknown),
        ({}, {"seats": [Seat(seat_id="A1", row="A", number=1, category="recliner")]}, NOW, PriceUnknown),
        ({}, {"expires_at": NOW}, NOW, HoldExpired),
        ({}, {}, OFFER.screening.ends_at, ShowtimeClosed),
    ],
)
def test_invalid_quotes(choices: Any, changes: Any, moment: datetime, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        quote(held(**changes), OFFER, choices, moment)


def test_a_total_is_known_if_all_its_parts_are() -> None:
    assert total_of([1, 2]) == 3
    assert total_of([]) == 0
    assert total_of([1, None]) is None


def test_the_payment_deadline_is_never_after_the_showtime() -> None:
    late = OFFER.screening.ends_at - timedelta(minutes=1)
    hold = held(expires_at=late + timedelta(minutes=8))
    last = given.check_out(hold, OFFER, given.ADULTS, reference="x", payment_window=WINDOW, now=late)
    assert last.payment_deadline_at == OFFER.screening.ends_at
    assert given.checkout().payment_deadline_at == NOW + WINDOW


def test_late_checkouts_are_refused() -> None:
    with pytest.raises(HoldExpired):
        given.check_out(held(expires_at=NOW), OFFER, given.ADULTS, reference="x", payment_window=WINDOW, now=NOW)
    with pytest.raises(ShowtimeClosed):
        over = OFFER.screening.ends_at
        given.check_out(held(), OFFER, given.ADULTS, reference="x", payment_window=WINDOW, now=over)
    with pytest.raises(ShowtimeClosed, match="cancelled"):
        cancelled = ShowtimeOffer(given.screening(), "t1", "EUR", PRICES, is_cancelled=True)
        given.check_out(held(), cancelled, given.ADULTS, reference="x", payment_window=WINDOW, now=NOW)


def test_the_same_order_is_recognized() -> None:
    booking = in_state(State.AWAITING_PAYMENT)
    assert booking is not None
    assert is_same_order(booking, given.ADULTS)
    assert not is_same_order(booking, given.CHILDREN)
    assert not is_same_order(booking, Order(given.ADULTS.ticket_types, "eve@example.org", "Ada"))
    assert not is_same_order(booking.model_copy(update={"lines": [], "email": None, "name": None}), Order({}, ""))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("by", ["by_customer", "by_staff"])
@pytest.mark.parametrize("amount", [0, 3050])
def test_only_unpaid_bookings_can_be_cancelled_and_the_saga_agrees(state: State, by: Any, amount: int) -> None:
    booking = in_state(state, amount=amount)
    assert booking is not None
    refusal = cancel_refusal(booking, by)
    cancellable = {State.AWAITING_PAYMENT, State.CLOSING, State.CANCELLED}
    if by == "by_staff" and amount == 0:
        cancellable |= {State.CONFIRMED}
    assert (refusal is None) == (state in cancellable)
    known = {row.state for row in TRANSITIONS if row.event is Cancel} | set(IGNORED[Cancel][0])
    assert refusal or state in known, "the saga must handle a cancellation that is not refused"


def test_tickets_are_the_same_when_issued_again() -> None:
    booking = in_state(State.CONFIRMING)
    assert booking is not None
    booking.tickets_valid_until = valid_until(booking)
    tickets = issue_tickets(booking)
    assert tickets == issue_tickets(booking)
    assert [ticket.ticket_id for ticket in tickets] == ["b1-F7", "b1-F8"]
    assert {booking_id_of(ticket.ticket_id) for ticket in tickets} == {"b1"}
    assert claims_of(tickets[0], booking) == {
        "tid": "b1-F7",
        "ref": given.REFERENCE,
        "sid": "s1",
        "seat": "F7",
        "exp": int((OFFER.screening.ends_at + timedelta(days=30)).timestamp()),
    }
