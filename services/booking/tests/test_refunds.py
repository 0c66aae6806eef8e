"""What cancelled tickets return: quotes, their rules, and the sums of any sequence of cancellations and refunds."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from booking.model import (
    Booking,
    Cancel,
    CancelTickets,
    Refund,
    RefundTooLarge,
    RetryRefund,
    State,
    TicketUnknown,
    owed_of,
    quote_cancellation,
    split,
)
from booking.saga import advance
from contracts.booking import BookingCancelled, BookingSeatsReturned, BookingTicketsCancelled, RefundRequested
from contracts.catalog import RefundPolicy, RefundTier
from contracts.payment import PaymentRefunded, PaymentRefundFailed
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from . import examples as given
from .examples import C1, F7, F8, NOW, TOTAL, W1, in_state

START = NOW + timedelta(hours=3)
EARLY, LATE, TOO_LATE = (START - timedelta(minutes=minutes) for minutes in (120, 119, 29))


def confirmed(**changes: Any) -> Booking:
    booking = in_state(State.CONFIRMED, **changes)
    assert booking
    return booking


def of_types(*types: str, seats: Any = (F7, F8), **changes: Any) -> Booking:
    """A confirmed booking with these ticket types, each for 10.00 unless the companion's."""
    lines = [
        {"seat": seat, "ticket_type": kind, "amount": 0 if kind == "companion" else 1000}
        for seat, kind in zip(seats, types, strict=True)
    ]
    amount = sum(line["amount"] for line in lines)
    return Booking.model_validate(
        confirmed().model_dump() | {"seats": seats, "lines": lines, "amount": amount} | changes
    )


def reasons(booking: Booking, *seats: str, by: Any = "by_customer", at: datetime = EARLY) -> dict[str, str | None]:
    quote = quote_cancellation(booking, [f"b1-{seat}" for seat in seats], by, at)
    return {ticket.seat.seat_id: ticket.reason for ticket in quote.tickets}


# ---- quotes


@pytest.mark.parametrize(
    ("at", "refunds"),
    [
        (EARLY, {"F7": 1250, "F8": 1800}),
        (LATE, {"F7": 625, "F8": 900}),
        (START - timedelta(minutes=30), {"F7": 625, "F8": 900}),
        (TOO_LATE, {}),
        (START + timedelta(minutes=1), {}),
    ],
)
def test_the_policy_of_the_checkout_decides_what_is_refunded(at: datetime, refunds: dict[str, int]) -> None:
    quote = quote_cancellation(confirmed(), [], "by_customer", at)
    assert (quote.refunds, quote.total) == (refunds, sum(refunds.values()))
    assert [ticket.paid for ticket in quote.tickets] == [1250, 1800]
    assert {ticket.reason for ticket in quote.tickets} == ({None} if refunds else {"too_late"})


@pytest.mark.parametrize(
    ("fee", "percent", "expected"),
    [(100, 100, (100, 1150)), (100, 50, (100, 525)), (100, 5, (63, 0)), (0, 33, (0, 413)), (2000, 100, (1250, 0))],
)
def test_the_fee_is_never_more_than_the_refund(fee: int, percent: int, expected: tuple[int, int]) -> None:
    policy = RefundPolicy(tiers=[RefundTier(minutes_before_start=0, refund_percent=percent)], fee=fee)
    [ticket] = quote_cancellation(confirmed(refund_policy=policy), ["b1-F7"], "by_customer", NOW).tickets
    assert (ticket.fee, ticket.refund) == expected


def test_a_ticket_that_cannot_be_cancelled_says_why() -> None:
    lines = confirmed().lines
    scanned = [lines[0].model_copy(update={"checked_in_at": NOW}), lines[1]]
    assert reasons(confirmed(lines=scanned)) == {"F7": "checked_in", "F8": None}
    given_away = [lines[0].model_copy(update={"status": "transferred"}), lines[1]]
    assert reasons(confirmed(lines=given_away)) == {"F7": "transferred", "F8": None}
    gone = [lines[0].model_copy(update={"status": "cancelled"}), lines[1]]
    assert reasons(confirmed(lines=gone), "F7") == {"F7": "cancelled"}
    assert reasons(confirmed(lines=gone)) == {"F8": None}, "no ids mean the tickets that are left"
    never = RefundPolicy(tiers=[])
    for policy in (never, None):
        assert reasons(confirmed(refund_policy=policy)) == {"F7": "policy", "F8": "policy"}
    for anything in (confirmed(lines=scanned), confirmed(refund_policy=never)):
        assert set(reasons(anything, by="by_staff", at=TOO_LATE).values()) == {None}
    with pytest.raises(TicketUnknown):
        reasons(confirmed(), "Z9")


