"""The saga without I/O: given a booking and a trigger, expect a state and events."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from booking.handlers import TICKETS_CHANGED
from booking.model import (
    AcceptTicket,
    Booking,
    Cancel,
    CancelTickets,
    Checkout,
    DeadlinePassed,
    ExchangeMade,
    ExchangeRefused,
    ExchangeTickets,
    OfferTicket,
    RecallTicket,
    RetryRefund,
    ReturnTicket,
    Source,
    State,
    funds,
    price,
)
from booking.saga import EARLY, IGNORED, TRANSITIONS, Outcome, Trigger, UnexpectedEvent, WrongAmount, advance
from booking.saga.effects import REPEAT_AFTER, REPEAT_DISPUTED_AFTER
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExchanged,
    BookingExpired,
    BookingPaid,
    BookingRefunded,
    BookingRefundMade,
    BookingRescheduled,
    BookingSeatsReturned,
    BookingTicketsExchanged,
    PaymentCancelRequested,
    PaymentRequested,
    RefundRequested,
)
from contracts.catalog import Price, ShowtimeCancelled, ShowtimeChangeRefused, ShowtimeRescheduled, ShowtimeScheduled
from contracts.errors import NotYet, RejectedEvent
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.notifier import MailFailed
from contracts.payment import PaymentCancelled, PaymentDisputed, PaymentFailed, PaymentRefunded, PaymentRefundFailed
from contracts.topology import CONSUMES, PEOPLE

from . import examples as given
from .examples import ADULTS, NOW, REFERENCE, TOTAL, in_state

LATER = NOW + timedelta(hours=1)
S = State

TRIGGERS: dict[type, Any] = {
    SeatsReleased: given.SEATS_RELEASED,
    SeatsSold: given.SEATS_SOLD,
    SaleRejected: given.SALE_REJECTED,
    PaymentFailed: given.PAYMENT_FAILED,
    PaymentCancelled: given.PAYMENT_CANCELLED,
    PaymentRefunded: given.PAYMENT_REFUNDED,
    PaymentRefundFailed: given.REFUND_FAILED,
    PaymentDisputed: given.PAYMENT_DISPUTED,
    ShowtimeCancelled: given.SHOWTIME_CANCELLED,
    ShowtimeRescheduled: given.SHOWTIME_RESCHEDULED,
    Checkout: given.checkout(),
    Cancel: Cancel("by_customer"),
    CancelTickets: given.CANCEL_F7,
    OfferTicket: OfferTicket(given.TRANSFER),
    RecallTicket: RecallTicket(given.TRANSFER.ticket_id),
    AcceptTicket: AcceptTicket(given.TRANSFER.ticket_id),
    ReturnTicket: ReturnTicket(given.TRANSFER.ticket_id),
    RetryRefund: given.RETRY,
    ExchangeTickets: given.EXCHANGED,
    ExchangeMade: given.EXCHANGE_MADE,
    ExchangeRefused: given.EXCHANGE_REFUSED,
    DeadlinePassed: DeadlinePassed(),
}

IMPOSSIBLE: dict[type, Iterable[State | None]] = {
    SeatsReleased: (None,),
    SeatsSold: (None,),
    SaleRejected: (None, S.EXCHANGING, S.CONFIRMED),
    PaymentFailed: (None,),
    PaymentCancelled: (None,),
    PaymentRefunded: (None,),
    PaymentRefundFailed: (None,),
    PaymentDisputed: (None,),
    ShowtimeCancelled: (None,),
    ShowtimeRescheduled: (None,),
    ExchangeTickets: (None, *(set(S) - {S.CONFIRMED})),
    ExchangeMade: (None, *(set(S) - {S.EXCHANGING, S.CONFIRMED, S.REFUNDING, S.REFUNDED, S.EXCHANGED})),
    ExchangeRefused: (None, *(set(S) - {S.EXCHANGING, S.REFUNDING, S.REFUNDED})),
    **dict.fromkeys(
        (CancelTickets, OfferTicket, RecallTicket, AcceptTicket, ReturnTicket), (None, *(set(S) - {S.CONFIRMED}))
    ),
    RetryRefund: (None, *(set(S) - {S.CONFIRMED, S.REFUNDING, S.REFUNDED, S.EXCHANGED})),
    Checkout: tuple(S),
    Cancel: (None, S.CONFIRMING, S.EXCHANGING, S.EXPIRED, S.EXCHANGED),
    DeadlinePassed: (None,),
}
"""Triggers that cannot happen or that the API refuses. Such an event becomes a dead letter and raises an alert."""


def step(booking: Booking | None, event: Trigger, at: Any = NOW) -> Outcome:
    outcome = advance(booking, event, at)
    assert outcome is not None, "the event changed nothing"
    return outcome


def event_names(outcome: Outcome) -> list[str]:
    return [type(event).__name__ for event in outcome.events]


def pairs_in(pairs: Any) -> set[tuple[State | None, type]]:
    return {(state, event) for event, (states, _) in pairs.items() for state in states}


PAIRS = [(state, event) for state in (None, *State) for event in TRIGGERS]


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=lambda part: getattr(part, "__name__", part))
def test_every_pair_of_state_and_event_is_classified_once(state: State | None, event: type) -> None:
    rows = [row for row in TRANSITIONS if (row.state, row.event) == (state, event)]
    ignored, early = (state, event) in pairs_in(IGNORED), (state, event) in pairs_in(EARLY)
    impossible = state in IMPOSSIBLE.get(event, ())
    assert [bool(rows), ignored, early, impossible].count(True) == 1, "classify this pair in table.py or as impossible"

    booking, trigger = in_state(state), TRIGGERS[event]
    if impossible or early:
        with pytest.raises(NotYet if early else UnexpectedEvent):
            advance(booking, trigger, NOW)
    elif ignored:
        assert advance(booking, trigger, NOW) is None
    else:
        outcome = advance(booking, trigger, LATER)
        assert outcome is None or outcome.booking.state in {row.to for row in rows}
        assert all(isinstance(event.subject, str) for event in (outcome.events if outcome else ()))


def test_every_consumed_event_is_in_the_table() -> None:
    others = {ShowtimeScheduled, ShowtimeChangeRefused, MailFailed, *TICKETS_CHANGED, *PEOPLE}
    assert set(CONSUMES["booking"]) - others == {event for event in TRIGGERS if hasattr(event, "subject")}


def test_no_row_follows_an_unconditional_one() -> None:
    last: dict[Any, Any] = {}
    for row in TRANSITIONS:
        assert (row.state, row.event) not in last, row
        if row.when is None:
            last[row.state, row.event] = row


def test_an_unexpected_event_becomes_a_dead_letter() -> None:
    assert issubclass(UnexpectedEvent, RejectedEvent)


# ---- purchase


def test_checkout_pay_sell() -> None:
    ordered = step(None, given.checkout())
    assert (ordered.booking.state, ordered.booking.seat_ids) == (S.AWAITING_PAYMENT, ["F7", "F8"])
    assert (ordered.booking.id, ordered.booking.holder) == (given.BOOKING, given.HOLDER)
    [request] = ordered.events
    assert isinstance(request, PaymentRequested)
    assert (request.amount, request.currency, request.seats) == (TOTAL, "EUR", ["F7", "F8"])
    assert request.payment_deadline_at == ordered.booking.payment_deadline_at == ordered.booking.due_at

    confirmed = step(ordered.booking, given.SEATS_SOLD)
    [message] = confirmed.events
    assert isinstance(message, BookingConfirmed)
    assert confirmed.booking.state is S.CONFIRMED
    assert [ticket.ticket_id for ticket in message.tickets] == ["b1-F7", "b1-F8"]
    assert [ticket.amount for ticket in message.tickets] == [1250, 1800]
    assert message.tickets == confirmed.booking.tickets
    assert confirmed.booking.due_at is None
    assert [passage.state for passage in confirmed.booking.history] == [S.AWAITING_PAYMENT, S.CONFIRMED]
    assert [passage.event for passage in confirmed.booking.history] == ["Checkout", "inventory.seats_sold.v1"]


@pytest.mark.parametrize(("taxes", "total"), [((79, 119), 198), ((79, None), None), ((0, 0), 0)])
def test_the_tickets_tell_the_tax_that_the_price_table_had(taxes: tuple[int | None, ...], total: int | None) -> None:
    prices = [
        Price(category=category, ticket_type="adult", amount=2000, fee=150, tax=tax)
        for category, tax in zip(("standard", "vip"), taxes, strict=True)
    ]
    lines = price([given.F7, given.F8], ADULTS.ticket_types, prices)
    assert [(line.amount, line.fee, line.tax) for line in lines] == [(2000, 150, tax) for tax in taxes]
    booking = in_state(S.AWAITING_PAYMENT, lines=lines, amount=TOTAL)
    [confirmed] = step(booking, given.SEATS_SOLD).events
    assert confirmed.model_dump()["tax"] == total


def test_a_free_booking_skips_payment() -> None:
    outcome = step(None, given.checkout(given.CHILDREN))
    assert (outcome.booking.state, outcome.booking.amount) == (S.CONFIRMING, 0)
    assert outcome.events == [BookingPaid(booking_id="b1", showtime_id="s1", seats=["F7", "F8"], holder=given.HOLDER)]
    for nothing in (None, 0):
        sold = given.SEATS_SOLD.model_copy(update={"amount": nothing, "currency": None})
        assert step(outcome.booking, sold).booking.state is S.CONFIRMED


@pytest.mark.parametrize(
    ("event", "state"), [(given.SALE_REJECTED, S.CONFIRMING), (given.SHOWTIME_CANCELLED, S.CONFIRMED)]
)
def test_a_free_booking_needs_no_refund(event: Trigger, state: State) -> None:
    free = step(None, given.checkout(given.CHILDREN)).booking.model_copy(update={"state": state})
    outcome = step(free, event)
    assert outcome.booking.state is S.REFUNDED
    assert isinstance(outcome.events[-1], BookingRefunded)
    assert outcome.events[-1].amount == 0
    assert "RefundRequested" not in event_names(outcome)


# ---- payments and refunds


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("other", [{"amount": TOTAL - 1}, {"amount": TOTAL + 1}, {"currency": "USD"}])
def test_a_wrong_amount_is_refused_in_every_state(state: State, other: dict[str, Any]) -> None:
    with pytest.raises(WrongAmount):
        advance(in_state(state), given.SEATS_SOLD.model_copy(update=other), NOW)


@pytest.mark.parametrize("state", [S.AWAITING_PAYMENT, S.CLOSING, S.EXPIRED, S.CANCELLED])
@pytest.mark.parametrize("amount", [None, 0])
def test_a_sale_without_an_amount_is_refused_for_a_paid_booking(state: State, amount: int | None) -> None:
    unpaid = given.SEATS_SOLD.model_copy(update={"amount": amount})
    for amount_due in (TOTAL, None):
        with pytest.raises(WrongAmount):
            advance(in_state(state, amount=amount_due), unpaid, NOW)


@pytest.mark.parametrize("amount", [None, 0, TOTAL])
def test_a_booking_that_was_paid_before_the_release_of_2026_12_is_confirmed(amount: int | None) -> None:
    """`payment.succeeded` made it `confirming`, so booking knows the paid amount and inventory does not."""
    sold = given.SEATS_SOLD.model_copy(update={"amount": amount})
    assert step(in_state(S.CONFIRMING), sold).booking.state is S.CONFIRMED
    assert advance(in_state(S.CONFIRMED), sold, NOW) is None, "a repeat"


def test_a_late_payment_of_an_erased_person_is_refunded() -> None:
    """The tickets would have no recipient, so the seats are released."""
    late = step(in_state(S.EXPIRED, email=None, name=None), given.SEATS_SOLD)
    cancelled, request = late.events
    assert isinstance(cancelled, BookingCancelled)
    assert isinstance(request, RefundRequested)
    assert (late.booking.state, request.amount, cancelled.refund_amount) == (S.REFUNDING, TOTAL, TOTAL)
    for refunded in step(late.booking, given.PAYMENT_REFUNDED).events:
        assert isinstance(refunded, BookingRefunded | BookingRefundMade)
        assert refunded.email is None


@pytest.mark.parametrize("event", [given.SHOWTIME_CANCELLED, Cancel("by_staff")])
def test_an_erased_persons_booking_ends_like_any_other(event: Trigger) -> None:
    ended = step(in_state(S.CONFIRMED, email=None, name=None), event)
    assert event_names(ended) == ["BookingCancelled", "RefundRequested"]


def test_a_declined_card_may_be_tried_again() -> None:
    declined = step(in_state(S.AWAITING_PAYMENT), given.PAYMENT_FAILED)
    assert (declined.booking.state, declined.booking.payment_failure) == (S.AWAITING_PAYMENT, "insufficient_funds")
    assert step(declined.booking, given.SEATS_SOLD).booking.state is S.CONFIRMED


@pytest.mark.parametrize("state", [S.AWAITING_PAYMENT, S.CLOSING, S.EXPIRED, S.CONFIRMING])
def test_seats_lost_after_the_payment_are_refunded_once(state: State) -> None:
    rejected = step(in_state(state), given.SALE_REJECTED)
    [request] = rejected.events
    assert isinstance(request, RefundRequested)
    assert (request.refund_id, request.amount, request.reason) == ("b1-refund", TOTAL, "seats_lost")
    again = step(rejected.booking, DeadlinePassed(), LATER)
    assert again.events == [request], "the repeated request is for the same refund"
    refunded = step(rejected.booking, given.PAYMENT_REFUNDED)
    assert (refunded.booking.state, event_names(refunded)) == (S.REFUNDED, ["BookingRefunded", "BookingRefundMade"])


def test_a_refund_made_at_the_provider_is_not_repeated() -> None:
    partly = step(in_state(S.CONFIRMED), given.PARTLY_REFUNDED)
    assert (partly.booking.state, partly.booking.refunded_amount) == (S.CONFIRMED, 1000)
    assert event_names(partly) == ["BookingRefundMade"]
    cancelled = step(partly.booking, Cancel("by_staff"))
    assert event_names(cancelled) == ["BookingCancelled", "RefundRequested"]
    assert cancelled.events[1].model_dump()["amount"] == TOTAL - 1000


def test_a_partial_refund_at_the_provider_does_not_complete_a_refund() -> None:
    refunding = in_state(S.REFUNDING)
    assert step(refunding, given.PARTLY_REFUNDED).booking.state is S.REFUNDING


def test_a_full_refund_at_the_provider_ends_the_booking() -> None:
    whole = given.PAYMENT_REFUNDED.model_copy(update={"refund_id": "at-stripe", "requested": False})
    outcome = step(in_state(S.CONFIRMED), whole)
    assert outcome.booking.state is S.REFUNDED
    assert event_names(outcome) == ["BookingCancelled", "BookingRefunded", "BookingRefundMade"]
    assert outcome.events[0].model_dump()["reason"] == "refunded_at_provider"
    assert outcome.events[1].model_dump()["amount"] == TOTAL
    assert (outcome.events[2].model_dump()["amount"], outcome.events[2].model_dump()["reason"]) == (
        TOTAL,
        "refunded_at_provider",
    )


@pytest.mark.parametrize("state", [S.CONFIRMED, S.REFUNDING, S.REFUNDED, S.EXCHANGED])
def test_the_refunds_of_a_booking_are_each_published_once(state: State) -> None:
    """The published amounts add up to the refunded money, in whatever order payment's events arrive."""
    first = given.PARTLY_REFUNDED
    second = first.model_copy(update={"refund_id": "another", "amount": 500, "refunded": 1500})
    for events in ([first, second], [second, first]):
        booking, amounts = in_state(state), list[int]()
        for event in (*events, *events):
            if (outcome := advance(booking, event, NOW)) and outcome.events:
                assert outcome.booking.state is state
                [made] = outcome.events
                assert isinstance(made, BookingRefundMade)
                amounts.append(made.amount)
                assert made.amount > 0, "a repeat is no refund"
                assert (made.refunded, made.paid) == (sum(amounts), TOTAL)
                assert (made.email, made.screening) == (ADULTS.email, given.OFFER.screening)
                booking = outcome.booking
        assert sum(amounts) == 1500


