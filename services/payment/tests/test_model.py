"""The rules of `payment.model`, without I/O."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.claims import PaymentOrder
from contracts.errors import NotYet
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentRefundFailed, PaymentSucceeded
from contracts.types import Holder
from hypothesis import given
from hypothesis import strategies as st
from payment import model
from payment.model import (
    Account,
    AccountChange,
    AlreadyPaid,
    DeadlinePassed,
    MoneyMismatch,
    OrderInvalid,
    OrderMismatch,
    PaymentClosed,
    PaymentUnknown,
    RefundTooLarge,
    State,
    StripeEvent,
    apply_intent,
    apply_refund,
)
from payment.model.updates import ChargeUpdate, IntentUpdate, OrderMetadata, RefundUpdate, parse_event, parse_intent
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


def with_intent(**changes: Any) -> Account:
    return requested(state=State.INTENT_CREATED, intent_id="pi_1", **changes)


def paid(**changes: Any) -> Account:
    return requested(state=State.SUCCEEDED, intent_id="pi_1", captured=PRICE, **changes)


def intent_update(status: str, **changes: Any) -> IntentUpdate:
    fields = {"id": "pi_1", "booking_id": "b1", "status": status, "amount_received": 0, "currency": "EUR"}
    return IntentUpdate.model_validate(fields | changes)


def created(intent_id: str, amount: int = PRICE) -> IntentUpdate:
    return intent_update("requires_payment_method", id=intent_id, amount=amount)


def succeeded(**changes: Any) -> IntentUpdate:
    return intent_update("succeeded", **{"amount_received": PRICE, "charge_id": "ch_1"} | changes)


def refund_update(
    amount: int, state: str = "succeeded", refund_id: str | None = None, stripe_id: str = "re_1"
) -> RefundUpdate:
    fields = {"id": stripe_id, "intent_id": "pi_1", "refund_id": refund_id, "amount": amount, "state": state}
    return RefundUpdate.model_validate(fields)


def applied(account: Account, change: AccountChange | None) -> Account:
    """Return the account as the store would write it."""
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
    raw["ledger"] += [entry.model_dump() for entry in change.entries]
    raw["stripe_events"] += [change.cause.model_dump()] if change.cause else []
    return Account.model_validate(raw)


def events_of(change: AccountChange | None) -> list[Any]:
    return list(change.events) if change else []


@pytest.mark.parametrize(
    ("account", "problem"),
    [
        (requested(payment_deadline_at=NOW), DeadlinePassed),
        (Account(id="b1"), DeadlinePassed),
        (requested(state=State.CANCELLED), PaymentClosed),
        (with_intent(cancel_requested=True), PaymentClosed),
        (paid(), AlreadyPaid),
        (paid(payment_deadline_at=NOW), AlreadyPaid),
    ],
)
def test_closed_paid_and_late_bookings_cannot_be_paid(account: Account, problem: type[Exception]):
    with pytest.raises(problem):
        model.check_payable(account, NOW)
    assert model.attach_intent(account, created("pi_2"), NOW) is None


def test_one_intent_is_attached_and_its_check_scheduled():
    account = applied(requested(), model.attach_intent(requested(), created("pi_1"), NOW))
    assert (account.state, account.intent_id) == (State.INTENT_CREATED, "pi_1")
    assert account.next_check_at == NOW + timedelta(seconds=20)
    assert model.attach_intent(account, created("pi_2"), NOW) is None


def test_a_cancellation_without_an_intent_is_immediate():
    change = model.request_cancel(requested(), NOW)
    assert events_of(change) == [PaymentCancelled(booking_id="b1")]
    account = applied(requested(), change)
    assert account.state is State.CANCELLED
    assert model.request_cancel(account, NOW) is None


def test_a_cancellation_with_an_intent_waits_for_stripe():
    change = model.request_cancel(with_intent(), NOW)
    assert events_of(change) == []
    account = applied(with_intent(), change)
    assert account.cancel_requested
    assert account.is_waiting
    assert model.request_cancel(account, NOW) is None
    assert model.request_cancel(paid(), NOW) is None


def test_stripe_decides_between_cancellation_and_payment():
    waiting = with_intent(cancel_requested=True)
    assert events_of(apply_intent(waiting, intent_update("canceled"), NOW)) == [PaymentCancelled(booking_id="b1")]
    assert events_of(apply_intent(waiting, succeeded(), NOW)) == [
        PaymentSucceeded(
            booking_id="b1", amount=PRICE, currency="EUR", showtime_id="s1", seats=["F7", "F8"], user_id="u1"
        )
    ]
    assert apply_intent(waiting, intent_update("processing"), NOW) is None


@pytest.mark.parametrize("account", [requested(), with_intent(), requested(state=State.CANCELLED, intent_id="pi_1")])
def test_a_payment_is_recorded_in_every_state(account: Account):
    paid_account = applied(account, apply_intent(account, succeeded(), NOW))
    assert (paid_account.state, paid_account.captured, paid_account.intent_id) == (State.SUCCEEDED, PRICE, "pi_1")
    assert [(entry.entry_id, entry.amount) for entry in paid_account.ledger] == [("ch_1", PRICE)]


def test_nothing_undoes_success():
    late = [
        intent_update("canceled"),
        intent_update("requires_payment_method", failure_id="ch_0", failure_code="declined"),
        succeeded(),
    ]
    assert [apply_intent(paid(), update, NOW) for update in late] == [None, None, None]


@pytest.mark.parametrize("update", [succeeded(amount_received=PRICE - 1), succeeded(currency="USD")])
def test_another_amount_or_currency_is_refused(update: IntentUpdate):
    with pytest.raises(MoneyMismatch):
        apply_intent(with_intent(), update, NOW)


def test_a_second_paid_intent_is_a_mismatch():
    with pytest.raises(MoneyMismatch):
        apply_intent(paid(), succeeded(id="pi_2"), NOW)


def test_each_decline_is_published_once():
    declined = intent_update("requires_payment_method", failure_id="ch_0", failure_code="insufficient_funds")
    change = apply_intent(with_intent(), declined, NOW)
    assert events_of(change) == [PaymentFailed(booking_id="b1", code="insufficient_funds")]
    account = applied(with_intent(), change)
    assert account.state is State.INTENT_CREATED
    assert apply_intent(account, declined, NOW) is None
    assert events_of(apply_intent(account, declined.model_copy(update={"failure_id": "ch_00"}), NOW)) != []


def test_a_webhook_event_changes_the_account_once_and_is_stored_in_it():
    first, second = (
        StripeEvent(id=id_, type="payment_intent.payment_failed", created_at=NOW, processed_at=NOW)
        for id_ in ("evt_1", "evt_2")
    )
    decline, next_one = (intent_update("requires_payment_method", failure_id=id_) for id_ in ("ch_1", "ch_2"))
    account = applied(with_intent(), apply_intent(with_intent(), decline, NOW, first))
    assert account.stripe_events == [first]
    assert apply_intent(account, next_one, NOW, first) is None
    assert events_of(apply_intent(account, next_one, NOW, second)) == [PaymentFailed(booking_id="b1", code="")]
    assert apply_intent(account, decline, NOW, second) is None, "an event without a change is not stored in the account"


def test_an_update_of_an_unknown_intent_changes_nothing():
    assert apply_intent(with_intent(), intent_update("canceled", id="pi_stray"), NOW) is None
    assert apply_intent(requested(), intent_update("canceled"), NOW) is None


def test_a_refund_is_reserved_sent_and_published_once():
    account = applied(paid(), model.request_booking_refund(paid(), "r1", 1000, NOW))
    assert (account.refunding, account.refunded, account.refundable) == (1000, 0, 1500)
    assert model.request_booking_refund(account, "r1", 1000, NOW) is None
    change = apply_refund(account, refund_update(1000, refund_id="r1"), NOW)
    event = PaymentRefunded(
        booking_id="b1",
        refund_id="r1",
        amount=1000,
        refunded=1000,
        captured=PRICE,
        currency="EUR",
        requested=True,
        ledger_entries=1,
    )
    assert events_of(change) == [event]
    account = applied(account, change)
    assert (account.refunding, account.refunded) == (0, 1000)
    assert apply_refund(account, refund_update(1000, refund_id="r1"), NOW) is None
    assert [entry.kind for entry in account.ledger] == ["refunded"]


def test_a_refund_before_the_payment_waits():
    with pytest.raises(NotYet):
        model.request_booking_refund(with_intent(), "r1", 1000, NOW)


@pytest.mark.parametrize("amount", [PRICE + 1, 10**9])
def test_staff_cannot_refund_more_than_was_captured(amount: int):
    with pytest.raises(RefundTooLarge) as caught:
        model.request_refund(paid(), "r1", amount, NOW)
    assert caught.value.members == {"refundable": PRICE}


@pytest.mark.parametrize("account", [with_intent(), paid(refunding=PRICE), paid(refunded=PRICE)])
def test_staff_cannot_refund_without_a_refundable_amount(account: Account):
    with pytest.raises(RefundTooLarge):
        model.request_refund(account, "r1", None, NOW)


def test_bookings_refund_is_capped_and_always_answered():
    account = applied(paid(), apply_refund(paid(), refund_update(PRICE), NOW))
    change = model.request_booking_refund(account, "r1", PRICE, NOW)
    (event,) = events_of(change)
    assert (event.amount, event.refunded, event.requested) == (0, PRICE, True)


def test_a_refund_by_hand_reduces_requested_refunds():
    account = applied(paid(), model.request_booking_refund(paid(), "r1", PRICE, NOW))
    change = apply_refund(account, refund_update(PRICE - 300), NOW)
    assert [event.requested for event in events_of(change)] == [False]
    account = applied(account, change)
    assert account.refunds["r1"].amount == 300
    assert (account.refunding, account.refunded) == (300, PRICE - 300)


def test_a_pending_refund_is_published_when_it_succeeds():
    account = applied(paid(), model.request_refund(paid(), "r1", None, NOW))
    account = applied(account, apply_refund(account, refund_update(PRICE, "pending", "r1"), NOW))
    assert account.is_waiting
    assert account.refunding == PRICE
    change = apply_refund(account, refund_update(PRICE, refund_id="r1"), NOW)
    assert [event.requested for event in events_of(change)] == [False], "staff requested this refund, not booking"
    assert apply_refund(applied(account, change), refund_update(PRICE, "pending", "r1"), NOW) is None


def test_a_failed_refund_becomes_refundable_again():
    account = applied(paid(), model.request_refund(paid(), "r1", None, NOW))
    account = applied(account, apply_refund(account, refund_update(PRICE, refund_id="r1"), NOW))
    change = apply_refund(account, refund_update(PRICE, "failed", "r1"), NOW)
    account = applied(account, change)
    [event] = events_of(change)
    assert isinstance(event, PaymentRefundFailed)
    assert (event.refund_id, event.amount, event.refunded, event.ledger_entries) == ("r1", PRICE, 0, 2)
    assert (account.refunded, account.refundable) == (0, PRICE)
    assert [entry.kind for entry in account.ledger] == ["refunded", "refund_failed"]


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
    account = model.new_account(order())
    assert account == requested(email="a@usher.example")
    assert model.complete_account(account, order()) is None
    with pytest.raises(OrderInvalid):
        model.new_account(order(amount=0))


@pytest.mark.parametrize("lacks", [{"showtime_id": None, "seats": []}, {"email": ""}])
def test_an_order_completes_an_account(lacks: dict[str, Any]):
    account = requested(**{"email": "a@usher.example"} | lacks)
    assert applied(account, model.complete_account(account, order())) == model.new_account(order())


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
    for account in (requested(), requested(showtime_id=None), with_intent()):
        with pytest.raises(problem):
            model.complete_account(account, order(**change))


def order_metadata(**changes: Any) -> OrderMetadata:
    facts = {"reference": "USHER1", "showtime_id": "s1", "seats": "F7,F8", "user_id": "u1"}
    return OrderMetadata.model_validate(facts | {"payment_deadline_at": NOW + timedelta(minutes=10)} | changes)


def test_a_payment_fills_in_the_order_of_a_tombstone():
    account, event = model.create_tombstone("b1")
    assert event == PaymentCancelled(booking_id="b1")
    with pytest.raises(PaymentClosed):
        model.check_payable(account, NOW)
    change = apply_intent(account, succeeded(amount=PRICE, order=order_metadata()), NOW)
    (event,) = events_of(change)
    assert (event.showtime_id, event.seats, event.user_id, event.amount) == ("s1", ["F7", "F8"], "u1", PRICE)
    paid_up = applied(account, change)
    assert (paid_up.holder, paid_up.amount, paid_up.captured) == (Holder(user_id="u1"), PRICE, PRICE)


@pytest.mark.parametrize("update", [succeeded(amount=PRICE), succeeded(amount=PRICE + 1, order=order_metadata())])
def test_a_tombstone_without_a_matching_price_is_a_mismatch(update: IntentUpdate):
    account, _ = model.create_tombstone("b1")
    with pytest.raises(MoneyMismatch):
        apply_intent(account, update, NOW)


@pytest.mark.parametrize("status", ["canceled", "processing"])
def test_an_unpaid_intent_does_not_change_a_tombstone(status: str):
    account, _ = model.create_tombstone("b1")
    assert apply_intent(account, intent_update(status, order=order_metadata()), NOW) is None


def test_a_lost_account_is_restored_from_its_intent():
    account = model.restore_account(succeeded(amount=PRICE, order=order_metadata()), NOW)
    assert account == with_intent(checks=2, next_check_at=NOW + timedelta(seconds=20))
    assert model.restore_account(succeeded(amount=PRICE), NOW) is None
    assert model.restore_account(succeeded(booking_id=None, order=order_metadata()), NOW) is None


def test_an_account_with_an_order_ignores_the_intents_order():
    change = apply_intent(with_intent(), succeeded(amount=1, order=order_metadata(seats="A1", user_id="u2")), NOW)
    assert applied(with_intent(), change) == applied(with_intent(), apply_intent(with_intent(), succeeded(), NOW))


def test_checks_back_off_and_end():
    account = with_intent(checks=2, next_check_at=NOW)
    account = applied(account, model.claim_next_check(account, NOW))
    assert (account.checks, account.next_check_at) == (3, NOW + timedelta(seconds=40))
    assert model.claim_next_check(account, NOW) is None
    assert model.check_delay(10**6) == timedelta(minutes=10)
    done = paid(next_check_at=NOW)
    assert applied(done, model.claim_next_check(done, NOW)).next_check_at is None


def test_idempotency_keys_change_with_the_parameters():
    accounts = [requested(), requested(amount=1), requested(currency="USD"), requested(id="b2")]
    keys = [model.intent_key(account) for account in accounts]
    keys.append(model.intent_key(applied(requested(), model.rotate_intent_key(requested(), 0))))
    assert len(set(keys)) == len(keys)
    assert model.rotate_intent_key(requested(), 1) is None
    assert model.rotate_intent_key(with_intent(), 0) is None
    account = applied(paid(), model.request_refund(paid(), "r1", 5, NOW))
    spent = applied(account, model.rotate_refund_key(account, "r1"))
    assert model.refund_key("r1", account.refunds["r1"]) != model.refund_key("r1", spent.refunds["r1"])


moves = st.lists(
    st.tuples(
        st.sampled_from(["booking", "staff", "stripe"]),
        st.sampled_from(["r1", "r2", "re_3"]),
        st.integers(1, 3000),
        st.sampled_from(["pending", "succeeded", "failed"]),
    ),
    max_size=15,
)


@given(moves)
def test_no_sequence_of_updates_refunds_more_than_was_captured(moves: list[tuple[str, str, int, str]]):
    account = paid()
    for kind, refund_id, amount, state in moves:
        if kind == "staff" and refund_id not in account.refunds:
            try:
                account = applied(account, model.request_refund(account, refund_id, amount, NOW))
            except RefundTooLarge:
                assert amount > account.refundable
        elif kind == "booking":
            account = applied(account, model.request_booking_refund(account, refund_id, amount, NOW))
        elif kind == "stripe":
            account = applied(
                account, apply_refund(account, refund_update(amount, state, refund_id, f"re_{refund_id}"), NOW)
            )
        assert account.refunded + account.refunding <= account.captured
        signs = {"refunded": 1, "refund_failed": -1}
        assert account.refunded == sum(signs[entry.kind] * entry.amount for entry in account.ledger)
        assert len({entry.entry_id for entry in account.ledger}) == len(account.ledger)


def test_updates_are_parsed_from_stripes_objects():
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
    update = parse_intent(raw)
    assert (update.booking_id, update.currency, update.charge_id) == ("b1", "EUR", "ch_1")
    assert (update.failure_id, update.failure_code) == ("ch_1", "lost_card")
    assert "secret" not in update.model_dump_json()
    assert parse_event("payment_intent.created", raw) is None
    assert parse_event("payment_intent.succeeded", raw | {"metadata": {}}) is None
    assert parse_event("payment_intent.succeeded", raw | {"metadata": {"booking_id": "no $uch id"}}) is None


def test_charges_and_refunds_without_an_intent_are_ignored():
    raw = {
        "id": "ch_1",
        "payment_intent": None,
        "amount_refunded": 5,
        "amount": 5,
        "currency": "eur",
        "status": "succeeded",
    }
    assert parse_event("charge.refunded", raw) is None
    assert parse_event("refund.created", raw) is None
    expected = ChargeUpdate(id="ch_1", intent_id="pi_1", amount_refunded=5)
    assert parse_event("charge.refunded", raw | {"payment_intent": "pi_1"}) == expected


def test_a_malformed_object_is_refused():
    with pytest.raises((KeyError, ValidationError)):
        parse_event("payment_intent.succeeded", {"id": "pi_1"})
