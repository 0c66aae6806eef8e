"""The endpoints, with valid and invalid input."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import hash_secret
from chassis.testing.signer import Signer
from contracts.payment import PaymentCancelled, PaymentRefunded
from contracts.types import Holder

from .conftest import GUEST, HOLD_SECRET, ORDERS, PRICE, Checkout, reconcile_now, stored_accounts

pytestmark = pytest.mark.usefixtures("client")


async def test_config_names_key_and_script(client: httpx.AsyncClient):
    answer = await client.get("/api/payments/config")
    assert answer.json() == {"publishable_key": "pk_test_payment", "script_url": "https://js.stripe.com/v3/"}


async def test_an_intent_is_created_once(checkout: Checkout):
    answer = await checkout.create_intent()
    assert answer.status_code == 200
    body = answer.json()
    assert (body["amount"], body["currency"], body["publishable_key"]) == (PRICE, "EUR", "pk_test_payment")
    assert body["client_secret"].startswith(body["payment_intent_id"])
    again = await checkout.create_intent()
    assert again.json() == body
    intent = await checkout.at_stripe()
    assert intent["amount"] == PRICE
    assert intent["currency"] == "eur"
    assert intent["metadata"] == {
        "booking_id": checkout.id,
        "reference": "USHER1",
        "showtime_id": "s1",
        "seats": "F7,F8",
        "secret_hash": hash_secret(HOLD_SECRET),
        "payment_deadline_at": checkout.deadline.isoformat(),
    }
    view = await checkout.payment()
    assert (view["state"], view["intent_id"]) == ("intent_created", body["payment_intent_id"])


async def test_concurrent_requests_get_one_intent(checkout: Checkout):
    answers = await asyncio.gather(*(checkout.create_intent() for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert len({answer.json()["payment_intent_id"] for answer in answers if answer.is_success}) == 1
    assert len(await checkout.intents_at_stripe()) == 1


async def test_unknown_and_foreign_bookings_look_the_same(checkout: Checkout, signer: Signer):
    unknown = await checkout.client.get(f"/api/payments/{checkout.id}", headers=GUEST)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "payment_unknown")
    await checkout.with_intent()
    for headers in ({}, {"X-Hold-Secret": "wrong"}, {"X-Hold-Secret": "x" * 5000}, signer.headers("u2")):
        answers = [
            await checkout.client.get(f"/api/payments/{checkout.id}", headers=headers),
            await checkout.client.post(
                "/api/payments/create-intent", json={"order": ORDERS.sign(checkout.order())}, headers=headers
            ),
        ]
        assert [(each.status_code, each.json()["code"]) for each in answers] == [(404, "payment_unknown")] * 2


async def test_a_person_pays_with_their_account(checkout: Checkout, signer: Signer):
    checkout.changes = {"holder": Holder(user_id="user-7")}
    assert (await checkout.create_intent(signer.headers("user-7"))).status_code == 200
    assert (await checkout.create_intent(GUEST)).status_code == 404
    spoiled = {"Authorization": "Bearer nonsense"}
    assert (await checkout.create_intent(spoiled)).status_code == 401


async def test_the_owner_sees_the_payment_but_not_the_ledger(checkout: Checkout):
    await checkout.paid()
    own = (await checkout.client.get(f"/api/payments/{checkout.id}", headers=GUEST)).json()
    assert (own["state"], own["captured"], own["refunded"]) == ("succeeded", PRICE, 0)
    assert not {"ledger", "intent_id", "email", "refundable"} & own.keys()
    staff = await checkout.payment()
    assert [(line["kind"], line["amount"]) for line in staff["ledger"]] == [("captured", PRICE)]
    assert staff["refundable"] == PRICE
    assert "secret" not in str(staff)


async def test_a_late_customer_cannot_pay(checkout: Checkout):
    late = now() - timedelta(seconds=1)
    answer = await checkout.create_intent(payment_deadline_at=late)
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_deadline_passed")
    assert (await checkout.payment(), await checkout.intents_at_stripe()) == ({}, [])
    await checkout.paid()
    assert (await checkout.create_intent(payment_deadline_at=late)).json()["code"] == "already_paid"


async def test_paid_or_cancelled_bookings_are_closed(checkout: Checkout, new_checkout: Any):
    await checkout.paid()
    answer = await checkout.create_intent()
    assert (answer.status_code, answer.json()["code"]) == (409, "already_paid")
    other = new_checkout()
    await other.cancel()
    await other.wait_for_events(PaymentCancelled)
    answer = await other.create_intent()
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_closed")


async def test_creating_an_intent_again_after_paying_recovers_a_lost_webhook(checkout: Checkout):
    await checkout.add_fault("webhook_drop", count=None)
    await checkout.with_intent()
    await checkout.confirm()
    assert (await checkout.create_intent()).json()["code"] == "already_paid"
    await checkout.wait_until(state="succeeded", captured=PRICE)


FAILURES = {
    "a 500 without effect": {"status": 500},
    "a 500 after the effect": {"status": 500, "after": True},
    "a 503 without effect": {"status": 503},
    "a 503 after the effect": {"status": 503, "after": True},
    "a hang after the effect": {"kind": "api_delay", "seconds": 1.2, "after": True},
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_the_customer_does_not_notice_single_failures_of_stripe(checkout: Checkout, failure: dict[str, Any]):
    """Stripe stores a 500 under its idempotency key, so the next try uses another key; other failures reuse the key."""
    await checkout.add_fault(
        **{"kind": "api_error", "path": "/v1/payment_intents", "method": "POST", "count": 2} | failure
    )
    await checkout.paid()
    intents = await checkout.intents_at_stripe()
    # A 500 after the effect leaves an intent that nobody can pay: its secret never left Stripe.
    is_lost = failure == FAILURES["a 500 after the effect"]
    assert sorted(each["status"] for each in intents) == ["requires_payment_method"] * 2 * is_lost + ["succeeded"]
    assert sum(each["amount_received"] for each in intents) == PRICE


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waits for Stripe for at most one second."""
    from payment import stripe  # noqa: PLC0415 - its settings come from the environment

    monkeypatch.setattr(stripe, "TIME_BUDGET_S", 1.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("status", "spends"), [(500, True), (503, False)])
