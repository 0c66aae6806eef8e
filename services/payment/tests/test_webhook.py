"""Stripe's webhook: forged, repeated, reversed, late, early, broken. Each of them changes the money at most once."""

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

from .conftest import PRICE, SECRET, WEBHOOK, Checkout, event, signed, stored

NewCheckout = Callable[[], Checkout]
pytestmark = pytest.mark.usefixtures("client")


def intent_of(checkout: Checkout, status: str = "succeeded", **changes: Any) -> dict[str, Any]:
    fields = {"id": checkout.intent_id or "pi_early", "object": "payment_intent", "status": status, "currency": "eur"}
    money = {"amount_received": PRICE if status == "succeeded" else 0, "latest_charge": f"ch_{checkout.id}"}
    return fields | money | {"metadata": {"booking_id": checkout.id}} | changes


async def kept_with(checkout: Checkout) -> list[str]:
    """The ids of the events that the account keeps beside what they changed."""
    from payment import store  # noqa: PLC0415 - its settings come from the environment

    payment = await store.find(checkout.id)
    return [each.id for each in payment.stripe_events] if payment else []


async def events_at_stripe(checkout: Checkout) -> list[dict[str, Any]]:
    """The booking's events as Stripe keeps them, oldest first."""
    answer = await checkout.stripe.get("/v1/events", params={"limit": 100})
    every = answer.json()["data"]
    mine = [each for each in every if checkout.intent_id in json.dumps(each["data"]["object"])]
    return mine[::-1]


async def test_a_payment_is_recorded_and_said(checkout: Checkout):
    await checkout.paid()
    (said,) = await checkout.hears(PaymentSucceeded)
    assert said.model_dump() == {
        "booking_id": checkout.id,
        "amount": PRICE,
        "currency": "EUR",
        "showtime_id": "s1",
        "seats": ["F7", "F8"],
        "user_id": None,
    }
    view = await checkout.view()
    assert [line["kind"] for line in view["ledger"]] == ["captured"]


async def test_every_webhook_twice_changes_nothing(checkout: Checkout):
    await checkout.fault("webhook_repeat", times=3, count=None)
    await checkout.paid()
    await checkout.refund_by_staff(amount=400)
    for each in await events_at_stripe(checkout):
        answers = [await checkout.client.post(WEBHOOK, **signed(each)) for _ in range(2)]
        assert {answer.status_code for answer in answers} == {200}
    view = await checkout.comes_to(captured=PRICE, refunded=400, refunding=0)
    assert len(view["ledger"]) == 2
    assert len(await checkout.hears(PaymentSucceeded)) == len(await checkout.hears(PaymentRefunded)) == 1


async def test_one_webhook_ten_times_at_once(checkout: Checkout):
    await checkout.offered()
    same = event("payment_intent.succeeded", intent_of(checkout))
    answers = await asyncio.gather(*(checkout.client.post(WEBHOOK, **signed(same)) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    view = await checkout.comes_to(state="succeeded", captured=PRICE)
    assert len(view["ledger"]) == 1
    assert len(await checkout.hears(PaymentSucceeded)) == 1
    assert (await kept_with(checkout), await stored(same["id"])) == ([same["id"]], None)


async def test_all_events_in_reverse(checkout: Checkout):
    await checkout.fault("webhook_hold", count=None)
    await checkout.offered()
    await checkout.confirm("pm_card_visa_chargeDeclined")
    await checkout.confirm()
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id, "amount": 700})
    every = await events_at_stripe(checkout)
    kinds = [each["type"] for each in every]
    assert {"payment_intent.payment_failed", "payment_intent.succeeded", "charge.refunded"} <= set(kinds)
    for each in reversed(every):
        assert (await checkout.client.post(WEBHOOK, **signed(each))).status_code == 200
    view = await checkout.comes_to(state="succeeded", captured=PRICE, refunded=700)
    assert [line["kind"] for line in view["ledger"]] == ["captured", "refunded"]
    assert checkout.heard(PaymentFailed) == []
    (refund,) = await checkout.hears(PaymentRefunded)
    assert refund.requested is False
    await checkout.release()


async def test_declined_then_paid(checkout: Checkout):
    await checkout.offered()
    declined = await checkout.confirm("pm_card_visa_chargeDeclinedInsufficientFunds")
    assert declined.status_code == 402
    (failed,) = await checkout.hears(PaymentFailed)
    assert failed.code == "insufficient_funds"
    assert (await checkout.view())["state"] == "intent_created"
    await checkout.paid()
    assert len(checkout.heard(PaymentFailed)) == 1


