"""Stripe's webhook: forged, repeated, reordered, late, early and malformed events. Each takes effect at most once."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from chassis.clock import now
from chassis.testing import until
from contracts.payment import PaymentCancelled, PaymentFailed, PaymentRefunded, PaymentSucceeded

from .conftest import PRICE, SECRET, WEBHOOK, Checkout, event, signed, stored, stored_accounts

NewCheckout = Callable[[], Checkout]
pytestmark = pytest.mark.usefixtures("client")


def intent_of(checkout: Checkout, status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    fields = {"id": checkout.intent_id or "pi_early", "object": "payment_intent", "status": status, "currency": "eur"}
    money = {"amount_received": PRICE if status == "succeeded" else 0, "latest_charge": f"ch_{checkout.id}"}
    return fields | money | {"metadata": {"booking_id": checkout.id}} | changes


async def stored_in_account(checkout: Checkout) -> list[str]:
    """Return the ids of the events that are stored in the account that they changed."""
    account = await stored_accounts().find_one({"_id": checkout.id})
    return [each["id"] for each in account["stripe_events"]] if account else []


async def events_at_stripe(checkout: Checkout) -> list[dict[str, Any]]:
    """Fetch the booking's events from Stripe, oldest first."""
    answer = await checkout.stripe.get("/v1/events", params={"limit": 100})
    every = answer.json()["data"]
    mine = [each for each in every if checkout.intent_id in json.dumps(each["data"]["object"])]
    return mine[::-1]


async def test_a_payment_is_recorded_and_published(checkout: Checkout):
    await checkout.paid()
    (published,) = await checkout.wait_for_events(PaymentSucceeded)
    assert published.model_dump() == {
        "booking_id": checkout.id,
        "amount": PRICE,
        "currency": "EUR",
        "showtime_id": "s1",
        "seats": ["F7", "F8"],
        "user_id": None,
        "tenders": None,
    }
    view = await checkout.payment()
    assert [line["kind"] for line in view["ledger"]] == ["captured"]


async def test_a_webhook_takes_one_write_and_no_read(checkout: Checkout, monkeypatch: pytest.MonkeyPatch):
    from payment.store import payments  # noqa: PLC0415 - its settings come from the environment

    async def fail(_: str) -> Any:
        raise AssertionError("the account was read")

    await checkout.with_intent()
    paid = intent_of(checkout, metadata=(await checkout.at_stripe())["metadata"], amount=PRICE)
    sent = event("payment_intent.succeeded", paid)
    with monkeypatch.context() as blind:
        blind.setattr(payments, "find", fail)
        assert (await checkout.client.post(WEBHOOK, **signed(sent))).status_code == 200
    assert (await stored_in_account(checkout), await stored(sent["id"])) == ([sent["id"]], None)
    (published,) = await checkout.wait_for_events(PaymentSucceeded)
    assert (published.amount, published.showtime_id, published.seats) == (PRICE, "s1", ["F7", "F8"])
    view = await checkout.wait_until(state="succeeded", captured=PRICE)
    assert (len(view["ledger"]), view["email"]) == (1, "guest@usher.example")


@pytest.mark.parametrize(
    ("edited", "money"), [({"seats": "A1"}, {}), ({"showtime_id": "s2"}, {}), ({}, {"amount": 1, "amount_received": 1})]
)
async def test_an_intent_that_was_edited_at_stripe_does_not_change_what_was_ordered(
    checkout: Checkout, edited: dict[str, str], money: dict[str, int]
):
    await checkout.with_intent()
    metadata = (await checkout.at_stripe())["metadata"] | edited
    paid = intent_of(checkout, metadata=metadata, amount=PRICE) | money
    sent = event("payment_intent.succeeded", paid)
    assert (await checkout.client.post(WEBHOOK, **signed(sent))).status_code == 200
    if money:
        assert "MoneyMismatch" in (await stored(sent["id"])).last_error
        assert (await checkout.payment())["captured"] == 0
    else:
        (published,) = await checkout.wait_for_events(PaymentSucceeded)
        assert (published.showtime_id, published.seats) == ("s1", ["F7", "F8"])


async def test_every_webhook_twice_changes_nothing(checkout: Checkout):
    await checkout.add_fault("webhook_repeat", times=3, count=None)
    await checkout.paid()
    await checkout.refund_by_staff(amount=400)
    for each in await events_at_stripe(checkout):
        answers = [await checkout.client.post(WEBHOOK, **signed(each)) for _ in range(2)]
        assert {answer.status_code for answer in answers} == {200}
    view = await checkout.wait_until(captured=PRICE, refunded=400, refunding=0)
    assert len(view["ledger"]) == 2
    assert (
        len(await checkout.wait_for_events(PaymentSucceeded))
        == len(await checkout.wait_for_events(PaymentRefunded))
        == 1
    )


