"""What an exchange costs, what it may not do, and where its money is after any sequence of exchanges and refunds."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from booking.model import (
    Booking,
    CancelTickets,
    CurrencyDiffers,
    ExchangeMade,
    ExchangeQuote,
    ExchangeRefused,
    ExchangeTickets,
    OrderLine,
    RetryRefund,
    Source,
    State,
    TicketUnknown,
    TooFewSeats,
    as_exchange,
    check_out,
    credit_notes,
    destinations,
    exchange_tickets,
    funds,
    quote_cancellation,
    quote_exchange,
    terms_of,
)
from booking.saga import advance, record_passed_on, refunded_booking, refuse_exchange
from contracts.booking import BookingCancelled, BookingSeatsReturned, RefundRequested
from contracts.catalog import ExchangeRules, RefundPolicy, RefundTier
from contracts.inventory import SeatsSold
from contracts.payment import PaymentRefunded, PaymentRefundFailed, TenderAmounts
from contracts.types import Seat
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from . import examples as given
from .examples import C1, F7, F8, NOW, TOTAL, W1, in_state

START = NOW + timedelta(hours=3)
IN_TIME, TOO_LATE = START - timedelta(minutes=30), START - timedelta(minutes=29)
ELSEWHERE = ("s2", "EUR")


def confirmed(**changes: Any) -> Booking:
    booking = in_state(State.CONFIRMED, **changes)
    assert booking
    return booking


def lines(*amounts: int) -> list[OrderLine]:
    return [
        OrderLine(
            seat=Seat(seat_id=f"N{number}", row="N", number=number, category="standard"),
            ticket_type="adult",
            amount=amount,
        )
        for number, amount in enumerate(amounts, 1)
    ]


def quoted(booking: Booking, *amounts: int, seats: tuple[str, ...] = (), **more: Any) -> ExchangeQuote:
    wanted = [f"b1-{seat}" for seat in seats]
    facts: dict[str, Any] = {"screening": ELSEWHERE, "at": IN_TIME} | more
    return quote_exchange(booking, wanted, lines(*amounts), **facts)


def with_fee(fee: int, **rules: Any) -> Booking:
    return confirmed(refund_policy=RefundPolicy(exchange=ExchangeRules(fee=fee, **rules)))


# ---- quotes


@pytest.mark.parametrize(
    ("fee", "price", "sums"),
    [
        (0, (1250, 1800), (0, 3050, 0, 0)),
        (0, (2000, 2000), (950, 3050, 0, 0)),
        (0, (1000, 1000), (-1050, 2000, 1050, 0)),
        (100, (1250, 1800), (200, 2850, 0, 0)),
        (100, (1500, 1500), (150, 2850, 0, 0)),
        (9999, (1000, 1000), (2000, 0, 0, 0)),
        (0, (1260, 1810), (0, 3050, 0, 20)),
    ],
)
def test_what_is_due_is_price_plus_fee_less_value(fee: int, price: tuple[int, int], sums: tuple[int, ...]) -> None:
    """The fee is never more than the value, and a difference that is too small to be charged is waived."""
    quote = quoted(with_fee(fee), *price)
    assert (quote.amount_due, quote.carried, quote.refund, quote.waived) == sums
    assert quote.amount_due == quote.price + quote.fee - quote.value - quote.waived
    assert quote.is_possible


def reasons(quote: ExchangeQuote) -> dict[str, str | None]:
    return {ticket.seat.seat_id: ticket.reason for ticket in quote.tickets}


def test_other_seats_at_the_same_price_are_free_until_check_in() -> None:
    used = with_fee(100).model_copy(update={"exchange_count": 3})
    at_start = {"screening": (given.SHOWTIME, "EUR"), "at": START}
    quote = quoted(used, 1250, 1800, **at_start)
    assert (quote.amount_due, quote.fee, quote.counts, quote.is_possible) == (0, 0, False, True)
    assert set(reasons(quoted(used, 1250, 1801, **at_start)).values()) == {"limit"}
    assert set(reasons(quoted(used, 1250, 1800, at=TOO_LATE)).values()) == {"limit"}
    inside = [line.model_copy(update={"checked_in_at": NOW}) for line in used.lines]
    checked_in = quoted(used.model_copy(update={"lines": inside}), 1250, 1800, **at_start)
    assert set(reasons(checked_in).values()) == {"checked_in"}


@pytest.mark.parametrize(
    ("changes", "more", "reason"),
    [
        ({}, {"at": TOO_LATE}, "too_late"),
        ({"exchange_count": 3}, {}, "limit"),
        ({"refund_policy": RefundPolicy(exchange=ExchangeRules(max_exchanges=0))}, {}, "policy"),
        ({"refund_policy": None}, {}, "policy"),
    ],
)
def test_the_policy_limits_exchanges(changes: Any, more: Any, reason: str) -> None:
    assert set(reasons(quoted(confirmed(**changes), 1250, 1800, **more)).values()) == {reason}
    free = quoted(confirmed(**changes), 1250, 1800, is_free=True, **more)
    assert (free.is_possible, free.fee, free.counts) == (True, 0, False), "the cinema's offer ignores the policy"


def test_bad_exchanges_are_refused() -> None:
    with pytest.raises(TicketUnknown):
        quoted(confirmed(), 1250, seats=("Z9",))
    with pytest.raises(TooFewSeats):
        quoted(confirmed(), 3050)
    with pytest.raises(CurrencyDiffers):
        quoted(confirmed(), 1250, 1800, screening=("s2", "GBP"))
    statuses = [("cancelled", "cancelled"), ("exchanged", "cancelled"), ("transferred", "transferred")]
    for status, reason in statuses:
        first, second = confirmed().lines
        booking = confirmed(lines=[first.model_copy(update={"status": status}), second])
        assert reasons(quoted(booking, 1250, seats=("F7",))) == {"F7": reason}


def of_types(seats: list[Seat], *types: str) -> Booking:
    parts = [OrderLine(seat=seat, ticket_type=kind, amount=1000) for seat, kind in zip(seats, types, strict=True)]
    return confirmed(seats=seats, lines=parts, amount=1000 * len(parts))


def test_companions_come_along_and_children_stay_with_somebody() -> None:
    pair = of_types([W1, C1, F7], "adult", "companion", "adult")
    assert quoted(pair, 1000, 1000, seats=("W1",)).seats == ["W1", "C1"]
    with pytest.raises(TooFewSeats):
        quoted(pair, 1000, seats=("W1",))
    family = of_types([F7, F8], "adult", "child")
    assert reasons(quoted(family, 1000, seats=("F7",))) == {"F7": "policy"}
    assert quoted(family, 1000, seats=("F8",)).is_possible
    assert quoted(family, 1000, 1000).is_possible


def terms(quote: ExchangeQuote, booking: Booking, at: datetime = IN_TIME) -> Any:
    return terms_of(quote, booking, "b2", "x1", at)


def test_the_decision_is_made_on_the_stored_booking() -> None:
    booking = confirmed()
    exchange = terms(quoted(booking, 1250, seats=("F7",)), booking)
    assert exchange_tickets(booking, exchange) == ExchangeTickets(exchange)
    first, second = booking.lines
    for changes in (
        {"state": State.REFUNDING},
        {"lines": [first.model_copy(update={"status": "cancelled"}), second]},
        {"lines": [first.model_copy(update={"status": "transferred"}), second]},
        {"lines": [first.model_copy(update={"checked_in_at": NOW}), second]},
        {"lines": [first, second.model_copy(update={"ticket_type": "child"})]},
        {"refunded_amount": TOTAL - 1249},
        {"exchange_count": 3},
    ):
        assert exchange_tickets(booking.model_copy(update=changes), exchange) is None, changes


def test_an_exchange_does_not_make_a_ticket_refundable() -> None:
    """The policy stays with the money, and so does the percentage of the time of the exchange."""
    strict = confirmed(refund_policy=RefundPolicy(tiers=[RefundTier(minutes_before_start=120, refund_percent=80)]))
    checkout = check_out(
        given.held(hold_id="b2"), given.OFFER, given.ADULTS, reference="R2", payment_window=given.WINDOW, now=NOW
    )
    assert checkout.refund_policy != strict.refund_policy
    for at, percent in ((NOW, 80), (START - timedelta(minutes=119), 0)):
        quote = quoted(strict, 1250, 1800, at=at)
        new = as_exchange(checkout, strict, terms(quote, strict, at))
        assert (new.refund_policy, new.exchange_count) == (strict.refund_policy, 1)
        created = advance(None, new, NOW)
        assert created
        later = created.booking.model_copy(update={"state": State.CONFIRMED, "sources": []})
        refund = quote_cancellation(later, [], "by_customer", NOW).tickets[0]
        assert refund.reason == (None if percent else "too_late")


def test_the_money_of_a_failed_refund_stays_reserved() -> None:
    """Otherwise a later refund takes it, and nothing is left to repeat the failed one with."""
    booking = confirmed(
        exchange=given.exchange(replaces="b0", carried=1000), sources=[Source(booking_id="b0", amount=1000)]
    )
    cancelled = advance(booking, CancelTickets({"F8": 1800}, "by_customer", "q1"), NOW)
    assert cancelled
    assert [(refund.payment_id, refund.amount) for refund in cancelled.booking.refunds] == [(None, 1800)]
    failed = given.REFUND_FAILED.model_copy(update={"amount": 1800, "captured": 2050})
    after = advance(cancelled.booking, failed, NOW)
    assert after
    assert funds(after.booking) == {"b0": 1000, "b1": 250}
    again = advance(after.booking, RetryRefund("b1-refund", "b1-refund-again"), NOW)
    assert again
    assert again.booking.open_refunds[0].amount == 1800


def test_what_a_gift_card_got_back_of_a_failed_refund_is_not_refunded_again() -> None:
    """b1 was paid with a gift card (10.00) and a card; F7 went on to b2, whose refund fails for the card's part."""
    source = Source(booking_id="b1", amount=1250)
    terms = given.exchange(seats=["F7"], value=1250, carried=1250, refund=0, sources=[source])
    first, second = confirmed().lines
    old = confirmed(exchanges=[terms], lines=[first.model_copy(update={"status": "exchanged"}), second])
    new = confirmed(id="b2", exchange=terms, sources=[source], lines=[first], amount=1250)
    cancelled = advance(new, CancelTickets({"F7": 1250}, "by_customer", "q1"), NOW)
    assert cancelled
    facts = {"booking_id": "b1", "captured": TOTAL, "currency": "EUR", "requested": True}
    failed = PaymentRefundFailed(
        **facts, refund_id="b2-refund", amount=250, returned=1000, refunded=1000, ledger_entries=2
    )
    amended, after = record_passed_on(old, failed), advance(cancelled.booking, failed, NOW)
    assert amended
    assert after
    assert funds(amended.booking) == {"b1": 1800}, "the price of the ticket that b1 still has"
    assert funds(after.booking) == {"b1": 0, "b2": 0}
    assert [(note.number, note.amount) for note in credit_notes(after.booking)] == [(f"{given.REFERENCE}-1", 1000)]
    again = advance(after.booking, RetryRefund("b2-refund", "b2-refund-2"), NOW)
    assert again
    assert again.booking.refunded == 1000, "the repetition has not returned anything yet"
    made = PaymentRefunded(**facts, refund_id="b2-refund-2", amount=250, refunded=1250, ledger_entries=3)
    passed_on, done = record_passed_on(amended.booking, made), advance(again.booking, made, NOW)
    assert passed_on
    assert done
    assert funds(passed_on.booking) == {"b1": 1800}
    assert (done.booking.state, done.booking.refunded, passed_on.booking.refunded) == (State.REFUNDED, 1250, 0)
    late = PaymentRefunded(**facts, refund_id="b2-refund", amount=1250, refunded=1250, ledger_entries=2)
    assert record_passed_on(passed_on.booking, late) is None, "a refund that has failed never counts again"