def test_the_last_adult_is_not_cancelled_without_the_children() -> None:
    family = of_types("adult", "child")
    assert reasons(family, "F7") == {"F7": "policy"}
    assert reasons(family, "F8") == {"F8": None}
    assert reasons(family) == {"F7": None, "F8": None}
    assert reasons(of_types("adult", "senior"), "F7") == {"F7": None}
    assert reasons(of_types("child", "child"), "F7") == {"F7": None}
    assert reasons(family, "F7", by="by_staff") == {"F7": None}


def test_a_companions_ticket_goes_with_the_wheelchair_space() -> None:
    pair = of_types("adult", "companion", "adult", seats=(W1, C1, F7))
    assert reasons(pair, "W1") == {"W1": None, "C1": None}
    assert reasons(pair, "C1") == {"C1": None}
    assert reasons(pair, "F7") == {"F7": None}
    with_child = of_types("adult", "companion", "child", seats=(W1, C1, F7))
    assert reasons(with_child, "W1") == {"W1": "policy"}, "the child would be alone"


def test_a_couch_is_cancelled_only_whole() -> None:
    left, right = (F7.model_copy(update={"pair": "F8"}), F8.model_copy(update={"pair": "F7"}))
    couch = of_types("adult", "adult", "adult", seats=(left, right, C1))
    for by in ("by_customer", "by_staff"):
        assert reasons(couch, "F7", by=by) == {"F7": None, "F8": None}
        assert reasons(couch, "C1", by=by) == {"C1": None}
    inside = [couch.lines[0], couch.lines[1].model_copy(update={"checked_in_at": NOW}), couch.lines[2]]
    assert reasons(couch.model_copy(update={"lines": inside}), "F7") == {"F7": "checked_in", "F8": "checked_in"}
    gone = [couch.lines[0], couch.lines[1].model_copy(update={"status": "cancelled"}), couch.lines[2]]
    assert reasons(couch.model_copy(update={"lines": gone}), "F7") == {"F7": None}
    with_children = of_types("adult", "child", "child", seats=(left, right, C1))
    assert reasons(with_children, "F8", "C1") == {"F7": None, "F8": None, "C1": None}
    assert reasons(with_children, "F8") == {"F7": "policy", "F8": "policy"}, "the other child would be alone"


def test_staff_refund_another_amount_within_what_was_paid() -> None:
    quote = quote_cancellation(confirmed(), [], "by_staff", TOO_LATE, amount=1001)
    assert (quote.total, [ticket.fee for ticket in quote.tickets]) == (1001, [0, 0])
    assert quote_cancellation(confirmed(), ["b1-F7"], "by_staff", EARLY, amount=0).total == 0
    for amount, tickets in ((TOTAL + 1, []), (1251, ["b1-F7"])):
        with pytest.raises(RefundTooLarge):
            quote_cancellation(confirmed(), tickets, "by_staff", EARLY, amount=amount)
    with pytest.raises(RefundTooLarge):
        quote_cancellation(confirmed(refunded_amount=TOTAL - 100), [], "by_staff", EARLY, amount=101)


def test_a_quote_never_exceeds_what_is_left_of_the_payment() -> None:
    assert quote_cancellation(confirmed(refunded_amount=3000), [], "by_customer", EARLY).refunds == {"F7": 50, "F8": 0}


def test_a_refund_is_a_multiple_of_what_the_provider_can_move() -> None:
    half = RefundPolicy(tiers=[RefundTier(minutes_before_start=0, refund_percent=33)])
    quote = quote_cancellation(of_types("adult", "adult", currency="KWD", refund_policy=half), [], "by_customer", NOW)
    assert quote.refunds == {"F7": 330, "F8": 330}
    odd = RefundPolicy(tiers=[RefundTier(minutes_before_start=0, refund_percent=99)])
    lines = [{"seat": F7, "ticket_type": "adult", "amount": 1050}]
    booking = of_types("adult", seats=(F7,), currency="KWD", refund_policy=odd, lines=lines, amount=1050)
    assert quote_cancellation(booking, [], "by_customer", NOW).total == 1040, "in the customer's favor"
    fee = RefundPolicy(tiers=[RefundTier(minutes_before_start=0, refund_percent=100)], fee=155)
    [ticket] = quote_cancellation(booking.model_copy(update={"refund_policy": fee}), [], "by_customer", NOW).tickets
    assert (ticket.fee, ticket.refund) == (150, 900)