async def test_one_webhook_ten_times_at_once(checkout: Checkout):
    await checkout.with_intent()
    same = event("payment_intent.succeeded", intent_of(checkout))
    answers = await asyncio.gather(*(checkout.client.post(WEBHOOK, **signed(same)) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    view = await checkout.wait_until(state="succeeded", captured=PRICE)
    assert len(view["ledger"]) == 1
    assert len(await checkout.wait_for_events(PaymentSucceeded)) == 1
    assert (await stored_in_account(checkout), await stored(same["id"])) == ([same["id"]], None)


async def test_all_events_in_reverse(checkout: Checkout):
    await checkout.add_fault("webhook_hold", count=None)
    await checkout.with_intent()
    await checkout.confirm("pm_card_visa_chargeDeclined")
    await checkout.confirm()
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id, "amount": 700})
    every = await events_at_stripe(checkout)
    kinds = [each["type"] for each in every]
    assert {"payment_intent.payment_failed", "payment_intent.succeeded", "charge.refunded"} <= set(kinds)
    for each in reversed(every):
        assert (await checkout.client.post(WEBHOOK, **signed(each))).status_code == 200
    view = await checkout.wait_until(state="succeeded", captured=PRICE, refunded=700)
    assert [line["kind"] for line in view["ledger"]] == ["captured", "refunded"]
    assert checkout.events(PaymentFailed) == []
    (refund,) = await checkout.wait_for_events(PaymentRefunded)
    assert refund.requested is False
    await checkout.release()


async def test_declined_then_paid(checkout: Checkout):
    await checkout.with_intent()
    declined = await checkout.confirm("pm_card_visa_chargeDeclinedInsufficientFunds")
    assert declined.status_code == 402
    (failed,) = await checkout.wait_for_events(PaymentFailed)
    assert failed.code == "insufficient_funds"
    assert (await checkout.payment())["state"] == "intent_created"
    await checkout.paid()
    assert len(checkout.events(PaymentFailed)) == 1


def declined(checkout: Checkout, charge: str) -> dict[str, Any]:
    failure = {"code": "card_declined", "charge": charge}
    return event(
        "payment_intent.payment_failed", intent_of(checkout, "requires_payment_method", last_payment_error=failure)
    )


async def test_a_decline_that_is_repeated_after_the_next_one_is_not_published_again(checkout: Checkout):
    await checkout.with_intent()
    first, second = declined(checkout, "ch_1"), declined(checkout, "ch_2")
    for each in (first, second, first):
        assert (await checkout.client.post(WEBHOOK, **signed(each))).status_code == 200
    assert (await stored_in_account(checkout), await stored(first["id"])) == ([first["id"], second["id"]], None)
    await checkout.paid()
    await checkout.wait_for_events(PaymentSucceeded)
    assert len(checkout.events(PaymentFailed)) == 2


async def test_an_account_stores_only_the_latest_events(checkout: Checkout, monkeypatch: pytest.MonkeyPatch):
    from payment.store import payments  # noqa: PLC0415 - its settings come from the environment

    monkeypatch.setattr(payments, "MAX_STRIPE_EVENTS", 2)
    await checkout.with_intent()
    sent = [declined(checkout, f"ch_{number}") for number in range(3)]
    for each in sent:
        assert (await checkout.client.post(WEBHOOK, **signed(each))).status_code == 200
    assert await stored_in_account(checkout) == [each["id"] for each in sent[1:]]


async def test_a_late_failure_never_undoes_success(checkout: Checkout):
    await checkout.add_fault("webhook_hold", event_types=["payment_intent.payment_failed"], count=None)
    await checkout.with_intent()
    await checkout.confirm("pm_card_visa_chargeDeclined")
    await checkout.confirm()
    await checkout.wait_until(state="succeeded")
    await checkout.release()
    await delivered(checkout, "payment_intent.payment_failed")
    late = event("payment_intent.canceled", intent_of(checkout, "canceled"))
    assert (await checkout.client.post(WEBHOOK, **signed(late))).status_code == 200
    view = await checkout.wait_until(state="succeeded")
    assert view["captured"] == PRICE
    assert checkout.events(PaymentFailed) == checkout.events(PaymentCancelled) == []
    assert (await stored(late["id"])).outcome == "applied"
    assert late["id"] not in await stored_in_account(checkout)