def test_a_refund_during_a_dispute_waits_for_its_end() -> None:
    disputed = step(in_state(S.CONFIRMED, due_at=None), given.PAYMENT_DISPUTED).booking
    assert (disputed.state, disputed.is_disputed, disputed.due_at) == (S.CONFIRMED, True, None)
    refunding = step(disputed, given.SHOWTIME_CANCELLED).booking
    assert (refunding.state, refunding.due_at) == (S.REFUNDING, NOW + REPEAT_DISPUTED_AFTER)
    again = step(refunding, DeadlinePassed(), NOW + REPEAT_DISPUTED_AFTER)
    assert (event_names(again), again.booking.due_at) == (["RefundRequested"], NOW + 2 * REPEAT_DISPUTED_AFTER)
    ended = step(refunding, given.DISPUTE_ENDED).booking
    assert (ended.state, ended.is_disputed, ended.due_at) == (S.REFUNDING, False, NOW + REPEAT_AFTER)
    assert step(ended, given.PAYMENT_REFUNDED).booking.state is S.REFUNDED


def test_a_dispute_that_opens_during_a_refund_slows_its_repeats() -> None:
    disputed = step(in_state(S.REFUNDING), given.PAYMENT_DISPUTED).booking
    assert (disputed.state, disputed.due_at) == (S.REFUNDING, NOW + REPEAT_DISPUTED_AFTER)


