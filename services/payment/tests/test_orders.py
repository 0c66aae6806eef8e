"""Payment orders: forged, stolen, late, or with another price; accounts that are older than orders."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from chassis.clock import now
from chassis.security.secrets import hash_secret
from chassis.security.signed import SignedText
from contracts.claims import HoldClaim, PaymentOrder
from contracts.payment import PaymentRefunded, PaymentSucceeded
from contracts.types import Seat
from pydantic import SecretStr

from .conftest import GUEST, HOLD_SECRET, ORDER_KEY, ORDERS, PRICE, Checkout, stored_accounts

pytestmark = pytest.mark.usefixtures("client")


async def post_order(checkout: Checkout, **body: Any) -> tuple[int, str]:
    answer = await checkout.client.post("/api/payments/create-intent", json=body, headers=GUEST)
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize("order", [{}, {"order": None}, {"order": ""}])
async def test_a_booking_id_alone_is_not_enough(checkout: Checkout, order: dict[str, Any]):
    assert await post_order(checkout, **order) == (422, "order_required")
    assert await post_order(checkout, booking_id=checkout.id, **order) == (422, "order_required")


async def test_a_booking_id_beside_the_order_is_ignored(checkout: Checkout):
    assert await post_order(checkout, order=ORDERS.sign(checkout.order()), booking_id="another") == (200, "")


def claim_of(order: PaymentOrder) -> HoldClaim:
    return HoldClaim(
        hold_id=order.booking_id,
        showtime_id=order.showtime_id,
        seats=[Seat(seat_id="F7", row="F", number=7, category="standard")],
        holder=order.holder,
        revision=0,
        expires_at=order.payment_deadline_at,
    )


def forged(order: PaymentOrder) -> dict[str, str]:
    good, key = ORDERS.sign(order), SecretStr(ORDER_KEY)
    header, payload, signature = good.split(".")
    cheap = ORDERS.sign(order.model_copy(update={"amount": 1})).split(".")[1]
    facts = order.model_dump(mode="json") | {"aud": PaymentOrder.audience}
    return {
        "words": "pay for me",
        "cut": good[:-2],
        "long": good + "A" * 5000,
        "another payload": f"{header}.{cheap}.{signature}",
        "no signature": f"{header}.{payload}.",
        "not signed": jwt.encode(facts, "", "none"),
        "another key": SignedText(PaymentOrder, PaymentOrder.audience, SecretStr("another key of tests")).sign(order),
        "the key itself": jwt.encode(facts, ORDER_KEY.encode().ljust(32, b"\0"), "HS256"),
        "another audience": SignedText(PaymentOrder, HoldClaim.audience, key).sign(order),
        "a claim": SignedText(HoldClaim, HoldClaim.audience, key).sign(claim_of(order)),
        "a claim as an order": SignedText(HoldClaim, PaymentOrder.audience, key).sign(claim_of(order)),
    }


async def test_orders_that_booking_did_not_sign_are_refused(checkout: Checkout):
    made = forged(checkout.order())
    answers = {name: await post_order(checkout, order=text) for name, text in made.items()}
    assert answers == dict.fromkeys(made, (422, "order_invalid"))
    assert await checkout.intents_at_stripe() == []
    assert await post_order(checkout, order=ORDERS.sign(checkout.order())) == (200, "")


async def test_a_stolen_order_is_refused(checkout: Checkout):
    for headers in ({"X-Hold-Secret": "x" * 40}, checkout.signer.headers("a-thief")):
        answer = await checkout.create_intent(headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "payment_unknown")
    assert await checkout.intents_at_stripe() == []


async def test_a_free_booking_cannot_be_paid(checkout: Checkout):
    answer = await checkout.create_intent(amount=0)
    assert (answer.status_code, answer.json()["code"]) == (422, "order_invalid")
    assert await checkout.payment() == {}


@pytest.mark.parametrize("change", [{"amount": PRICE - 1}, {"currency": "USD"}])
async def test_an_order_of_another_price_is_refused(checkout: Checkout, change: dict[str, Any]):
    await checkout.with_intent()
    answer = await checkout.create_intent(**change)
    assert (answer.status_code, answer.json()["code"]) == (409, "order_mismatch")
    assert (await checkout.payment())["amount"] == PRICE
    other, own = await checkout.intents_at_stripe()
    assert (other["status"], own["id"], own["status"]) == ("canceled", checkout.intent_id, "requires_payment_method")


async def test_an_order_whose_deadline_passes_while_stripe_is_asked(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
):
    from payment import stripe  # noqa: PLC0415 - its settings come from the environment
    from payment.settlement import intents  # noqa: PLC0415

    create = stripe.Stripe.create_intent

    async def create_slowly(self: stripe.Stripe, account: Any) -> stripe.IntentHandle:
        handle = await create(self, account)
        monkeypatch.setattr(intents, "now", lambda: checkout.deadline)
        return handle

    monkeypatch.setattr(stripe.Stripe, "create_intent", create_slowly)
    answer = await checkout.create_intent()
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_deadline_passed")
    assert [each["status"] for each in await checkout.intents_at_stripe()] == ["canceled"]
    # Stripe's webhook about the cancelled intent creates an account that nobody can pay.
    await checkout.wait_until(state="cancelled", captured=0)


async def old_account(checkout: Checkout, **fields: Any) -> None:
    """Insert an account as it was stored before 2026-12, from `booking.payment_requested`."""
    account = {
        "_id": checkout.id,
        "version": 1,
        "outbox": [],
        "holder": {"user_id": None, "secret_hash": hash_secret(HOLD_SECRET)},
        "email": "guest@usher.example",
        "reference": "USHER1",
        "amount": PRICE,
        "currency": "EUR",
        "payment_deadline_at": checkout.deadline,
        "state": "requested",
        "cancel_requested": False,
        "intent_id": None,
        "intent_attempt": 0,
        "last_failure": None,
        "captured": 0,
        "refunding": 0,
        "refunded": 0,
        "refunds": {},
        "ledger": [],
        "stripe_events": [],
        "checks": 0,
        "next_check_at": None,
        "last_checked_at": None,
    }
    await stored_accounts().insert_one(account | fields)


async def old_intent(checkout: Checkout) -> dict[str, Any]:
    """Create an intent with the metadata of before 2026-12; return the fields of its account."""
    asked = {
        "amount": PRICE,
        "currency": "eur",
        "metadata[booking_id]": checkout.id,
        "metadata[reference]": "USHER1",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
    }
    checkout.intent_id = (await checkout.stripe.post("/v1/payment_intents", data=asked)).json()["id"]
    return {"state": "intent_created", "intent_id": checkout.intent_id, "checks": 2, "next_check_at": now()}


async def test_an_old_account_without_an_intent_is_completed_by_the_order(checkout: Checkout):
    await old_account(checkout)
    await checkout.paid()
    (published,) = await checkout.wait_for_events(PaymentSucceeded)
    assert (published.showtime_id, published.seats) == ("s1", ["F7", "F8"])
    assert len(await checkout.intents_at_stripe()) == 1


async def test_an_old_account_with_an_intent_is_paid_without_its_showtime(checkout: Checkout):
    await old_account(checkout, **await old_intent(checkout))
    await checkout.confirm()
    (published,) = await checkout.wait_for_events(PaymentSucceeded)
    assert (published.showtime_id, published.seats, published.amount) == (None, [], PRICE)
    await checkout.request_refund(PRICE, f"{checkout.id}-refund")
    await checkout.wait_for_events(PaymentRefunded)


async def test_an_old_account_with_an_intent_is_completed_by_the_order(checkout: Checkout):
    await old_account(checkout, **await old_intent(checkout))
    first = checkout.intent_id
    await checkout.paid()
    assert checkout.intent_id == first
    (published,) = await checkout.wait_for_events(PaymentSucceeded)
    assert (published.showtime_id, published.seats) == ("s1", ["F7", "F8"])


async def test_an_old_account_that_is_paid_or_closed_cannot_be_paid(checkout: Checkout, new_checkout: Any):
    await old_account(checkout, state="succeeded", intent_id="pi_old", captured=PRICE)
    assert (await checkout.create_intent()).json()["code"] == "already_paid"
    closed = new_checkout()
    await old_account(closed, state="cancelled", cancel_requested=True)
    assert (await closed.create_intent()).json()["code"] == "payment_closed"
    late = new_checkout()
    await old_account(late)
    answer = await late.create_intent(payment_deadline_at=now() - timedelta(seconds=1))
    assert answer.json()["code"] == "payment_deadline_passed"
