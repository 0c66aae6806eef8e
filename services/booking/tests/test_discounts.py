"""Promotions as pure functions: conditions, discounts to the minor unit, and what remains after a cancellation."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from booking.model import (
    Allowance,
    Booking,
    CancelTickets,
    OrderLine,
    Priced,
    Promotion,
    PromotionRefused,
    State,
    best_price,
    exchange_tickets,
    quote_cancellation,
    quote_exchange,
    refusal_at,
    terms_of,
    use_states,
)
from booking.model.promotions import Place, folded_email, place_of
from booking.saga import advance
from contracts.types import Seat
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from .examples import NOW, in_state

START = datetime(2026, 11, 27, 15, 30, tzinfo=UTC)
"""A Friday; half past four in Berlin."""
PERCENT = {"kind": "percentage", "percent": 10}
THREE_FOR_TWO = {"kind": "n_for_m", "tickets": 3, "pay": 2}
FIVE_OFF = {"kind": "fixed_amount", "amount": 500, "currency": "EUR"}
FOR_SIX = {"kind": "fixed_price", "amount": 600, "currency": "EUR"}


def place(starts_at: datetime = START, **facts: Any) -> Place:
    known: dict[str, Any] = {"movie_id": "m1", "theater_id": "t1", "screening_format": "2D", "currency": "EUR"}
    return place_of(**known | {"starts_at": starts_at, "time_zone": "Europe/Berlin", "local_date": None} | facts)


def promotion(discount: dict[str, Any], code: str | None = None, **terms: Any) -> Promotion:
    facts = {"id": code or "automatic", "code": code, "version": 1, "name": "Test", "discount": discount}
    return Promotion.model_validate(facts | terms)


def lines(*amounts: int, ticket_type: str = "adult") -> list[OrderLine]:
    return [
        OrderLine(
            seat=Seat(seat_id=f"A{number}", row="A", number=number, category="standard"),
            ticket_type=ticket_type,
            amount=amount,
            fee=min(100, amount),
            tax=(2 * amount * 700 + 10_700) // 21_400,
            tax_basis_points=700,
        )
        for number, amount in enumerate(amounts, 1)
    ]


def priced(
    on: list[OrderLine], *codes: Promotion, automatic: Any = (), left: Any = None, at: Place | None = None
) -> Priced:
    by_code = {each.code or "": each for each in codes}
    return best_price(on, at or place(), NOW, codes=by_code, automatic=automatic, allowances=left or {})


def refused(on: list[OrderLine], *codes: Promotion, **facts: Any) -> str:
    with pytest.raises(PromotionRefused) as error:
        priced(on, *codes, **facts)
    return error.value.members["reason"]


# ---- discounts


@pytest.mark.parametrize(
    ("discount", "amounts"),
    [
        (PERCENT, [1125, 900, 450]),
        (FOR_SIX, [600, 600, 500]),
        (THREE_FOR_TWO, [1023, 818, 409]),
        (FIVE_OFF, [1023, 818, 409]),
        ({"kind": "percentage", "percent": 100}, [0, 0, 0]),
        ({"kind": "fixed_amount", "amount": 9999, "currency": "EUR"}, [0, 0, 0]),
    ],
)
def test_each_kind_of_discount(discount: dict[str, Any], amounts: list[int]) -> None:
    on = lines(1250, 1000, 500)
    result = priced(on, promotion(discount, "CODE"))
    assert [line.amount for line in result.lines] == amounts
    assert [line.discount for line in result.lines] == [a.amount - b for a, b in zip(on, amounts, strict=True)]
    assert sum(line.discount for line in result.lines) == sum(each.amount for each in result.promotions)
    assert [line.tax for line in result.lines] == [(2 * amount * 700 + 10_700) // 21_400 for amount in amounts]


def test_what_the_provider_cannot_charge_is_waived() -> None:
    almost = {"kind": "fixed_amount", "amount": 1951, "currency": "EUR"}
    result = priced(lines(1000, 1000), promotion(almost, "CODE"))
    assert (result.amount, result.promotions[0].amount) == (0, 2000)
    just = {"kind": "fixed_amount", "amount": 1950, "currency": "EUR"}
    assert priced(lines(1000, 1000), promotion(just, "CODE")).amount == 50
    assert priced(lines(10), automatic=[]).amount == 10, "without a discount the price stays"


def test_only_as_many_uses_as_are_left_and_the_dearest_tickets_first() -> None:
    result = priced(lines(500, 1000, 700), promotion(FOR_SIX, "CODE"), left={"CODE": Allowance(1)})
    assert [line.amount for line in result.lines] == [500, 600, 700]
    assert result.promotions[0].uses == [["A2"]]
    groups = priced(lines(*[1000] * 7), promotion(THREE_FOR_TWO, "CODE"))
    assert (groups.amount, groups.promotions[0].uses) == (5000, [["A1", "A2", "A3"], ["A4", "A5", "A6"]])


@pytest.mark.parametrize(
    ("terms", "at", "reason"),
    [
        ({"valid_from": NOW + timedelta(seconds=1)}, place(), "not_yet_valid"),
        ({"valid_until": NOW}, place(), "no_longer_valid"),
        ({"valid_from": NOW, "valid_until": NOW + timedelta(seconds=1)}, place(), None),
        ({"conditions": {"movie_ids": ["m2"]}}, place(), "film"),
        ({"conditions": {"movie_ids": ["m1"]}}, place(movie_id=None), "film"),
        ({"conditions": {"theater_ids": ["t2"]}}, place(), "theater"),
        ({"conditions": {"weekdays": ["sat"]}}, place(), "weekday"),
        ({"conditions": {"weekdays": ["fri"]}}, place(START + timedelta(hours=8)), None),  # 00:30 on Saturday
        ({"conditions": {"weekdays": ["sat"]}}, place(local_date="2026-11-28"), None),  # catalog's business day
        ({"conditions": {"starts_before": "17:00"}}, place(), None),
        ({"conditions": {"starts_before": "16:30"}}, place(), "time"),
        ({"conditions": {"starts_before": "17:00"}}, place(START + timedelta(hours=8)), "time"),
        ({"conditions": {"starts_from": "22:00"}}, place(START + timedelta(hours=8)), None),
        ({"conditions": {"starts_from": "22:00", "starts_before": "02:00"}}, place(START + timedelta(hours=8)), None),
        ({"conditions": {"starts_from": "22:00", "starts_before": "02:00"}}, place(), "time"),
        ({"conditions": {"starts_from": "00:00", "starts_before": "02:00"}}, place(START + timedelta(hours=8)), None),
        ({"conditions": {"formats": ["imax"]}}, place(screening_format="IMAX"), None),
        ({"conditions": {"formats": ["IMAX"]}}, place(), "format"),
        ({}, place(), None),
    ],
)
def test_conditions(terms: dict[str, Any], at: Place, reason: str | None) -> None:
    why = refusal_at(promotion(PERCENT, **terms), at, NOW)
    assert (why and why.reason) == reason


def test_a_refused_code_says_why_and_when_it_would_work() -> None:
    on, ten = lines(1000, 1000), promotion(PERCENT, "TEN")
    with pytest.raises(PromotionRefused, match="start before 14:00") as error:
        priced(on, promotion(PERCENT, "TEN", conditions={"starts_before": "14:00"}))
    assert error.value.members == {
        "promotion_code": "TEN", "reason": "time", "starts_from": None, "starts_before": "14:00",
    }  # fmt: skip
    with pytest.raises(PromotionRefused, match="unknown"):
        best_price(on, place(), NOW, codes={"NONE": None}, automatic=(), allowances={})
    assert refused(on, promotion(PERCENT, "TEN", conditions={"ticket_types": ["child"]})) == "ticket_type"
    assert refused(on, promotion(THREE_FOR_TWO, "TEN")) == "too_few_tickets"
    assert refused(lines(500), promotion(FOR_SIX, "TEN")) == "no_saving"
    assert refused(on, promotion(FIVE_OFF, "TEN"), at=place(currency="GBP")) == "currency"
    for limit in ("used_up", "used_by_you", "showtime_used_up"):
        assert refused(on, ten, left={"TEN": Allowance(0, limit)}) == limit
    exclusive = promotion(PERCENT, "ONLY", is_exclusive=True)
    assert refused(on, ten, exclusive) == "not_combinable"
    better = promotion({"kind": "percentage", "percent": 20}, is_exclusive=True)
    assert refused(on, ten, automatic=[better]) == "better_price"
    assert refused(on, promotion(FIVE_OFF, "TEN"), automatic=[promotion({**PERCENT, "percent": 100})]) == "better_price"


def test_an_exclusive_promotion_competes_with_all_others_together() -> None:
    on = lines(1000, 1000)
    parts = [promotion(PERCENT, id="a"), promotion(FIVE_OFF, id="b")]
    for percent, total in ((30, 1300), (40, 1200)):
        alone = promotion({"kind": "percentage", "percent": percent}, id="c", is_exclusive=True)
        assert priced(on, automatic=[*parts, alone]).amount == total


AMOUNTS = st.lists(st.integers(0, 3000), min_size=1, max_size=10)
DISCOUNTS = st.one_of(
    st.builds(lambda percent: {"kind": "percentage", "percent": percent}, st.integers(1, 100)),
    st.builds(lambda amount: FIVE_OFF | {"amount": amount}, st.integers(1, 5000)),
    st.builds(lambda amount: FOR_SIX | {"amount": amount}, st.integers(0, 3000)),
    st.integers(2, 10).flatmap(
        lambda n: st.builds(lambda m: {"kind": "n_for_m", "tickets": n, "pay": m}, st.integers(1, n - 1))
    ),
)


@settings(deadline=None)
@forall(AMOUNTS, st.lists(DISCOUNTS, max_size=4), st.integers(0, 10))
def test_the_split_is_exact_and_no_ticket_costs_less_than_nothing(amounts: Any, discounts: Any, left: int) -> None:
    on = lines(*amounts)
    many = [promotion(discount, id=f"p{number}") for number, discount in enumerate(discounts)]
    allowances = {each.id: Allowance(left) for each in many}
    result = priced(on, automatic=many, left=allowances)
    for before, after in zip(on, result.lines, strict=True):
        assert 0 <= after.amount == before.amount - after.discount <= before.amount
        assert after.fee is not None
        assert after.tax is not None
        assert 0 <= after.fee <= after.amount
        assert 0 <= after.tax <= after.amount
    assert sum(line.discount for line in result.lines) == sum(each.amount for each in result.promotions)
    assert result.amount == 0 or result.amount >= 50 or not result.promotions
    assert all(len(each.uses) <= left for each in result.promotions)
    assert all(share >= 0 for each in result.promotions for share in each.shares.values())
    for order in list(permutations(many))[:6]:
        assert priced(on, automatic=order, left=allowances) == result, "the order of listing makes no difference"


# ---- cancellation


def booked(result: Priced) -> Booking:
    booking = in_state(State.CONFIRMED)
    assert booking
    seats = [line.seat for line in result.lines]
    changes = {"seats": seats, "lines": result.lines, "amount": result.amount, "promotions": result.promotions}
    return booking.model_copy(update=changes)


def cancel(booking: Booking, *seats: str) -> tuple[Booking, int]:
    quote = quote_cancellation(booking, [f"b1-{seat}" for seat in seats], "by_customer", NOW)
    assert [ticket.reason for ticket in quote.tickets] == [None] * len(seats)
    outcome = advance(booking, CancelTickets(quote.refunds, "by_customer", "-".join(seats)), NOW)
    assert outcome
    return outcome.booking, quote.total


def test_a_group_is_worked_out_again_on_what_remains() -> None:
    four = booked(priced(lines(1000, 1000, 1000, 1000), promotion(THREE_FOR_TWO, "CODE")))
    three, refund = cancel(four, "A1")
    assert (refund, [line.amount for line in three.kept_lines]) == (1000, [666, 667, 667])
    two, refund = cancel(three, "A4")
    assert (refund, [line.amount for line in two.kept_lines]) == (0, [1000, 1000])
    assert cancel(two, "A2")[1] == 1000
    states = {state for _, _, state in use_states(two)}
    assert states == {"taken"}, "two of its three tickets are kept"


def test_an_exchange_of_a_part_does_not_keep_the_discount_of_the_group() -> None:
    """Otherwise the exchange and cancellation of one of three tickets leaves two at the price of 1.33."""
    three = booked(priced(lines(1000, 1000, 1000), promotion(THREE_FOR_TWO, "CODE")))
    quote = quote_exchange(three, ["b1-A1"], lines(1000), ("s2", "EUR"), NOW)
    assert (quote.value, quote.amount_due, quote.tickets[0].value) == (0, 1000, 0)
    all_of_them = quote_exchange(three, [], lines(1000, 1000, 1000), ("s2", "EUR"), NOW)
    assert (all_of_them.value, all_of_them.amount_due) == (2000, 1000)
    terms = terms_of(quote, three, "b2", "x1", NOW)
    command = exchange_tickets(three, terms)
    assert command
    outcome = advance(three, command, NOW)
    assert outcome
    two = outcome.booking
    assert [line.amount for line in two.kept_lines] == [1000, 1000]
    assert sum(line.amount for line in two.lines) == two.amount
    assert {ticket.amount for ticket in two.valid_tickets} <= {1000}
    assert cancel(two, "A2")[1] == 1000


def test_an_exchange_never_takes_more_than_the_tickets_are_worth_by_then() -> None:
    """Another ticket of the group was cancelled while the customer paid for the exchange."""
    four = booked(priced(lines(1000, 1000, 1000, 1000), promotion(THREE_FOR_TWO, "CODE")))
    terms = terms_of(quote_exchange(four, ["b1-A1"], lines(1000), ("s2", "EUR"), NOW), four, "b2", "x1", NOW)
    assert terms.value == 1000
    assert exchange_tickets(four, terms)
    three, _ = cancel(four, "A4")
    assert exchange_tickets(three, terms) is None


def test_a_share_of_an_amount_off_stays_with_its_ticket() -> None:
    two = booked(priced(lines(1500, 500), promotion(FIVE_OFF, "CODE")))
    one, refund = cancel(two, "A1")
    assert (refund, one.kept_lines[0].amount) == (1125, 375)
    assert [state for *_, state in use_states(one)] == ["taken"]


def test_uses_follow_the_booking() -> None:
    two = booked(priced(lines(1000, 1000), promotion(PERCENT, "CODE")))
    for state, expected in (
        (State.AWAITING_PAYMENT, ["reserved"] * 2),
        (State.CLOSING, ["reserved"] * 2),
        (State.CONFIRMING, ["reserved"] * 2),
        (State.CONFIRMED, ["taken"] * 2),
        (State.EXPIRED, ["released"] * 2),
        (State.CANCELLED, ["released"] * 2),
        (State.REFUNDED, ["released"] * 2),
    ):
        assert [use for *_, use in use_states(two.model_copy(update={"state": state}))] == expected
    one, _ = cancel(two, "A1")
    assert [use for *_, use in use_states(one)] == ["released", "taken"]
    assert one.has_open_uses, "the job brings the stored uses up to it"


@settings(deadline=None)
@forall(st.lists(st.integers(50, 3000), min_size=1, max_size=8), st.lists(DISCOUNTS, max_size=3), st.data())
def test_any_sequence_of_cancellations_returns_exactly_what_was_paid(amounts: Any, discounts: Any, data: Any) -> None:
    many = [promotion(discount, id=f"p{number}") for number, discount in enumerate(discounts)]
    booking = booked(priced(lines(*amounts), automatic=many))
    paid, returned = booking.amount or 0, 0
    while booking.state is State.CONFIRMED and booking.kept_lines:
        left = [line.seat.seat_id for line in booking.kept_lines]
        chosen = data.draw(st.lists(st.sampled_from(left), min_size=1, unique=True))
        prices = {line.seat.seat_id: line.amount + line.discount for line in booking.kept_lines}
        booking, refund = cancel(booking, *chosen)
        assert 0 <= refund <= sum(prices[seat] for seat in chosen), "never below zero or above the price"
        returned += refund
        assert sum(line.amount for line in booking.lines) == paid
        assert paid - returned == sum(line.amount for line in booking.kept_lines), "what is kept pays for what is left"
        assert all(line.amount >= 0 and line.discount >= 0 for line in booking.lines)
    assert returned == paid


def test_one_mailbox_is_one_person() -> None:
    assert folded_email("Ada+cinema@Example.org") == folded_email("ada@example.org") == "ada@example.org"
    assert folded_email("+x@example.org") == "+x@example.org"