# ---- endings before the payment


@pytest.mark.parametrize(("state", "ending", "reason"), [
    (S.CLOSING, "by_customer", "cancelled"),
    (S.CLOSING, "showtime_cancelled", "showtime_cancelled"),
    (S.CLOSING, "deadline", "seats_lost"),
    (S.CANCELLED, "by_staff", "cancelled"),
    (S.CANCELLED, "showtime_cancelled", "showtime_cancelled"),
    (S.EXPIRED, "deadline", "seats_lost"),
])  # fmt: skip
def test_a_rejected_sale_keeps_the_end_reason(state: State, ending: Any, reason: str) -> None:
    rejected = step(in_state(state, ending=ending), given.SALE_REJECTED)
    assert rejected.booking.state is S.REFUNDING
    [request] = rejected.events
    assert (request.model_dump()["reason"], request.model_dump()["amount"]) == (reason, TOTAL)
    kept = ending if reason != "seats_lost" else "seats_lost"
    assert rejected.booking.ending == kept


@pytest.mark.parametrize(
    ("event", "reason", "end", "message"),
    [
        (Cancel("by_customer"), "cancelled", S.CANCELLED, BookingCancelled),
        (Cancel("by_staff"), "cancelled", S.CANCELLED, BookingCancelled),
        (given.SHOWTIME_CANCELLED, "cancelled", S.CANCELLED, BookingCancelled),
        (given.SEATS_RELEASED, "seats_released", S.EXPIRED, BookingExpired),
        (DeadlinePassed(), "deadline", S.EXPIRED, BookingExpired),
    ],
)
def test_seats_are_released_only_after_payment_cancelled(
    event: Trigger, reason: str, end: State, message: type
) -> None:
    closing = step(in_state(S.AWAITING_PAYMENT), event, LATER)
    assert closing.booking.state is S.CLOSING
    assert closing.events == [PaymentCancelRequested.model_validate({"booking_id": "b1", "reason": reason})]
    ended = step(closing.booking, given.PAYMENT_CANCELLED)
    assert (ended.booking.state, [type(event) for event in ended.events]) == (end, [message])