async def test_a_payment_with_another_intent_of_the_booking_is_recorded(checkout: Checkout):
    await checkout.with_intent()
    other = event("payment_intent.succeeded", intent_of(checkout, id="pi_other"))
    assert (await checkout.client.post(WEBHOOK, **signed(other))).status_code == 200
    await checkout.wait_until(state="succeeded", intent_id="pi_other", captured=PRICE)
    assert (await checkout.create_intent()).json()["code"] == "already_paid"


async def test_a_payment_of_an_unknown_booking_waits_for_its_account(checkout: Checkout):
    """The intent has the metadata of before 2026-12, which is not sufficient to restore an account."""
    early = event("payment_intent.succeeded", intent_of(checkout))
    assert (await checkout.client.post(WEBHOOK, **signed(early))).status_code == 200
    kept = await stored(early["id"])
    assert kept.outcome is None
    assert "UnknownBooking" in kept.last_error
    await checkout.with_intent()
    await process_now(early["id"])
    await checkout.wait_until(state="succeeded", captured=PRICE)

    async def is_applied() -> bool:  # the service's own job may have claimed it
        return (await stored(early["id"])).outcome == "applied"

    await until(is_applied)


async def process_now(event_id: str) -> None:
    from payment import jobs, main  # noqa: PLC0415 - its settings come from the environment
    from payment.store import WebhookEventDocument  # noqa: PLC0415

    past = {"$set": {"next_try_at": now() - timedelta(seconds=1)}}
    await WebhookEventDocument.get_pymongo_collection().update_one(
        {"_id": event_id, "next_try_at": {"$ne": None}}, past
    )
    await jobs.process_webhooks(main.webhooks)


async def test_an_event_that_fails_at_first_is_processed_later(checkout: Checkout, monkeypatch: pytest.MonkeyPatch):
    from payment.store import payments  # noqa: PLC0415 - its settings come from the environment

    async def fail(*_: Any) -> Any:
        raise ConnectionError("the database is gone for a moment")

    await checkout.with_intent()
    metadata = (await checkout.at_stripe())["metadata"]
    left = event("payment_intent.succeeded", intent_of(checkout, metadata=metadata))
    with monkeypatch.context() as patch:
        patch.setattr(payments, "write", fail)
        assert (await checkout.client.post(WEBHOOK, **signed(left))).status_code == 200
    assert (await checkout.payment())["state"] == "intent_created"
    assert (await stored(left["id"])).update.order.secret_hash == metadata["secret_hash"]
    await asyncio.gather(*(process_now(left["id"]) for _ in range(3)))
    await checkout.wait_until(state="succeeded", captured=PRICE)
    assert len(await checkout.wait_for_events(PaymentSucceeded)) == 1

    async def closed() -> bool:
        return (await stored(left["id"])).outcome == "applied"

    await until(closed)
    assert (await stored(left["id"])).update.order is None


async def test_a_write_whose_answer_is_lost_is_not_repeated(checkout: Checkout, monkeypatch: pytest.MonkeyPatch):
    """The event is stored in the account, but the caller gets an error. It is stored again and sent again."""
    from payment import store  # noqa: PLC0415 - its settings come from the environment

    await checkout.with_intent()
    sent = event("payment_intent.succeeded", intent_of(checkout))
    write = store.accounts.update

    async def lose_answer(*args: Any, **more: Any) -> bool:
        patch.undo()
        await write(*args, **more)
        raise ConnectionError("the connection is gone")

    with monkeypatch.context() as patch:
        patch.setattr(store.accounts, "update", lose_answer)
        assert (await checkout.client.post(WEBHOOK, **signed(sent))).status_code == 200
    view = await checkout.wait_until(state="succeeded", captured=PRICE)
    assert (await stored(sent["id"])).outcome == "applied"
    assert (await checkout.client.post(WEBHOOK, **signed(sent))).status_code == 200
    assert (len(view["ledger"]), await stored_in_account(checkout)) == (1, [sent["id"]])
    assert len(await checkout.wait_for_events(PaymentSucceeded)) == 1


async def test_an_event_that_cannot_be_processed_is_parked(new_checkout: NewCheckout):
    checkout = new_checkout()
    lost = event("payment_intent.succeeded", intent_of(checkout))
    await checkout.client.post(WEBHOOK, **signed(lost))
    for _ in range(13):
        await process_now(lost["id"])
    kept = await stored(lost["id"])
    assert (kept.next_try_at, kept.outcome) == (None, None)