def test_a_quote_says_where_the_money_of_the_earlier_booking_goes() -> None:
    """b1 was paid with a gift card (20.00) and a card, and exchanged for b2, which cost 5.00 more on a card."""
    gift, card = TenderAmounts(kind="gift_card", captured=2000), TenderAmounts(kind="card", captured=1050)
    old = in_state(State.EXCHANGED, paid_with=[gift, card])
    assert old
    source = Source(booking_id="b1", amount=TOTAL)
    terms = given.exchange(carried=TOTAL, refund=0, sources=[source])
    new = confirmed(id="b2", exchange=terms, sources=[source], amount=TOTAL + 500)
    everything = destinations(new, TOTAL + 500, "card", {"b1": old})
    assert [(each.to, each.amount) for each in everything] == [("gift_card", 2000), ("card", 1550)]
    part = destinations(new, 700, "card", {"b1": old})
    assert [(each.to, each.amount) for each in part] == [("gift_card", 200), ("card", 500)], "the newest money first"


def test_the_seats_wait_for_all_parts_also_after_one_was_repeated() -> None:
    source = Source(booking_id="b0", amount=1250)
    booking = confirmed(exchange=given.exchange(replaces="b0", carried=1250, refund=0), sources=[source])
    part = advance(booking, CancelTickets({"F7": 1250, "F8": 1800}, "by_customer", "q1"), NOW)
    assert part
    own, carried = part.booking.refunds
    assert (own.amount, carried.payment_id, carried.part_of) == (1800, "b0", own.refund_id)
    failed = given.REFUND_FAILED.model_copy(update={"amount": 1800, "captured": 1800})
    booking = part.booking
    for event in (failed, RetryRefund(own.refund_id, "b1-refund-again")):
        outcome = advance(booking, event, NOW)
        assert outcome
        booking = outcome.booking
    sums = {"amount": 1800, "refunded": 1800, "captured": 1800}
    accepted = advance(booking, given.PAYMENT_REFUNDED.model_copy(update={"refund_id": "b1-refund-again"} | sums), NOW)
    assert accepted
    assert not any(isinstance(each, BookingSeatsReturned | BookingCancelled) for each in accepted.events)
    assert accepted.booking.state is State.REFUNDING
    sums = {"booking_id": "b0", "refund_id": carried.refund_id, "amount": 1250, "refunded": 1250, "captured": 3050}
    done = advance(accepted.booking, given.PAYMENT_REFUNDED.model_copy(update=sums), NOW)
    assert done
    assert done.booking.state is State.REFUNDED