def test_a_deadline_that_is_not_due_changes_nothing() -> None:
    assert advance(in_state(S.AWAITING_PAYMENT), DeadlinePassed(), NOW) is None


def test_a_payment_that_wins_the_race_confirms_the_booking() -> None:
    closing = step(in_state(S.AWAITING_PAYMENT), Cancel("by_customer")).booking
    outcome = step(closing, given.SEATS_SOLD)
    assert (outcome.booking.state, outcome.booking.ending) == (S.CONFIRMED, None)
    assert event_names(outcome) == ["BookingConfirmed"]


def test_a_late_payment_buys_the_seats_if_they_are_still_free() -> None:
    outcome = step(in_state(S.EXPIRED), given.SEATS_SOLD)
    assert (outcome.booking.state, outcome.booking.ending) == (S.CONFIRMED, None)
    assert event_names(outcome) == ["BookingConfirmed"]


def test_a_sale_that_crosses_the_cancellation_is_undone_and_refunded() -> None:
    outcome = step(in_state(S.CANCELLED), given.SEATS_SOLD)
    assert (outcome.booking.state, event_names(outcome)) == (S.REFUNDING, ["BookingCancelled", "RefundRequested"])
    assert outcome.events[0].model_dump()["seats"] == ["F7", "F8"]