@pytest.mark.parametrize(("minutes", "refunded"), [(-16, 1250), (-15, 575), (0, 575), (15, 575), (16, 1250)])
def test_a_showtime_that_was_moved_far_is_refunded_in_full_until_its_start(minutes: int, refunded: int) -> None:
    """Once a day later, and then to `minutes` after the start that the customer booked."""
    policy = RefundPolicy(tiers=[RefundTier(minutes_before_start=0, refund_percent=50)], fee=50)
    booking = confirmed(refund_policy=policy)
    for starts_at in (START + timedelta(days=1), START + timedelta(minutes=minutes)):
        move = given.SHOWTIME_RESCHEDULED.model_copy(update={"starts_at": starts_at})
        outcome = advance(booking, move, NOW)
        assert outcome
        booking = outcome.booking
    begins = START + timedelta(minutes=minutes)
    at = begins - timedelta(minutes=1)
    [ticket] = quote_cancellation(booking, ["b1-F7"], "by_customer", at).tickets
    assert (ticket.refund, ticket.fee) == (refunded, 0 if refunded == 1250 else 50)
    never = booking.model_copy(update={"refund_policy": None})
    assert reasons(never, "F7", at=at) == {"F7": None if refunded == 1250 else "policy"}
    assert reasons(booking, "F7", at=begins + timedelta(minutes=1)) == {"F7": "too_late"}


def test_the_cancellation_of_free_tickets_without_a_quote_is_not_that_of_an_earlier_quote() -> None:
    """The mail about a quote is another one, so the event about the rest must cause a mail of its own."""
    lines = [{"seat": seat, "ticket_type": "child", "amount": 0} for seat in (F7, F8)]
    part = advance(
        of_types("child", "child", lines=lines, amount=0), CancelTickets({"F7": 0}, "by_customer", "q1"), NOW
    )
    assert part
    rest = advance(part.booking, Cancel("by_staff"), NOW)
    assert rest
    assert [event.refund_amount for event in rest.events if isinstance(event, BookingCancelled)] == [0]
    by_quote = advance(part.booking, CancelTickets({"F8": 0}, "by_customer", "q2"), NOW)
    assert by_quote
    assert [event.refund_amount for event in by_quote.events if isinstance(event, BookingCancelled)] == [None]


def test_a_repeated_refund_is_what_others_have_not_refunded_since() -> None:
    """Staff, the provider or a lost dispute may have refunded a part of the failed refund in the meantime."""
    goodwill = Refund(refund_id="re_1", amount=300, state="accepted", is_requested=False, at=NOW)
    part = advance(confirmed(refunds=[goodwill], refunded_amount=300), given.CANCEL_F7, NOW)
    assert part
    failed = given.REFUND_FAILED.model_copy(update={"refund_id": part.booking.refunds[-1].refund_id, "amount": 1250})
    booking, later = part.booking, NOW + timedelta(minutes=1)
    by_hand = given.PARTLY_REFUNDED.model_copy(update={"amount": 1000, "refunded": 1300, "ledger_entries": 4})
    for event in (failed.model_copy(update={"refunded": 300, "ledger_entries": 3}), by_hand):
        outcome = advance(booking, event, later)
        assert outcome
        booking = outcome.booking
    again = advance(booking, RetryRefund(failed.refund_id, "again"), later)
    assert again
    assert [event.amount for event in again.events if isinstance(event, RefundRequested)] == [250]
    once_more = again.booking.model_copy(
        update={"refunds": [each.model_copy(update={"state": "failed"}) for each in again.booking.refunds]}
    )
    assert owed_of(once_more, once_more.refunds[-1]) == 250, "the refund by hand counts once"
    nothing_left = booking.model_copy(update={"refunded_amount": TOTAL})
    assert owed_of(nothing_left, nothing_left.refunds[1]) == 0


@pytest.mark.parametrize(
    "tiers", [[(30, 50), (120, 100)], [(120, 100), (120, 50)], [(120, 50), (30, 100)], [(30, 101)], [(-1, 50)]]
)
def test_a_policy_without_order_is_refused(tiers: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match=r"refund_percent|minutes_before_start"):
        RefundPolicy.model_validate(
            {"tiers": [{"minutes_before_start": minutes, "refund_percent": percent} for minutes, percent in tiers]}
        )