async def test_lasting_failures_of_stripe_are_one_clear_problem(checkout: Checkout, status: int, spends: bool):
    fault = await checkout.add_fault("api_error", path="/v1/payment_intents", method="POST", count=None, status=status)
    attempts: list[int] = []
    for _ in range(2):
        answer = await checkout.create_intent()
        assert (answer.status_code, answer.json()["code"]) == (503, "payment_provider_unavailable")
        assert answer.headers["Retry-After"] == "5"
        kept = await stored_accounts().find_one({"_id": checkout.id})
        attempts.append(kept["intent_attempt"] if kept else 0)
    assert (0 < attempts[0] < attempts[1]) == spends
    assert await checkout.intents_at_stripe() == []
    await checkout.remove_fault(fault)
    await checkout.paid()
    assert len(await checkout.intents_at_stripe()) == 1


async def test_a_hanging_call_to_stripe_times_out(checkout: Checkout, monkeypatch: pytest.MonkeyPatch):
    from payment import stripe  # noqa: PLC0415 - its settings come from the environment

    fault = await checkout.add_fault("api_delay", path="/v1/payment_intents", method="POST", seconds=4, count=None)
    with monkeypatch.context() as hurried:
        hurried.setattr(stripe, "TIME_BUDGET_S", 0.5)
        assert (await checkout.create_intent()).status_code == 503
    assert await checkout.intents_at_stripe() == []
    await checkout.remove_fault(fault)
    # The hanging call still uses the idempotency key. This request waits for it within its time budget.
    await checkout.paid()
    assert len(await checkout.intents_at_stripe()) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"order": 5}',
        b'{"order": {"$ne": ""}}',
        b'{"order": "x", "amount": 1}',
        b'{"order": "\xff"}',
        b'{"order": "x", "booking_id": "$ne"}',
    ],
)
async def test_an_invalid_order_body_is_refused(client: httpx.AsyncClient, body: bytes):
    answer = await client.post(
        "/api/payments/create-intent", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {"invalid_request", "http_error"}


async def test_a_huge_body_is_refused(client: httpx.AsyncClient):
    for address in ("create-intent", "webhook", "b1/refunds"):
        answer = await client.post(f"/api/payments/{address}", content=b"x" * 600_000)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_an_invalid_id_is_refused(client: httpx.AsyncClient, signer: Signer):
    headers = signer.headers("staff-1", ["payments:read", "payments:refund"])
    for booking_id in ("a b", "x" * 65, "$where"):
        assert (await client.get(f"/api/payments/{booking_id}", headers=headers)).status_code == 422
        answer = await client.post(f"/api/payments/{booking_id}/refunds", json={}, headers=headers)
        assert answer.status_code == 422


async def test_staff_refund_in_parts_until_nothing_is_left(checkout: Checkout):
    await checkout.paid()
    first = await checkout.refund_by_staff(amount=1000)
    assert first.status_code == 202
    assert (first.json()["amount"], first.json()["state"]) == (1000, "succeeded")
    over = await checkout.refund_by_staff(amount=1501)
    assert (over.status_code, over.json()["code"], over.json()["refundable"]) == (409, "refund_too_large", 1500)
    rest = await checkout.refund_by_staff()
    assert rest.json()["amount"] == 1500
    assert (await checkout.refund_by_staff()).json()["refundable"] == 0
    events = await checkout.wait_for_events(PaymentRefunded, 2)
    assert [(each.amount, each.refunded, each.requested) for each in events] == [
        (1000, 1000, False),
        (1500, PRICE, False),
    ]
    view = await checkout.wait_until(refunded=PRICE, refunding=0)
    assert [line["kind"] for line in view["ledger"]] == ["captured", "refunded", "refunded"]
    assert sum(refund["amount"] for refund in await checkout.refunds_at_stripe()) == PRICE


async def test_two_requests_with_one_key_refund_once(checkout: Checkout):
    await checkout.paid()
    headers = checkout.signer.headers("staff-1", ["payments:refund"]) | {"Idempotency-Key": new_id()}
    address = f"/api/payments/{checkout.id}/refunds"
    answers = [await checkout.client.post(address, json={"amount": 500}, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(await checkout.refunds_at_stripe()) == 1


async def test_ten_concurrent_refunds_cannot_exceed_the_payment(checkout: Checkout):
    await checkout.paid()
    answers = await asyncio.gather(*(checkout.refund_by_staff(amount=1000) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [202] * 2 + [409] * 8
    view = await checkout.wait_until(refunded=2000, refunding=0)
    assert view["refundable"] == 500


async def test_a_refund_is_accepted_while_stripe_is_unavailable(checkout: Checkout):
    await checkout.paid()
    fault = await checkout.add_fault("api_error", path="/v1/refunds", count=None)
    answer = await checkout.refund_by_staff()
    assert (answer.status_code, answer.json()["state"]) == (202, "asked")
    await checkout.remove_fault(fault)
    await reconcile_now(checkout.id)
    await checkout.wait_until(refunded=PRICE, refunding=0)
    assert len(await checkout.refunds_at_stripe()) == 1


@pytest.mark.parametrize("amount", [0, -1, 10**10, "5", 1.5, True, [], {}])
async def test_an_invalid_amount_is_refused(checkout: Checkout, amount: Any):
    answer = await checkout.refund_by_staff(amount=amount)
    assert answer.status_code == 422


async def test_refunds_are_for_staff_with_the_permission(checkout: Checkout, signer: Signer):
    address = f"/api/payments/{checkout.id}/refunds"
    assert (await checkout.client.post(address, json={}, headers=GUEST)).status_code == 401
    reader = signer.headers("staff-1", ["payments:read"])
    assert (await checkout.client.post(address, json={}, headers=reader)).status_code == 403
    assert (await checkout.refund_by_staff()).json()["code"] == "payment_unknown"
    await checkout.with_intent()
    assert (await checkout.refund_by_staff()).json()["code"] == "refund_too_large"
    assert (await checkout.refund_by_staff(amount=1, reason="x")).status_code == 422
    unknown = await checkout.client.post(
        "/api/payments/nobody/refunds", json={}, headers=signer.headers("staff-1", ["payments:refund"])
    )
    assert unknown.json()["code"] == "payment_unknown"