# ---- changes of seats and showtimes


def test_other_seats_sold_than_paid_are_not_confirmed() -> None:
    for state in (S.AWAITING_PAYMENT, S.CONFIRMING):
        with pytest.raises(UnexpectedEvent):
            advance(in_state(state), given.SEATS_SOLD.model_copy(update={"seats": ["F7"]}), NOW)


@pytest.mark.parametrize("state", [S.CONFIRMING, S.CONFIRMED])
def test_a_cancelled_showtime_is_refunded(state: State) -> None:
    outcome = step(in_state(state), given.SHOWTIME_CANCELLED)
    assert (outcome.booking.state, event_names(outcome)) == (S.REFUNDING, ["BookingCancelled", "RefundRequested"])
    assert [event.model_dump()["reason"] for event in outcome.events] == ["showtime_cancelled"] * 2
    assert advance(outcome.booking, given.SEATS_SOLD, NOW) is None


@pytest.mark.parametrize("state", [S.CLOSING, S.EXPIRED])
def test_a_payment_after_the_showtimes_cancellation_is_refunded(state: State) -> None:
    doomed = step(in_state(state, ending="deadline"), given.SHOWTIME_CANCELLED).booking
    outcome = step(doomed, given.SEATS_SOLD)
    assert (outcome.booking.state, event_names(outcome)) == (S.REFUNDING, ["BookingCancelled", "RefundRequested"])
    assert outcome.events[-1].model_dump()["reason"] == "showtime_cancelled"