async def test_a_second_payment_that_is_refunded_by_hand_changes_nothing(checkout: Checkout):
    await checkout.paid()
    first = await checkout.at_stripe()
    asked = {"amount": PRICE, "currency": "eur", "payment_method_types[]": "card"}
    metadata = {f"metadata[{name}]": value for name, value in first["metadata"].items()}
    await checkout.add_fault("webhook_drop", event_types=["payment_intent.succeeded"], count=None)
    second = (await checkout.stripe.post("/v1/payment_intents", data=asked | metadata)).json()
    await checkout.stripe.post(f"/v1/payment_intents/{second['id']}/confirm", data={"payment_method": "pm_card_visa"})
    refund = (await checkout.stripe.post("/v1/refunds", data={"payment_intent": second["id"]})).json()
    sent = event("refund.created", refund)
    assert (await checkout.client.post(WEBHOOK, **signed(sent))).status_code == 200
    assert (await stored(sent["id"])).outcome == "foreign"
    view = await checkout.payment()
    assert (view["captured"], view["refunded"]) == (PRICE, 0)


async def test_a_payment_of_another_amount_is_parked_for_a_person(checkout: Checkout):
    await checkout.with_intent()
    odd = event("payment_intent.succeeded", intent_of(checkout, amount_received=1))
    await checkout.client.post(WEBHOOK, **signed(odd))
    assert "MoneyMismatch" in (await stored(odd["id"])).last_error
    assert (await checkout.payment())["captured"] == 0


async def test_a_refund_made_by_hand_at_stripe(checkout: Checkout):
    await checkout.paid()
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id})
    (published,) = await checkout.wait_for_events(PaymentRefunded)
    assert (published.amount, published.refunded, published.captured, published.requested) == (
        PRICE,
        PRICE,
        PRICE,
        False,
    )
    view = await checkout.wait_until(refunded=PRICE)
    assert [refund["asked_by"] for refund in view["refunds"]] == ["provider"]


async def test_a_refund_by_hand_is_found_through_the_charge(checkout: Checkout):
    await checkout.paid()
    await checkout.add_fault("webhook_drop", event_types=["refund.created", "refund.updated"], count=None)
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id, "amount": 300})
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id, "amount": 200})
    view = await checkout.wait_until(refunded=500)
    assert sorted(refund["amount"] for refund in view["refunds"]) == [200, 300]


@pytest.mark.parametrize(
    ("amount", "status", "refunded"), [(None, "lost", PRICE), (None, "won", 0), (900, "lost", 900)]
)
async def test_a_lost_dispute_counts_as_a_refund(checkout: Checkout, amount: int | None, status: str, refunded: int):
    await checkout.paid()
    asked = {"payment_intent": checkout.intent_id, "amount": amount}
    dispute = (await checkout.stripe.post("/_sandbox/disputes", json=asked)).json()
    await checkout.stripe.post(f"/_sandbox/disputes/{dispute['id']}/close", json={"status": status})
    if refunded:
        (published,) = await checkout.wait_for_events(PaymentRefunded)
        assert (published.refunded, published.requested) == (refunded, False)
    else:
        await delivered(checkout, "charge.dispute.closed")
    await checkout.wait_until(refunded=refunded)


async def delivered(checkout: Checkout, kind: str) -> None:
    async def arrived() -> bool:
        query = {"payment_intent": checkout.intent_id, "event_type": kind, "state": "delivered"}
        return bool((await checkout.stripe.get("/_sandbox/deliveries", params=query)).json())

    await until(arrived)


async def test_a_pending_refund_and_one_that_fails(checkout: Checkout, new_checkout: NewCheckout):
    await checkout.paid("pm_card_pendingRefund")
    assert (await checkout.refund_by_staff()).json()["state"] in {"pending", "succeeded"}
    await checkout.wait_until(refunded=PRICE, refunding=0)
    other = new_checkout()
    await other.paid("pm_card_refundFail")
    await other.refund_by_staff()
    view = await other.wait_until(refunded=0, refundable=PRICE)
    assert [line["kind"] for line in view["ledger"]] == ["captured", "refunded", "refund_failed"]