def declined(checkout: Checkout, charge: str) -> dict[str, Any]:
    failure = {"code": "card_declined", "charge": charge}
    return event(
        "payment_intent.payment_failed", intent_of(checkout, "requires_payment_method", last_payment_error=failure)
    )


async def test_a_decline_that_is_repeated_after_the_next_one_is_not_said_again(checkout: Checkout):
    await checkout.offered()
    first, second = declined(checkout, "ch_1"), declined(checkout, "ch_2")
    for each in (first, second, first):
        assert (await checkout.client.post(WEBHOOK, **signed(each))).status_code == 200
    assert (await kept_with(checkout), await stored(first["id"])) == ([first["id"], second["id"]], None)
    await checkout.paid()
    await checkout.hears(PaymentSucceeded)
    assert len(checkout.heard(PaymentFailed)) == 2


async def test_an_account_keeps_only_the_last_events(checkout: Checkout, monkeypatch: pytest.MonkeyPatch):
    from payment import store  # noqa: PLC0415 - its settings come from the environment

    monkeypatch.setattr(store, "KEPT_WITH_ACCOUNT", 2)
    await checkout.offered()
    sent = [declined(checkout, f"ch_{number}") for number in range(3)]
    for each in sent:
        assert (await checkout.client.post(WEBHOOK, **signed(each))).status_code == 200
    assert await kept_with(checkout) == [each["id"] for each in sent[1:]]


async def test_a_late_failure_never_undoes_success(checkout: Checkout):
    await checkout.fault("webhook_hold", event_types=["payment_intent.payment_failed"], count=None)
    await checkout.offered()
    await checkout.confirm("pm_card_visa_chargeDeclined")
    await checkout.confirm()
    await checkout.comes_to(state="succeeded")
    await checkout.release()
    await delivered(checkout, "payment_intent.payment_failed")
    late = event("payment_intent.canceled", intent_of(checkout, "canceled"))
    assert (await checkout.client.post(WEBHOOK, **signed(late))).status_code == 200
    view = await checkout.comes_to(state="succeeded")
    assert view["captured"] == PRICE
    assert checkout.heard(PaymentFailed) == checkout.heard(PaymentCancelled) == []
    assert (await stored(late["id"])).outcome == "applied"
    assert late["id"] not in await kept_with(checkout)


async def test_money_of_another_intent_of_the_booking_counts(checkout: Checkout):
    await checkout.offered()
    other = event("payment_intent.succeeded", intent_of(checkout, id="pi_other"))
    assert (await checkout.client.post(WEBHOOK, **signed(other))).status_code == 200
    await checkout.comes_to(state="succeeded", intent_id="pi_other", captured=PRICE)
    assert (await checkout.ask_intent()).json()["code"] == "already_paid"


async def test_money_of_an_unknown_booking_waits_for_its_account(checkout: Checkout):
    """The intent has the metadata of before 2026-12, which does not say enough to restore an account."""
    early = event("payment_intent.succeeded", intent_of(checkout))
    assert (await checkout.client.post(WEBHOOK, **signed(early))).status_code == 200
    kept = await stored(early["id"])
    assert kept.outcome is None
    assert "UnknownBooking" in kept.last_error
    await checkout.offered()
    await work_off_due(early["id"])
    await checkout.comes_to(state="succeeded", captured=PRICE)

    async def is_applied() -> bool:  # by the service's own job, perhaps
        return (await stored(early["id"])).outcome == "applied"

    await until(is_applied)


async def work_off_due(event_id: str) -> None:
    from payment import jobs  # noqa: PLC0415 - its settings come from the environment
    from payment.store import WebhookEvent  # noqa: PLC0415

    past = {"$set": {"next_try_at": now() - timedelta(seconds=1)}}
    await WebhookEvent.get_pymongo_collection().update_one({"_id": event_id, "next_try_at": {"$ne": None}}, past)
    await jobs.work_off_webhooks()