def test_a_rescheduled_showtime_moves_the_screening_and_publishes_once() -> None:
    tickets = in_state(S.CONFIRMED)
    outcome = step(tickets, given.SHOWTIME_RESCHEDULED)
    assert tickets and tickets.screening and outcome.booking.screening
    assert outcome.booking.screening.starts_at == given.SHOWTIME_RESCHEDULED.starts_at
    assert (outcome.booking.state, outcome.booking.history) == (S.CONFIRMED, [])
    [event] = outcome.events
    assert isinstance(event, BookingRescheduled)
    assert (event.previous_starts_at, event.screening) == (tickets.screening.starts_at, outcome.booking.screening)
    assert (event.email, event.name, event.reference, event.moves) == (ADULTS.email, ADULTS.name, REFERENCE, 1)

    assert advance(outcome.booking, given.SHOWTIME_RESCHEDULED, NOW) is None, "a repeat"
    longer = given.SHOWTIME_RESCHEDULED.model_copy(update={"ends_at": NOW + timedelta(days=1, hours=3)})
    assert event_names(step(outcome.booking, longer)) == []

    back = given.SHOWTIME_RESCHEDULED.model_copy(update={"starts_at": tickets.screening.starts_at})
    [again] = step(outcome.booking, back).events
    assert again.model_dump()["moves"] == 2