@pytest.mark.parametrize("kind", ["customer.created", "payment_intent.created", "x" * 5000, ""])
async def test_unused_events_are_stored_and_ignored(client: httpx.AsyncClient, kind: str):
    other = event(kind, {"id": "cus_1", "object": "customer", "status": "x", "currency": "eur"})
    assert (await client.post(WEBHOOK, **signed(other))).status_code == 200
    assert (await stored(other["id"])).outcome == "ignored"


async def test_payments_of_another_shop_are_ignored(client: httpx.AsyncClient, at_stripe: httpx.AsyncClient):
    foreign = (await at_stripe.post("/v1/payment_intents", data={"amount": 500, "currency": "eur"})).json()
    refund = {"id": "re_x", "object": "refund", "status": "succeeded", "payment_intent": foreign["id"]}
    refund |= {"amount": 5, "currency": "eur"}
    sent = [event("payment_intent.succeeded", foreign), event("refund.created", refund)]
    outcomes = []
    for each in sent:
        assert (await client.post(WEBHOOK, **signed(each))).status_code == 200
        outcomes.append((await stored(each["id"])).outcome)
    assert outcomes == ["ignored", "foreign"]


CHARGE = {"id": "c", "payment_intent": "p", "amount_refunded": 1, "currency": "eur"}


def _forgeries() -> dict[str, dict[str, Any]]:
    body = json.dumps(event("payment_intent.succeeded", {}))
    good = signed(body)["headers"]["Stripe-Signature"]
    headers = {
        "nothing": "",
        "words": "I am Stripe",
        "no time": good.partition(",")[2],
        "no signature": good.partition(",")[0],
        "empty signature": good.partition("v1=")[0] + "v1=",
        "other scheme": good.replace("v1=", "v0="),
        "huge": good + ",v1=" + "0" * 10_000,
        "huge time": "t=" + "9" * 5000 + ",v1=0",
        "commas": "," * 1000,
        "time is text": "t=now,v1=0",
    }
    made = {name: {"content": body, "headers": {"Stripe-Signature": header}} for name, header in headers.items()}
    made["huge"]["content"] = body + " "
    made |= {
        "no header": {"content": body},
        "other secret": signed(body, "whsec_other"),
        "empty secret": signed(body, ""),
        "too old": signed(body, age_seconds=301),
        "changed body": signed(body) | {"content": body.replace("evt_", "evt_0")},
        "not ASCII": {"content": body, "headers": {b"Stripe-Signature": "t=1,v1=é".encode("latin-1")}},
    }
    return made


@pytest.mark.parametrize("name", sorted(_forgeries()))
async def test_forged_webhooks_are_refused(client: httpx.AsyncClient, name: str):
    answer = await client.post(WEBHOOK, **_forgeries()[name])
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")


async def test_both_secrets_are_accepted_while_they_rotate(client: httpx.AsyncClient):
    for secret in ("whsec_new", SECRET):
        answer = await client.post(WEBHOOK, **signed(event("customer.created", {}), secret, age_seconds=299))
        assert answer.status_code == 200, secret


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "[]",
        "5",
        '"event"',
        "{}",
        "[" * 100_000,
        json.dumps({"object": "event", "type": "payment_intent.succeeded"}),
        json.dumps(event("payment_intent.succeeded", {}) | {"data": None}),
        json.dumps(event("payment_intent.succeeded", {}) | {"data": {"object": []}}),
        json.dumps(event("payment_intent.succeeded", {"id": "pi_1"})),
        json.dumps(
            event(
                "refund.created",
                {"id": 5, "status": "succeeded", "payment_intent": "pi_1"} | {"amount": "x", "currency": "eur"},
            )
        ),
        json.dumps(
            event("payment_intent.canceled", {"id": "pi_1", "status": "canceled", "currency": "eur"}) | {"id": 5}
        ),
        json.dumps(event("charge.refunded", CHARGE, created=10**30)),
        json.dumps(event("charge.refunded", CHARGE, created="now")),
        json.dumps(event("charge.dispute.closed", {"id": "d", "payment_intent": "p"})),
    ],
)
async def test_signed_malformed_events_are_refused(client: httpx.AsyncClient, body: str):
    answer = await client.post(WEBHOOK, **signed(body))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_payload")


async def test_a_body_that_is_not_text_is_refused(client: httpx.AsyncClient):
    answer = await client.post(WEBHOOK, content=b"\xff\xfe", headers={"Stripe-Signature": "t=1,v1=0"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_payload")


async def test_the_webhook_accepts_only_post(client: httpx.AsyncClient):
    assert (await client.put(WEBHOOK)).status_code == 405