async def test_an_event_that_could_not_be_worked_off_at_once_is_later(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
):
    from payment import settlement  # noqa: PLC0415 - its settings come from the environment

    async def fail(*_: Any) -> Any:
        raise ConnectionError("the database is gone for a moment")

    await checkout.offered()
    metadata = (await checkout.at_stripe())["metadata"]
    left = event("payment_intent.succeeded", intent_of(checkout, metadata=metadata))
    with monkeypatch.context() as patch:
        patch.setattr(settlement, "_hear", fail)
        assert (await checkout.client.post(WEBHOOK, **signed(left))).status_code == 200
    assert (await checkout.view())["state"] == "intent_created"
    assert (await stored(left["id"])).news.order.secret_hash == metadata["secret_hash"]
    await asyncio.gather(*(work_off_due(left["id"]) for _ in range(3)))
    await checkout.comes_to(state="succeeded", captured=PRICE)
    assert len(await checkout.hears(PaymentSucceeded)) == 1

    async def closed() -> bool:
        return (await stored(left["id"])).outcome == "applied"

    await until(closed)
    assert (await stored(left["id"])).news.order is None


async def test_a_write_whose_answer_is_lost_is_not_repeated(checkout: Checkout, monkeypatch: pytest.MonkeyPatch):
    """The event is in the account, and nobody here knows; it is stored once more, and Stripe sends it again."""
    from payment.store import Payment  # noqa: PLC0415 - its settings come from the environment

    await checkout.offered()
    sent = event("payment_intent.succeeded", intent_of(checkout))
    write = Payment.write

    async def lose_answer(*args: Any, **more: Any) -> bool:
        patch.undo()
        await write(*args, **more)
        raise ConnectionError("the connection is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Payment, "write", lose_answer)
        assert (await checkout.client.post(WEBHOOK, **signed(sent))).status_code == 200
    view = await checkout.comes_to(state="succeeded", captured=PRICE)
    assert (await stored(sent["id"])).outcome == "applied"
    assert (await checkout.client.post(WEBHOOK, **signed(sent))).status_code == 200
    assert (len(view["ledger"]), await kept_with(checkout)) == (1, [sent["id"]])
    assert len(await checkout.hears(PaymentSucceeded)) == 1


async def test_an_event_that_nobody_can_work_off_is_parked(new_checkout: NewCheckout):
    checkout = new_checkout()
    lost = event("payment_intent.succeeded", intent_of(checkout))
    await checkout.client.post(WEBHOOK, **signed(lost))
    for _ in range(13):
        await work_off_due(lost["id"])
    kept = await stored(lost["id"])
    assert (kept.next_try_at, kept.outcome) == (None, None)


async def test_a_second_payment_that_a_person_gives_back_changes_nothing(checkout: Checkout):
    await checkout.paid()
    first = await checkout.at_stripe()
    asked = {"amount": PRICE, "currency": "eur", "payment_method_types[]": "card"}
    metadata = {f"metadata[{name}]": value for name, value in first["metadata"].items()}
    await checkout.fault("webhook_drop", event_types=["payment_intent.succeeded"], count=None)
    second = (await checkout.stripe.post("/v1/payment_intents", data=asked | metadata)).json()
    await checkout.stripe.post(f"/v1/payment_intents/{second['id']}/confirm", data={"payment_method": "pm_card_visa"})
    refund = (await checkout.stripe.post("/v1/refunds", data={"payment_intent": second["id"]})).json()
    told = event("refund.created", refund)
    assert (await checkout.client.post(WEBHOOK, **signed(told))).status_code == 200
    assert (await stored(told["id"])).outcome == "foreign"
    view = await checkout.view()
    assert (view["captured"], view["refunded"]) == (PRICE, 0)


async def test_other_money_than_asked_is_left_to_a_person(checkout: Checkout):
    await checkout.offered()
    odd = event("payment_intent.succeeded", intent_of(checkout, amount_received=1))
    await checkout.client.post(WEBHOOK, **signed(odd))
    assert "MoneyMismatch" in (await stored(odd["id"])).last_error
    assert (await checkout.view())["captured"] == 0


async def test_a_refund_made_by_hand_at_stripe(checkout: Checkout):
    await checkout.paid()
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id})
    (said,) = await checkout.hears(PaymentRefunded)
    assert (said.amount, said.refunded, said.captured, said.requested) == (PRICE, PRICE, PRICE, False)
    view = await checkout.comes_to(refunded=PRICE)
    assert [refund["asked_by"] for refund in view["refunds"]] == ["provider"]