# ---- any sequence


class Exchanges(RuleBasedStateMachine):
    """A chain of bookings with their payments: captured − refunded = the price of the valid tickets, and fees."""

    @initialize(fee=st.sampled_from([0, 70]))
    def buy(self, fee: int) -> None:
        policy = RefundPolicy(
            tiers=[RefundTier(minutes_before_start=0, refund_percent=100)],
            exchange=ExchangeRules(fee=fee, max_exchanges=100),
        )
        self.captured: dict[str, int] = {}
        self.gifts: dict[str, int] = {}
        self.paid_back: dict[str, dict[str, int]] = {}
        self.ledger: dict[str, int] = {}
        self.requests: list[RefundRequested] = []
        self.kept = 0
        self.bookings: dict[str, Booking] = {}
        first = advance(
            None,
            check_out(given.held(), given.OFFER, given.ADULTS, reference="R1", payment_window=given.WINDOW, now=NOW),
            NOW,
        )
        assert first
        self.pay(first.booking.model_copy(update={"refund_policy": policy}))

    def pay(self, booking: Booking) -> None:
        self.bookings[booking.id] = booking
        due = booking.due or 0
        if due:
            self.captured[booking.id], self.paid_back[booking.id], self.ledger[booking.id] = due, {}, 1
            self.gifts[booking.id] = due // 3  # paid by a gift card, which gets its money back first
        sale = SeatsSold(
            hold_id=booking.id, showtime_id=booking.showtime_id, seats=booking.seat_ids, amount=due, currency="EUR",
            tenders=self.tenders(booking.id) if due else None,
        )  # fmt: skip
        self.apply(booking.id, sale)

    def tenders(self, payment: str) -> list[TenderAmounts]:
        gift, back = self.gifts[payment], sum(self.paid_back[payment].values())
        returned, rest = min(gift, back), self.captured[payment] - gift
        by_gift = TenderAmounts(kind="gift_card", captured=gift, refunded=returned)
        return [by_gift, TenderAmounts(kind="card", captured=rest, refunded=back - returned)]

    def apply(self, booking_id: str, event: Any) -> None:
        outcome = advance(self.bookings[booking_id], event, NOW)
        if outcome:
            self.bookings[booking_id] = outcome.booking
            self.requests += [each for each in outcome.events if isinstance(each, RefundRequested)]

    def pick(self, data: st.DataObject) -> Booking | None:
        alive = [booking for booking in self.bookings.values() if booking.state is State.CONFIRMED]
        return data.draw(st.sampled_from(alive)) if alive else None

    def pick_tickets(self, data: st.DataObject, booking: Booking) -> list[str]:
        seats = [line.seat.seat_id for line in booking.kept_lines]
        chosen = data.draw(st.lists(st.sampled_from(seats), unique=True, min_size=1))
        return [f"{booking.id}-{seat}" for seat in chosen]

    @rule(data=st.data(), amount=st.integers(0, 30).map(lambda n: n * 100))
    def exchange(self, data: st.DataObject, amount: int) -> None:
        if (old := self.pick(data)) is None or len(self.bookings) > 8:
            return
        tickets, number = self.pick_tickets(data, old), len(self.bookings) + 1
        priced = [line.model_copy(update={"amount": amount}) for line in lines(*[amount] * len(tickets))]
        quote = quote_exchange(old, tickets, priced, ("s2", "EUR"), NOW)
        hold = given.held(hold_id=f"b{number}", showtime_id="s2", seats=[line.seat for line in priced])
        checkout = check_out(
            given.held(), given.OFFER, given.ADULTS, reference="R", payment_window=given.WINDOW, now=NOW
        )
        exchange = terms_of(quote, old, hold.hold_id, f"x{number}", NOW)
        plain = {"hold": hold, "lines": priced}
        created = advance(None, as_exchange(type(checkout)(**vars(checkout) | plain), old, exchange), NOW)
        assert created
        if data.draw(st.booleans()) and len(old.kept_lines) > len(tickets):  # somebody cancels in between
            seat = next(line for line in old.kept_lines if f"{old.id}-{line.seat.seat_id}" in tickets)
            self.cancel_tickets(old, [f"{old.id}-{seat.seat.seat_id}"])
        self.pay(created.booking)
        command = exchange_tickets(self.bookings[old.id], exchange)
        if command is None:
            amendment = refuse_exchange(self.bookings[old.id], hold.hold_id)
            assert amendment
            self.bookings[old.id] = amendment.booking
            self.apply(hold.hold_id, ExchangeRefused())
            return
        self.apply(old.id, command)
        full = sum(line.amount for line in old.lines if line.seat.seat_id in exchange.seats)
        self.kept += exchange.fee - exchange.waived + full - exchange.value  # what was waived before is worth nothing
        made = self.bookings[old.id].exchanges[-1]
        assert sum(source.amount for source in made.sources) == exchange.carried
        self.apply(hold.hold_id, ExchangeMade(made.sources))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if booking := self.pick(data):
            self.cancel_tickets(booking, self.pick_tickets(data, booking))

    def cancel_tickets(self, booking: Booking, tickets: list[str]) -> None:
        quote = quote_cancellation(booking, tickets, "by_customer", NOW)
        if quote.cancellable:
            self.kept += sum(ticket.paid - ticket.refund for ticket in quote.cancellable)
            self.apply(booking.id, CancelTickets(quote.refunds, "by_customer", f"q{len(self.requests)}"))

    @rule(data=st.data(), fails=st.booleans())
    def refund(self, data: st.DataObject, *, fails: bool) -> None:
        if self.requests:
            self.settle(self.requests.pop(data.draw(st.integers(0, len(self.requests) - 1))), fails=fails)

    def settle(self, request: RefundRequested, *, fails: bool) -> None:
        account = self.paid_back[request.booking_id]
        assert request.amount <= self.captured[request.booking_id] - sum(account.values()), "never more than captured"
        returned = min(request.amount, max(0, self.gifts[request.booking_id] - sum(account.values())))
        fails = fails and returned < request.amount
        if returned or not fails:
            account[request.refund_id] = returned if fails else request.amount
            self.ledger[request.booking_id] += 1
        facts = {
            "booking_id": request.booking_id, "refund_id": request.refund_id,
            "amount": request.amount - returned if fails else request.amount,
            "refunded": sum(account.values()), "captured": self.captured[request.booking_id], "currency": "EUR",
            "requested": True, "ledger_entries": self.ledger[request.booking_id],
            "tenders": self.tenders(request.booking_id),
        }  # fmt: skip
        event = PaymentRefundFailed(**facts, returned=returned) if fails else PaymentRefunded(**facts)
        for _ in range(2):  # a repeat changes nothing
            if (booking_id := refunded_booking(event)) != event.booking_id:
                amendment = record_passed_on(self.bookings[event.booking_id], event)
                if amendment:
                    self.bookings[event.booking_id] = amendment.booking
            self.apply(booking_id, event)

    @invariant()
    def money_adds_up(self) -> None:
        """Once every refund is made, each payment has exactly what the bookings count on it."""
        if not self.bookings:
            return
        saved = dict(self.bookings), dict(self.ledger), {key: dict(each) for key, each in self.paid_back.items()}
        pending = list(self.requests)
        try:
            while self.requests:
                self.settle(self.requests.pop(), fails=False)
            for booking in list(self.bookings.values()):
                for refund in booking.refunds:
                    if refund.must_be_repeated:
                        self.apply(
                            booking.id, RetryRefund(refund.refund_id, f"{booking.id}-refund-r{refund.refund_id}")
                        )
            while self.requests:
                self.settle(self.requests.pop(), fails=False)
            left = sum(self.captured.values()) - sum(sum(each.values()) for each in self.paid_back.values())
            entitled = [booking for booking in self.bookings.values() if booking.state is State.CONFIRMED]
            assert left == sum(line.amount for each in entitled for line in each.kept_lines) + self.kept
            for payment, refunds in self.paid_back.items():
                counted = sum(funds(booking).get(payment, 0) for booking in self.bookings.values())
                assert counted == self.captured[payment] - sum(refunds.values())
            for booking in self.bookings.values():
                tenders = booking.tenders
                used = sum(each.captured - each.refunded - each.moved for each in tenders)
                assert booking.state in (State.REFUNDING, State.REFUNDED) or used == sum(funds(booking).values())
                assert all(each.captured >= each.refunded + each.moved for each in tenders), "of each tender"
                assert booking.state is not State.REFUNDING, "nothing is open any more"
        finally:
            self.bookings, self.ledger, self.paid_back = saved
            self.requests = pending


Exchanges.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
test_any_sequence_keeps_the_money = Exchanges.TestCase
