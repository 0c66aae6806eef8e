"""The rules of money, without I/O."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.claims import PaymentOrder
from contracts.errors import NotYet
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentSucceeded
from contracts.types import Holder
from hypothesis import given
from hypothesis import strategies as st
from payment import model
from payment.model import (
    Account,
    AlreadyPaid,
    Change,
    DeadlinePassed,
    MoneyMismatch,
    OrderInvalid,
    OrderMismatch,
    PaymentClosed,
    PaymentUnknown,
    RefundTooLarge,
    State,
    StripeEvent,
    on_intent,
    on_refund,
)
from payment.news import ChargeSeen, IntentSeen, OrderSeen, RefundSeen, read_event, read_intent
from pydantic import BaseModel, ValidationError

NOW = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)
PRICE = 2500


def requested(**changes: Any) -> Account:
    fields = {
        "id": "b1",
        "holder": Holder(user_id="u1"),
        "amount": PRICE,
        "currency": "EUR",
        "reference": "USHER1",
        "showtime_id": "s1",
        "seats": ["F7", "F8"],
        "payment_deadline_at": NOW + timedelta(minutes=10),
    }
    return Account.model_validate(fields | changes)


def offered(**changes: Any) -> Account:
    return requested(state=State.INTENT_CREATED, intent_id="pi_1", **changes)


def paid(**changes: Any) -> Account:
    return requested(state=State.SUCCEEDED, intent_id="pi_1", captured=PRICE, **changes)


def seen(status: str, **changes: Any) -> IntentSeen:
    fields = {"id": "pi_1", "booking_id": "b1", "status": status, "amount_received": 0, "currency": "EUR"}
    return IntentSeen.model_validate(fields | changes)


def success(**changes: Any) -> IntentSeen:
    return seen("succeeded", **{"amount_received": PRICE, "charge_id": "ch_1"} | changes)


def back(amount: int, state: str = "succeeded", refund_id: str | None = None, stripe_id: str = "re_1") -> RefundSeen:
    fields = {"id": stripe_id, "intent_id": "pi_1", "refund_id": refund_id, "amount": amount, "state": state}
    return RefundSeen.model_validate(fields)


def after(account: Account, change: Change | None) -> Account:
    """The account as the store would write it."""
    if change is None:
        return account
    raw = account.model_dump()
    for name, value in change.fields.items():
        place, _, key = name.partition(".")
        plain = value.model_dump() if isinstance(value, BaseModel) else value
        if key:
            raw[place][key] = plain
        else:
            raw[place] = plain
    raw["ledger"] += [line.model_dump() for line in change.lines]
    raw["stripe_events"] += [change.cause.model_dump()] if change.cause else []
    return Account.model_validate(raw)


def said(change: Change | None) -> list[Any]:
    return list(change.events) if change else []


@pytest.mark.parametrize(
    ("account", "problem"),
    [
        (requested(payment_deadline_at=NOW), DeadlinePassed),
        (Account(id="b1"), DeadlinePassed),
        (requested(state=State.CANCELLED), PaymentClosed),
        (offered(cancel_requested=True), PaymentClosed),
        (paid(), AlreadyPaid),
        (paid(payment_deadline_at=NOW), AlreadyPaid),
    ],
)
def test_who_cannot_pay_any_more(account: Account, problem: type[Exception]):
    with pytest.raises(problem):
        model.check_payable(account, NOW)
    assert model.attach_intent(account, "pi_2", NOW) is None


def test_one_intent_is_attached_and_watched():
    account = after(requested(), model.attach_intent(requested(), "pi_1", NOW))
    assert (account.state, account.intent_id) == (State.INTENT_CREATED, "pi_1")
    assert account.next_check_at == NOW + timedelta(seconds=20)
    assert model.attach_intent(account, "pi_2", NOW) is None


def test_a_cancellation_without_an_intent_is_final_at_once():
    change = model.cancel(requested(), NOW)
    assert said(change) == [PaymentCancelled(booking_id="b1")]
    account = after(requested(), change)
    assert account.state is State.CANCELLED
    assert model.cancel(account, NOW) is None


def test_a_cancellation_with_an_intent_waits_for_stripe():
    change = model.cancel(offered(), NOW)
    assert said(change) == []
    account = after(offered(), change)
    assert account.cancel_requested
    assert account.is_waiting
    assert model.cancel(account, NOW) is None
    assert model.cancel(paid(), NOW) is None


def test_stripe_decides_whether_the_cancellation_or_the_money_won():
    waiting = offered(cancel_requested=True)
    assert said(on_intent(waiting, seen("canceled"), NOW)) == [PaymentCancelled(booking_id="b1")]
    assert said(on_intent(waiting, success(), NOW)) == [
        PaymentSucceeded(
            booking_id="b1", amount=PRICE, currency="EUR", showtime_id="s1", seats=["F7", "F8"], user_id="u1"
        )
    ]
    assert on_intent(waiting, seen("processing"), NOW) is None


@pytest.mark.parametrize("account", [requested(), offered(), requested(state=State.CANCELLED, intent_id="pi_1")])
def test_money_is_recorded_wherever_it_meets_the_account(account: Account):
    richer = after(account, on_intent(account, success(), NOW))
    assert (richer.state, richer.captured, richer.intent_id) == (State.SUCCEEDED, PRICE, "pi_1")
    assert [(line.entry_id, line.amount) for line in richer.ledger] == [("ch_1", PRICE)]


def test_nothing_undoes_success():
    late = [seen("canceled"), seen("requires_payment_method", failure_id="ch_0", failure_code="declined"), success()]
    assert [on_intent(paid(), news, NOW) for news in late] == [None, None, None]


@pytest.mark.parametrize("news", [success(amount_received=PRICE - 1), success(currency="USD")])
def test_other_money_than_asked_is_not_taken_for_it(news: IntentSeen):
    with pytest.raises(MoneyMismatch):
        on_intent(offered(), news, NOW)


def test_a_second_intent_that_is_paid_too_calls_for_a_person():
    with pytest.raises(MoneyMismatch):
        on_intent(paid(), success(id="pi_2"), NOW)


def test_a_decline_is_said_once_and_the_next_one_too():
    declined = seen("requires_payment_method", failure_id="ch_0", failure_code="insufficient_funds")
    change = on_intent(offered(), declined, NOW)
    assert said(change) == [PaymentFailed(booking_id="b1", code="insufficient_funds")]
    account = after(offered(), change)
    assert account.state is State.INTENT_CREATED
    assert on_intent(account, declined, NOW) is None
    assert said(on_intent(account, declined.model_copy(update={"failure_id": "ch_00"}), NOW)) != []


def test_a_webhook_event_changes_the_account_once_and_stays_with_it():
    first, second = (
        StripeEvent(id=id_, type="payment_intent.payment_failed", created_at=NOW, processed_at=NOW)
        for id_ in ("evt_1", "evt_2")
    )
    decline, next_one = (seen("requires_payment_method", failure_id=id_) for id_ in ("ch_1", "ch_2"))
    account = after(offered(), model.on_webhook(offered(), decline, first))
    assert account.stripe_events == [first]
    assert model.on_webhook(account, next_one, first) is None
    assert said(model.on_webhook(account, next_one, second)) == [PaymentFailed(booking_id="b1", code="")]
    assert model.on_webhook(account, decline, second) is None, "what changes nothing does not stay"


def test_news_of_an_intent_that_is_not_ours_changes_nothing():
    assert on_intent(offered(), seen("canceled", id="pi_stray"), NOW) is None
    assert on_intent(requested(), seen("canceled"), NOW) is None


def test_a_refund_is_reserved_sent_and_said_once():
    account = after(paid(), model.ask_booking_refund(paid(), "r1", 1000, NOW))
    assert (account.refunding, account.refunded, account.refundable) == (1000, 0, 1500)
    assert model.ask_booking_refund(account, "r1", 1000, NOW) is None
    change = on_refund(account, back(1000, refund_id="r1"), NOW)
    event = PaymentRefunded(
        booking_id="b1", refund_id="r1", amount=1000, refunded=1000, captured=PRICE, currency="EUR", requested=True
    )
    assert said(change) == [event]
    account = after(account, change)
    assert (account.refunding, account.refunded) == (0, 1000)
    assert on_refund(account, back(1000, refund_id="r1"), NOW) is None
    assert [line.kind for line in account.ledger] == ["refunded"]


def test_a_refund_before_the_money_waits():
    with pytest.raises(NotYet):
        model.ask_booking_refund(offered(), "r1", 1000, NOW)


@pytest.mark.parametrize("amount", [PRICE + 1, 10**9])
def test_staff_cannot_give_back_more_than_came_in(amount: int):
    with pytest.raises(RefundTooLarge) as caught:
        model.ask_refund(paid(), "r1", amount, NOW)
    assert caught.value.members == {"refundable": PRICE}


@pytest.mark.parametrize("account", [offered(), paid(refunding=PRICE), paid(refunded=PRICE)])
def test_staff_cannot_give_back_what_is_not_there(account: Account):
    with pytest.raises(RefundTooLarge):
        model.ask_refund(account, "r1", None, NOW)


def test_bookings_refund_is_capped_and_always_answered():
    account = after(paid(), on_refund(paid(), back(PRICE), NOW))
    change = model.ask_booking_refund(account, "r1", PRICE, NOW)
    (event,) = said(change)
    assert (event.amount, event.refunded, event.requested) == (0, PRICE, True)


def test_money_that_left_by_hand_shrinks_what_is_only_asked_for():
    account = after(paid(), model.ask_booking_refund(paid(), "r1", PRICE, NOW))
    change = on_refund(account, back(PRICE - 300), NOW)
    assert [event.requested for event in said(change)] == [False]
    account = after(account, change)
    assert account.refunds["r1"].amount == 300
    assert (account.refunding, account.refunded) == (300, PRICE - 300)


def test_a_pending_refund_is_said_when_it_is_done():
    account = after(paid(), model.ask_refund(paid(), "r1", None, NOW))
    account = after(account, on_refund(account, back(PRICE, "pending", "r1"), NOW))
    assert account.is_waiting
    assert account.refunding == PRICE
    change = on_refund(account, back(PRICE, refund_id="r1"), NOW)
    assert [event.requested for event in said(change)] == [False], "staff's refund was not asked for by booking"
    assert on_refund(after(account, change), back(PRICE, "pending", "r1"), NOW) is None


def test_a_refund_that_failed_gives_the_money_back_to_the_account():
    account = after(paid(), model.ask_refund(paid(), "r1", None, NOW))
    account = after(account, on_refund(account, back(PRICE, refund_id="r1"), NOW))
    change = on_refund(account, back(PRICE, "failed", "r1"), NOW)
    account = after(account, change)
    assert said(change) == []
    assert (account.refunded, account.refundable) == (0, PRICE)
    assert [line.kind for line in account.ledger] == ["refunded", "refund_failed"]


def order(**changes: Any) -> PaymentOrder:
    fields = {
        "booking_id": "b1",
        "showtime_id": "s1",
        "seats": ["F7", "F8"],
        "holder": {"user_id": "u1"},
        "email": "a@usher.example",
        "reference": "USHER1",
        "amount": PRICE,
        "currency": "EUR",
        "payment_deadline_at": NOW + timedelta(minutes=10),
    }
    return PaymentOrder.model_validate(fields | changes)


def test_an_order_opens_an_account():
    account = model.account_of(order())
    assert account == requested(email="a@usher.example")
    assert model.complete(account, order()) is None
    with pytest.raises(OrderInvalid):
        model.account_of(order(amount=0))


@pytest.mark.parametrize("lacks", [{"showtime_id": None, "seats": []}, {"email": ""}])
def test_an_order_completes_an_account(lacks: dict[str, Any]):
    account = requested(**{"email": "a@usher.example"} | lacks)
    assert after(account, model.complete(account, order())) == model.account_of(order())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"amount": 1}, OrderMismatch),
        ({"currency": "USD"}, OrderMismatch),
        ({"holder": {"user_id": "u2"}}, PaymentUnknown),
        ({"holder": {"secret_hash": "0" * 64}}, PaymentUnknown),
    ],
)
def test_an_order_of_another_price_or_person_does_not_fit(change: dict[str, Any], problem: type[Exception]):
    for account in (requested(), requested(showtime_id=None), offered()):
        with pytest.raises(problem):
            model.complete(account, order(**change))


def ordered(**changes: Any) -> OrderSeen:
    facts = {"reference": "USHER1", "showtime_id": "s1", "seats": "F7,F8", "user_id": "u1"}
    return OrderSeen.model_validate(facts | {"payment_deadline_at": NOW + timedelta(minutes=10)} | changes)


def test_a_tombstone_takes_what_was_ordered_from_the_money_it_meets():
    account, event = model.tombstone("b1")
    assert event == PaymentCancelled(booking_id="b1")
    with pytest.raises(PaymentClosed):
        model.check_payable(account, NOW)
    change = on_intent(account, success(amount=PRICE, order=ordered()), NOW)
    (told,) = said(change)
    assert (told.showtime_id, told.seats, told.user_id, told.amount) == ("s1", ["F7", "F8"], "u1", PRICE)
    paid_up = after(account, change)
    assert (paid_up.holder, paid_up.amount, paid_up.captured) == (Holder(user_id="u1"), PRICE, PRICE)


@pytest.mark.parametrize("news", [success(amount=PRICE), success(amount=PRICE + 1, order=ordered())])
def test_a_tombstone_that_cannot_know_its_price_calls_for_a_person(news: IntentSeen):
    account, _ = model.tombstone("b1")
    with pytest.raises(MoneyMismatch):
        on_intent(account, news, NOW)


@pytest.mark.parametrize("status", ["canceled", "processing"])
def test_a_tombstone_stays_one_without_money(status: str):
    account, _ = model.tombstone("b1")
    assert on_intent(account, seen(status, order=ordered()), NOW) is None


def test_a_lost_account_is_made_from_its_intent():
    account = model.lost_account(success(amount=PRICE, order=ordered()), NOW)
    assert account == offered(checks=2, next_check_at=NOW + timedelta(seconds=20))
    assert model.lost_account(success(amount=PRICE), NOW) is None
    assert model.lost_account(success(booking_id=None, order=ordered()), NOW) is None


def test_an_account_that_knows_its_order_does_not_take_another_one():
    change = on_intent(offered(), success(amount=1, order=ordered(seats="A1", user_id="u2")), NOW)
    assert after(offered(), change) == after(offered(), on_intent(offered(), success(), NOW))


def test_checks_back_off_and_end():
    account = offered(checks=2, next_check_at=NOW)
    account = after(account, model.check(account, NOW))
    assert (account.checks, account.next_check_at) == (3, NOW + timedelta(seconds=40))
    assert model.check(account, NOW) is None
    assert model.check_after(10**6) == timedelta(minutes=10)
    done = paid(next_check_at=NOW)
    assert after(done, model.check(done, NOW)).next_check_at is None


def test_keys_change_with_what_is_asked():
    accounts = [requested(), requested(amount=1), requested(currency="USD"), requested(id="b2")]
    keys = [model.intent_key(account) for account in accounts]
    keys.append(model.intent_key(after(requested(), model.spend_intent_key(requested(), 0))))
    assert len(set(keys)) == len(keys)
    assert model.spend_intent_key(requested(), 1) is None
    assert model.spend_intent_key(offered(), 0) is None
    account = after(paid(), model.ask_refund(paid(), "r1", 5, NOW))
    spent = after(account, model.spend_refund_key(account, "r1"))
    assert model.refund_key("r1", account.refunds["r1"]) != model.refund_key("r1", spent.refunds["r1"])


moves = st.lists(
    st.tuples(
        st.sampled_from(["booking", "staff", "seen"]),
        st.sampled_from(["r1", "r2", "re_3"]),
        st.integers(1, 3000),
        st.sampled_from(["pending", "succeeded", "failed"]),
    ),
    max_size=15,
)


@given(moves)
def test_whatever_comes_no_more_goes_back_than_came_in(moves: list[tuple[str, str, int, str]]):
    account = paid()
    for kind, refund_id, amount, state in moves:
        if kind == "staff" and refund_id not in account.refunds:
            try:
                account = after(account, model.ask_refund(account, refund_id, amount, NOW))
            except RefundTooLarge:
                assert amount > account.refundable
        elif kind == "booking":
            account = after(account, model.ask_booking_refund(account, refund_id, amount, NOW))
        elif kind == "seen":
            account = after(account, on_refund(account, back(amount, state, refund_id, f"re_{refund_id}"), NOW))
        assert account.refunded + account.refunding <= account.captured
        signs = {"refunded": 1, "refund_failed": -1}
        assert account.refunded == sum(signs[line.kind] * line.amount for line in account.ledger)
        assert len({line.entry_id for line in account.ledger}) == len(account.ledger)


def test_news_is_read_from_stripes_objects():
    raw = {
        "id": "pi_1",
        "object": "payment_intent",
        "status": "requires_payment_method",
        "currency": "eur",
        "amount_received": 0,
        "metadata": {"booking_id": "b1"},
        "latest_charge": {"id": "ch_1"},
        "client_secret": "pi_1_secret_x",
        "last_payment_error": {"charge": "ch_1", "code": "card_declined", "decline_code": "lost_card"},
    }
    news = read_intent(raw)
    assert (news.booking_id, news.currency, news.charge_id) == ("b1", "EUR", "ch_1")
    assert (news.failure_id, news.failure_code) == ("ch_1", "lost_card")
    assert "secret" not in news.model_dump_json()
    assert read_event("payment_intent.created", raw) is None
    assert read_event("payment_intent.succeeded", raw | {"metadata": {}}) is None
    assert read_event("payment_intent.succeeded", raw | {"metadata": {"booking_id": "no $uch id"}}) is None


def test_a_dispute_counts_when_it_is_lost():
    raw = {"id": "du_1", "status": "lost", "payment_intent": "pi_1", "amount": 900}
    assert read_event("charge.dispute.closed", raw) == back(900, stripe_id="du_1")
    assert read_event("charge.dispute.closed", raw | {"status": "won"}) is None
    assert read_event("charge.dispute.created", raw) is None


def test_charges_and_refunds_without_an_intent_are_not_ours():
    raw = {"id": "ch_1", "payment_intent": None, "amount_refunded": 5, "amount": 5, "status": "succeeded"}
    assert read_event("charge.refunded", raw) is None
    assert read_event("refund.created", raw) is None
    expected = ChargeSeen(id="ch_1", intent_id="pi_1", amount_refunded=5)
    assert read_event("charge.refunded", raw | {"payment_intent": "pi_1"}) == expected


def test_an_object_that_is_not_stripes_is_refused():
    with pytest.raises((KeyError, ValidationError)):
        read_event("payment_intent.succeeded", {"id": "pi_1"})