async def test_a_refund_by_hand_told_by_the_charge_alone(checkout: Checkout):
    await checkout.paid()
    await checkout.fault("webhook_drop", event_types=["refund.created", "refund.updated"], count=None)
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id, "amount": 300})
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id, "amount": 200})
    view = await checkout.comes_to(refunded=500)
    assert sorted(refund["amount"] for refund in view["refunds"]) == [200, 300]


@pytest.mark.parametrize(
    ("amount", "status", "refunded"), [(None, "lost", PRICE), (None, "won", 0), (900, "lost", 900)]
)
async def test_a_lost_dispute_is_money_gone(checkout: Checkout, amount: int | None, status: str, refunded: int):
    await checkout.paid()
    asked = {"payment_intent": checkout.intent_id, "amount": amount}
    dispute = (await checkout.stripe.post("/_sandbox/disputes", json=asked)).json()
    await checkout.stripe.post(f"/_sandbox/disputes/{dispute['id']}/close", json={"status": status})
    if refunded:
        (said,) = await checkout.hears(PaymentRefunded)
        assert (said.refunded, said.requested) == (refunded, False)
    else:
        await delivered(checkout, "charge.dispute.closed")
    await checkout.comes_to(refunded=refunded)


async def delivered(checkout: Checkout, kind: str) -> None:
    async def arrived() -> bool:
        query = {"payment_intent": checkout.intent_id, "event_type": kind, "state": "delivered"}
        return bool((await checkout.stripe.get("/_sandbox/deliveries", params=query)).json())

    await until(arrived)


async def test_a_pending_refund_and_one_that_fails(checkout: Checkout, new_checkout: NewCheckout):
    await checkout.paid("pm_card_pendingRefund")
    assert (await checkout.refund_by_staff()).json()["state"] in {"pending", "succeeded"}
    await checkout.comes_to(refunded=PRICE, refunding=0)
    other = new_checkout()
    await other.paid("pm_card_refundFail")
    await other.refund_by_staff()
    view = await other.comes_to(refunded=0, refundable=PRICE)
    assert [line["kind"] for line in view["ledger"]] == ["captured", "refunded", "refund_failed"]


@pytest.mark.parametrize("kind", ["customer.created", "payment_intent.created", "x" * 5000, ""])
async def test_events_that_are_not_ours_are_kept_and_left_alone(client: httpx.AsyncClient, kind: str):
    other = event(kind, {"id": "cus_1", "object": "customer", "status": "x", "currency": "eur"})
    assert (await client.post(WEBHOOK, **signed(other))).status_code == 200
    assert (await stored(other["id"])).outcome == "ignored"


async def test_another_shops_money_is_not_ours(client: httpx.AsyncClient, at_stripe: httpx.AsyncClient):
    foreign = (await at_stripe.post("/v1/payment_intents", data={"amount": 500, "currency": "eur"})).json()
    refund = {"id": "re_x", "object": "refund", "status": "succeeded", "amount": 5, "payment_intent": foreign["id"]}
    sent = [event("payment_intent.succeeded", foreign), event("refund.created", refund)]
    outcomes = []
    for each in sent:
        assert (await client.post(WEBHOOK, **signed(each))).status_code == 200
        outcomes.append((await stored(each["id"])).outcome)
    assert outcomes == ["ignored", "foreign"]


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


async def test_both_secrets_are_good_while_they_rotate(client: httpx.AsyncClient):
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
        json.dumps(event("refund.created", {"id": 5, "status": "succeeded", "payment_intent": "pi_1", "amount": "x"})),
        json.dumps(
            event("payment_intent.canceled", {"id": "pi_1", "status": "canceled", "currency": "eur"}) | {"id": 5}
        ),
        json.dumps(event("charge.refunded", {"id": "c", "payment_intent": "p", "amount_refunded": 1}, created=10**30)),
        json.dumps(event("charge.refunded", {"id": "c", "payment_intent": "p", "amount_refunded": 1}, created="now")),
        json.dumps(event("charge.dispute.closed", {"id": "d", "payment_intent": "p"})),
    ],
)
async def test_signed_nonsense_is_refused(client: httpx.AsyncClient, body: str):
    answer = await client.post(WEBHOOK, **signed(body))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_payload")


async def test_bytes_that_are_no_text_are_refused(client: httpx.AsyncClient):
    answer = await client.post(WEBHOOK, content=b"\xff\xfe", headers={"Stripe-Signature": "t=1,v1=0"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_payload")


async def test_webhooks_are_posted(client: httpx.AsyncClient):
    assert (await client.put(WEBHOOK)).status_code == 405