@pytest.mark.parametrize("state", [S.AWAITING_PAYMENT, S.CONFIRMING])
def test_an_unconfirmed_booking_moves_without_an_event(state: State) -> None:
    moved = step(in_state(state), given.SHOWTIME_RESCHEDULED)
    assert event_names(moved) == []
    assert moved.booking.screening
    assert moved.booking.screening.starts_at == given.SHOWTIME_RESCHEDULED.starts_at


def test_a_cancellation_event_contains_the_data_for_the_mail() -> None:
    event = step(in_state(S.CONFIRMED), given.SHOWTIME_CANCELLED).events[0]
    assert isinstance(event, BookingCancelled)
    assert (event.email, event.name, event.locale, event.reference) == (ADULTS.email, ADULTS.name, "en", REFERENCE)
    assert (event.refund_amount, event.currency, event.screening) == (TOTAL, "EUR", given.OFFER.screening)
    closing = step(in_state(S.AWAITING_PAYMENT), given.SHOWTIME_CANCELLED).booking
    unpaid = step(closing, given.PAYMENT_CANCELLED).events[0]
    assert isinstance(unpaid, BookingCancelled)
    assert (unpaid.email, unpaid.screening, unpaid.refund_amount) == (ADULTS.email, given.OFFER.screening, None)


# ---- exchange


def test_an_exchange_refunds_a_positive_difference() -> None:
    outcome = step(in_state(S.CONFIRMED), given.EXCHANGED)
    assert (outcome.booking.state, event_names(outcome)) == (S.EXCHANGED, ["BookingExchanged", "RefundRequested"])
    exchanged, refund = outcome.events
    assert isinstance(exchanged, BookingExchanged)
    assert isinstance(refund, RefundRequested)
    assert (exchanged.replaced_by, refund.amount, refund.reason) == ("b2", TOTAL - 1250, "exchange_difference")
    assert (outcome.booking.valid_tickets, outcome.booking.exchange_count) == ([], 1)
    assert outcome.booking.due_at == NOW + REPEAT_AFTER, "the request for the refund is repeated"
    dearer = ExchangeTickets(given.exchange(carried=TOTAL, refund=0))
    assert event_names(step(in_state(S.CONFIRMED), dearer)) == ["BookingExchanged"]


def test_an_exchange_of_a_part_leaves_the_other_ticket_valid() -> None:
    part = ExchangeTickets(given.exchange(seats=["F7"], value=1250, carried=1000, refund=250))
    outcome = step(in_state(S.CONFIRMED), part)
    assert event_names(outcome) == ["BookingTicketsExchanged", "BookingSeatsReturned", "RefundRequested"]
    exchanged, returned, _ = outcome.events
    assert isinstance(exchanged, BookingTicketsExchanged)
    assert isinstance(returned, BookingSeatsReturned)
    assert (exchanged.seats, exchanged.remaining, returned.seats) == ([given.F7], [given.F8], ["F7"])
    assert (outcome.booking.state, len(outcome.booking.kept_lines)) == (S.CONFIRMED, 1)


@pytest.mark.parametrize("state", [S.AWAITING_PAYMENT, S.CLOSING, S.EXPIRED])
def test_the_tickets_of_an_exchange_become_valid_only_when_the_earlier_ones_are_void(state: State) -> None:
    terms = given.exchange(replaces="b0", replaced_by=given.BOOKING, carried=1000)
    booking = in_state(state, exchange=terms, replaces="b0")
    assert booking
    paid = given.SEATS_SOLD.model_copy(update={"amount": TOTAL - 1000})
    with pytest.raises(WrongAmount):
        advance(booking, given.SEATS_SOLD, NOW)
    sold = step(booking, paid)
    assert (sold.booking.state, sold.events, sold.booking.valid_tickets) == (S.EXCHANGING, [], [])
    assert (sold.booking.ending, sold.booking.due_at) == (None, NOW + REPEAT_AFTER)
    made = step(sold.booking, ExchangeMade([Source(booking_id="b0", amount=1000)]))
    [confirmed] = made.events
    assert isinstance(confirmed, BookingConfirmed)
    assert (confirmed.replaces, confirmed.amount, len(confirmed.tickets)) == ("b0", TOTAL, 2)
    assert funds(made.booking) == {"b0": 1000, given.BOOKING: TOTAL - 1000}

    refused = step(sold.booking, given.EXCHANGE_REFUSED)
    returned, refund = refused.events
    assert isinstance(returned, BookingSeatsReturned)
    assert isinstance(refund, RefundRequested)
    assert (returned.seats, refund.amount, refund.booking_id) == (["F7", "F8"], TOTAL - 1000, given.BOOKING)
    assert (refused.booking.state, refused.booking.ending) == (S.REFUNDING, "exchange_refused")


