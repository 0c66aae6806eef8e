"""Events in: cancellations and refunds, in every order, and in a race with the customer who pays."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from chassis.ids import new_id
from chassis.testing import until
from chassis.testing.bus import Bus
from contracts.booking import RefundRequested
from contracts.payment import PaymentCancelled, PaymentRefunded, PaymentSucceeded

from .conftest import GUEST, HOLD_SECRET, KEY, ORDERS, PRICE, Checkout, run_due

NewCheckout = Callable[[], Checkout]
pytestmark = pytest.mark.usefixtures("client")


async def test_cancelled_before_any_intent(checkout: Checkout):
    await checkout.cancel()
    await checkout.hears(PaymentCancelled)
    await checkout.cancel()
    answer = await checkout.ask_intent()
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_closed")
    assert len(checkout.heard(PaymentCancelled)) == 1


async def test_intent_and_cancellation_at_once_always_end_cancelled(new_checkout: NewCheckout):
    for _ in range(10):
        checkout = new_checkout()
        answer, _ = await asyncio.gather(checkout.ask_intent(), checkout.cancel())
        assert answer.is_success or answer.json()["code"] == "payment_closed"
        await checkout.hears(PaymentCancelled)
        await checkout.comes_to(state="cancelled")
        assert {each["status"] for each in await checkout.intents_at_stripe()} <= {"canceled"}
        assert len(checkout.heard(PaymentCancelled)) == 1


async def test_cancelled_with_an_intent(checkout: Checkout):
    await checkout.offered()
    await checkout.cancel()
    await checkout.hears(PaymentCancelled)
    assert (await checkout.at_stripe())["status"] == "canceled"
    assert (await checkout.confirm()).status_code == 400
    assert (await checkout.view())["state"] == "cancelled"


async def test_money_that_won_against_the_cancellation(checkout: Checkout):
    await checkout.fault("webhook_drop", count=None)
    await checkout.offered()
    await checkout.confirm()
    await checkout.cancel()
    await checkout.hears(PaymentSucceeded)
    await checkout.comes_to(state="succeeded", captured=PRICE)
    assert checkout.heard(PaymentCancelled) == []


async def test_without_the_guard_a_cancelled_booking_can_be_paid(checkout: Checkout, unguard: Callable[[], None]):
    """The race that the next test wins: booking has given the seats back, and the customer has the secret."""
    await checkout.fault("api_delay", path="/v1/payment_intents", method="POST", seconds=0.8)
    asking = asyncio.create_task(checkout.ask_intent())
    await checkout.cancel()
    await checkout.hears(PaymentCancelled)
    assert not asking.done(), "the race did not take place"
    unguard()
    assert (await asking).json()["client_secret"]
    assert [each["status"] for each in await checkout.intents_at_stripe()] == ["requires_payment_method"]


@pytest.mark.parametrize("after", [False, True], ids=["Stripe has not made it", "Stripe has made it"])
async def test_a_cancellation_while_the_intent_is_being_made(checkout: Checkout, after: bool):
    """The secret of an intent is handed out only after our write, and that write finds the tombstone."""
    await checkout.fault("api_delay", path="/v1/payment_intents", method="POST", seconds=0.5, after=after)
    asking = asyncio.create_task(checkout.ask_intent())
    await asyncio.sleep(0.2)
    await checkout.cancel()
    await checkout.hears(PaymentCancelled)
    assert not asking.done(), "the race did not take place"
    answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_closed")
    assert [each["status"] for each in await checkout.intents_at_stripe()] == ["canceled"]
    assert (await checkout.view())["state"] == "cancelled"


async def test_paying_and_cancelling_at_once_ends_in_exactly_one(new_checkout: NewCheckout):
    checkouts = [new_checkout() for _ in range(12)]
    for checkout in checkouts:
        await checkout.offered()
    await asyncio.gather(*(each.confirm() for each in checkouts), *(each.cancel() for each in checkouts))
    for checkout in checkouts:

        async def decided(checkout: Checkout = checkout) -> str | None:
            state = (await checkout.view())["state"]
            return state if state in {"succeeded", "cancelled"} else None

        state = await until(decided)
        status = (await checkout.at_stripe())["status"]
        assert (state, status) in {("succeeded", "succeeded"), ("cancelled", "canceled")}
        said = PaymentSucceeded if state == "succeeded" else PaymentCancelled
        other = PaymentCancelled if state == "succeeded" else PaymentSucceeded
        assert len(await checkout.hears(said)) == 1
        assert checkout.heard(other) == []


async def test_cancelled_while_stripe_is_away_is_made_good(checkout: Checkout):
    await checkout.offered()
    fault = await checkout.fault("api_error", method="POST", count=None)
    await checkout.cancel()

    async def wished() -> bool:
        return (await checkout.ask_intent()).status_code == 409

    await until(wished)
    assert checkout.heard(PaymentCancelled) == []
    await checkout.mend(fault)
    await run_due(checkout.id)
    await checkout.hears(PaymentCancelled)
    assert (await checkout.at_stripe())["status"] == "canceled"


async def test_a_refund_goes_back_once(checkout: Checkout):
    await checkout.paid()
    refund_id = new_id()
    await asyncio.gather(*(checkout.give_back(1000, refund_id) for _ in range(5)))
    (said,) = await checkout.hears(PaymentRefunded)
    assert said.model_dump(exclude={"currency"}) == {
        "booking_id": checkout.id,
        "refund_id": refund_id,
        "amount": 1000,
        "refunded": 1000,
        "captured": PRICE,
        "requested": True,
    }
    await checkout.give_back(1000, refund_id)
    await checkout.give_back(PRICE, new_id())
    said = await checkout.hears(PaymentRefunded, 2)
    assert [each.amount for each in said] == [1000, 1500], "the second is capped"
    await checkout.comes_to(refunded=PRICE, refunding=0)
    assert sorted(refund["amount"] for refund in await checkout.refunds_at_stripe()) == [1000, 1500]


async def test_a_refund_before_the_money_waits_for_it(checkout: Checkout):
    refund_id = new_id()
    await checkout.give_back(PRICE, refund_id)
    await checkout.paid()
    (said,) = await checkout.hears(PaymentRefunded)
    assert (said.refund_id, said.amount) == (refund_id, PRICE)


async def test_a_refund_while_money_left_by_hand(checkout: Checkout):
    """Stripe refuses ours as too large; what is left is sent, and booking gets its answer."""
    await checkout.paid()
    await checkout.fault("webhook_drop", count=None)
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id, "amount": 2000})
    refund_id = new_id()
    await checkout.give_back(PRICE, refund_id)
    said = await checkout.hears(PaymentRefunded, 2)
    assert {(each.amount, each.requested) for each in said} == {(2000, False), (500, True)}
    await checkout.comes_to(refunded=PRICE, refunding=0)


async def test_a_refund_of_money_that_left_by_hand_entirely(checkout: Checkout):
    await checkout.paid()
    await checkout.fault("webhook_drop", count=None)
    await checkout.stripe.post("/v1/refunds", data={"payment_intent": checkout.intent_id})
    await checkout.give_back(PRICE, new_id())
    said = await checkout.hears(PaymentRefunded, 2)
    assert {(each.amount, each.requested) for each in said} == {(PRICE, False), (0, True)}


@pytest.mark.parametrize("after", [False, True], ids=["Stripe has not sent it", "Stripe has sent it"])
async def test_a_refund_whose_answer_is_lost_is_not_sent_twice(checkout: Checkout, after: bool):
    from payment.store import Payment  # noqa: PLC0415 - its settings come from the environment

    await checkout.paid()
    await checkout.fault("webhook_drop", count=None)
    fault = await checkout.fault("api_error", path="/v1/refunds", method="POST", after=after, count=None)
    refund_id = new_id()
    await checkout.give_back(1000, refund_id)

    async def tried() -> bool:
        payment = await Payment.get(checkout.id)
        return payment is not None and refund_id in payment.refunds and payment.refunds[refund_id].attempt == 1

    await until(tried)
    await checkout.mend(fault)
    await run_due(checkout.id)
    await checkout.comes_to(refunded=1000, refunding=0)
    assert [refund["amount"] for refund in await checkout.refunds_at_stripe()] == [1000]
    assert len(await checkout.hears(PaymentRefunded)) == 1


async def test_events_that_make_no_sense_are_dead_letters(checkout: Checkout, bus: Bus):
    await checkout.offered()
    odd = RefundRequested(booking_id=checkout.id, refund_id=new_id(), amount=5, currency="USD", reason="cancelled")
    await bus.say(odd)
    await bus.say_raw(RefundRequested.type, b"{")
    await bus.say_raw(RefundRequested.type, odd.model_dump_json().replace(":5,", ':"much",'))
    letters = await bus.dead("payment", count=3)
    assert sorted(letter.reason.partition(":")[0] for letter in letters) == ["malformed"] * 2 + ["rejected"]
    assert (await checkout.view())["refunds"] == []


async def test_nothing_secret_is_logged(
    checkout: Checkout, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    order = ORDERS.sign(checkout.order())
    for text in (order, order[:-1], order * 5):
        await checkout.client.post("/api/payments/create-intent", json={"order": text}, headers={})
        await checkout.client.post("/api/payments/create-intent", json={"order": text, "more": text}, headers=GUEST)
    await checkout.offered()
    secret = (await checkout.ask_intent()).json()["client_secret"]
    await checkout.fault("api_error", count=2)
    await checkout.ask_intent()
    await checkout.confirm()
    await checkout.comes_to(state="succeeded")
    await checkout.refund_by_staff()
    logged = capfd.readouterr().out + caplog.text
    assert "intent_offered" in logged
    assert "/api/payments/webhook" in logged
    for word in (order[-40:-1], order[:200], secret, KEY, "whsec_", "guest@usher.example", HOLD_SECRET):
        assert word not in logged