@forall(st.lists(st.integers(0, 5000), min_size=1, max_size=10), st.integers(0, 100))
def test_a_split_is_exact_and_fair(weights: list[int], percent: int) -> None:
    total = sum(weights) * percent // 100
    shares = split(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert 0 <= share <= weight
        assert not sum(weights) or abs(share - total * weight / sum(weights)) < 1


# ---- any sequence of cancellations, refunds, failures and disputes


class Money(RuleBasedStateMachine):
    """A booking and payment's account, whose events may be delivered late, twice and out of order."""

    def __init__(self) -> None:
        super().__init__()
        lines = [
            {"seat": F7.model_copy(update={"seat_id": f"F{n}", "number": n}), "ticket_type": kind, "amount": amount}
            for n, (kind, amount) in enumerate([("adult", 1255), ("adult", 333), ("student", 0), ("child", 700)])
        ]
        self.booking = of_types(*["adult"] * 2, lines=lines, seats=[line["seat"] for line in lines][:2])
        seats = [line.seat for line in self.booking.lines]
        amount = sum(line.amount for line in self.booking.lines)
        self.booking = self.booking.model_copy(update={"seats": seats, "amount": amount})
        self.captured, self.gifts, self.quotes = amount, 0, 0
        self.refunds: dict[str, tuple[str, int]] = {}
        self.ledger = 0
        self.inbox: list[Any] = []
        self.owed: dict[str, int] = {}
        self.returned: set[str] = set()

    def refunded(self) -> int:
        return sum(amount for state, amount in self.refunds.values() if state == "accepted")

    def step(self, event: Any) -> bool:
        outcome = advance(self.booking, event, NOW)
        if outcome is None:
            return False
        self.booking = outcome.booking
        for each in outcome.events:
            if isinstance(each, RefundRequested) and each.refund_id not in self.refunds:
                self.refunds[each.refund_id] = "asked", min(each.amount, self.captured - self.reserved())
            if isinstance(each, BookingSeatsReturned | BookingCancelled):
                self.returned |= set(each.seats)
        return True

    def reserved(self) -> int:
        return sum(amount for state, amount in self.refunds.values() if state != "failed")

    def publish(self, kind: type, refund_id: str, *, requested: bool) -> None:
        facts = {"booking_id": "b1", "refund_id": refund_id, "amount": self.refunds[refund_id][1], "currency": "EUR"}
        sums = {"refunded": self.refunded(), "captured": self.captured, "ledger_entries": self.ledger}
        self.inbox.append(kind(requested=requested, **facts, **sums))

    @precondition(lambda self: self.booking.state is State.CONFIRMED)
    @rule(data=st.data(), at=st.sampled_from([EARLY, LATE, TOO_LATE]), by=st.sampled_from(["by_customer", "by_staff"]))
    def cancel(self, data: Any, at: datetime, by: Any) -> None:
        left = [f"b1-{line.seat.seat_id}" for line in self.booking.kept_lines]
        quote = quote_cancellation(self.booking, data.draw(st.lists(st.sampled_from(left), unique=True)), by, at)
        assert 0 <= quote.total <= sum(ticket.paid for ticket in quote.cancellable)
        if quote.cancellable:
            self.quotes += 1
            assert self.step(CancelTickets(quote.refunds, by, f"q{self.quotes}"))
            assert self.booking.refunds[-1].amount == quote.total

    @precondition(lambda self: any(state == "asked" for state, _ in self.refunds.values()))
    @rule(data=st.data())
    def accept(self, data: Any) -> None:
        refund_id = data.draw(st.sampled_from([i for i, (state, _) in self.refunds.items() if state == "asked"]))
        self.refunds[refund_id] = "accepted", self.refunds[refund_id][1]
        self.ledger += 1
        self.publish(PaymentRefunded, refund_id, requested=True)

    @precondition(lambda self: any(state != "failed" for state, _ in self.refunds.values()))
    @rule(data=st.data())
    def fail(self, data: Any) -> None:
        refund_id = data.draw(st.sampled_from([i for i, (state, _) in self.refunds.items() if state != "failed"]))
        self.ledger += self.refunds[refund_id][0] == "accepted"
        self.refunds[refund_id] = "failed", self.refunds[refund_id][1]
        self.publish(PaymentRefundFailed, refund_id, requested=not refund_id.startswith("gift"))

    @rule(part=st.floats(0, 1))
    def refund_at_provider(self, part: float) -> None:
        """A refund by staff at the provider, or a lost dispute."""
        if amount := int((self.captured - self.reserved()) * part):
            refund_id = f"gift-{len(self.refunds)}"
            self.refunds[refund_id] = "accepted", amount
            self.ledger += 1
            self.publish(PaymentRefunded, refund_id, requested=False)

    @precondition(lambda self: self.inbox)
    @rule(data=st.data(), again=st.booleans())
    def deliver(self, data: Any, again: bool) -> None:
        event = self.inbox[data.draw(st.integers(0, len(self.inbox) - 1))]
        if not again:
            self.inbox.remove(event)
        self.step(event)

    @precondition(lambda self: any(each.must_be_repeated for each in self.booking.refunds))
    @rule()
    def retry(self) -> None:
        failed = next(each for each in self.booking.refunds if each.must_be_repeated)
        assert self.step(RetryRefund(failed.refund_id, f"retry-{len(self.refunds)}"))

    @rule()
    def cancel_showtime(self) -> None:
        self.step(given.SHOWTIME_CANCELLED)

    @invariant()
    def sums_are_right(self) -> None:
        assert 0 <= self.reserved() <= self.captured
        for line in self.booking.lines:
            assert line.refund is None or 0 <= line.refund <= line.amount
        own = [each for each in self.booking.refunds if each.quote_id and not each.repeated_as]
        assert len({seat for each in own for seat in each.seats}) == sum(len(each.seats) for each in own)
        if self.inbox:
            return
        assert self.booking.refunded_amount == self.refunded()
        for refund_id, (state, amount) in self.refunds.items():
            known = next((each for each in self.booking.refunds if each.refund_id == refund_id), None)
            if state != "asked" and known:
                assert (known.state, known.amount) == (state, amount)
        for each in self.booking.refunds:
            if each.state == "requested":
                assert self.refunds[each.refund_id][0] == "asked", "a refund is under way, accepted or failed"
        if any(state == "failed" for state, _ in self.refunds.values()):
            return
        if all(state == "accepted" for state, _ in self.refunds.values()):
            gifts = sum(amount for refund_id, (_, amount) in self.refunds.items() if refund_id.startswith("gift"))
            entitled = sum(line.amount - (line.refund or 0) for line in self.booking.lines)
            assert self.captured - self.refunded() == max(0, entitled - gifts)

    @invariant()
    def only_refunded_seats_return(self) -> None:
        kept = {line.seat.seat_id for line in self.booking.kept_lines}
        assert not (kept & self.returned)


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


def test_the_seats_return_when_the_refund_is_accepted() -> None:
    part = advance(confirmed(), given.CANCEL_F7, NOW)
    assert part
    assert [type(event) for event in part.events] == [BookingTicketsCancelled, RefundRequested]
    assert (part.booking.state, part.booking.valid_tickets) == (State.CONFIRMED, [])
    refund = given.PAYMENT_REFUNDED.model_copy(update={"amount": 1250, "refunded": 1250})
    accepted = advance(part.booking, refund, NOW)
    assert accepted
    assert accepted.events[0] == BookingSeatsReturned(booking_id="b1", showtime_id="s1", seats=["F7"])


@pytest.mark.parametrize("is_repeated", [False, True])
def test_events_about_a_failed_refund_count_in_their_order_at_payment(is_repeated: bool) -> None:
    """The failure makes the refunded sum smaller, so the highest sum is not the latest."""
    part = advance(confirmed(), given.CANCEL_F7, NOW)
    assert part
    facts = {"amount": 1250, "captured": TOTAL}
    accepted = given.PAYMENT_REFUNDED.model_copy(update=facts | {"refunded": 1250, "ledger_entries": 2})
    failed = given.REFUND_FAILED.model_copy(update=facts | {"refunded": 0, "ledger_entries": 3})
    for events in ([accepted, failed], [failed, accepted]):
        booking = part.booking
        for event in events:
            if outcome := advance(booking, event, NOW):
                booking = outcome.booking
            if event is failed and is_repeated:
                again = advance(booking, given.RETRY, NOW)
                assert again
                booking = again.booking
        assert booking.refunded_amount == 0
        states = [refund.state for refund in booking.refunds]
        assert states == (["failed", "requested"] if is_repeated else ["failed"])