def test_a_showtime_that_is_cancelled_in_the_middle_of_an_exchange_returns_all_the_money() -> None:
    """The earlier booking has decided by then, so its money is this booking's."""
    terms = given.exchange(replaces="b0", replaced_by=given.BOOKING, carried=1000)
    booking = in_state(S.EXCHANGING, exchange=terms, replaces="b0")
    cancelled = step(booking, given.SHOWTIME_CANCELLED).booking
    assert (cancelled.state, cancelled.ending) == (S.EXCHANGING, "showtime_cancelled")
    made = step(cancelled, ExchangeMade([Source(booking_id="b0", amount=1000)]))
    requests = [event for event in made.events if isinstance(event, RefundRequested)]
    assert [(each.booking_id, each.amount) for each in requests] == [(given.BOOKING, TOTAL - 1000), ("b0", 1000)]
    assert made.booking.state is S.REFUNDING


def test_a_refund_of_two_payments_is_complete_with_the_last_part() -> None:
    terms = given.exchange(replaces="b0", replaced_by=given.BOOKING, carried=1000)
    booking = in_state(S.CONFIRMED, exchange=terms, sources=[Source(booking_id="b0", amount=1000)])
    refunding = step(booking, CancelTickets({"F7": 1250, "F8": 1800}, "by_customer", "q1")).booking
    assert [(each.payment_id, each.amount) for each in refunding.refunds] == [(None, TOTAL - 1000), ("b0", 1000)]
    own = given.PAYMENT_REFUNDED.model_copy(update={"amount": 2050, "refunded": 2050, "captured": 2050})
    other = own.model_copy(update={"booking_id": "b0", "refund_id": "b1-refund-2", "amount": 1000, "refunded": 1000})
    for first, second in ((own, other), (other, own)):
        half = step(refunding, first)
        assert (half.booking.state, event_names(half)) == (S.REFUNDING, ["BookingRefundMade"])
        whole = step(half.booking, second)
        assert (whole.booking.state, whole.booking.refunded) == (S.REFUNDED, TOTAL)
        assert event_names(whole) == ["BookingCancelled", "BookingRefunded", "BookingRefundMade"]
    assert [tender.kind for tender in refunding.tenders] == ["exchange", "card"]


# ---- progress


@pytest.mark.parametrize(
    ("state", "message"),
    [(S.CLOSING, PaymentCancelRequested), (S.CONFIRMING, BookingPaid), (S.REFUNDING, RefundRequested)],
)
def test_an_unanswered_request_is_repeated(state: State, message: type) -> None:
    waiting = in_state(state, due_at=NOW)
    outcome = step(waiting, DeadlinePassed())
    assert (outcome.booking.state, [type(event) for event in outcome.events]) == (state, [message])
    assert outcome.booking.due_at is not None
    assert outcome.booking.due_at > NOW


def test_an_expiry_contains_the_data_for_inventory() -> None:
    closing = in_state(S.CLOSING)
    [expired] = step(closing, given.PAYMENT_CANCELLED).events
    assert expired == BookingExpired(booking_id="b1", showtime_id="s1", seats=["F7", "F8"], holder=given.HOLDER)
