"""Two replicas of payment: every step works on either one, also after one of them is killed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from chassis.ids import new_id
from chassis.testing import replica_of, until
from contracts.payment import PaymentCancelled, PaymentSucceeded

from .conftest import PRICE, Checkout

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture(scope="module")
async def replica(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    async with replica_of("payment") as (_, http):
        yield http


@pytest.fixture
def other(checkout: Checkout, replica: httpx.AsyncClient) -> Checkout:
    """The same booking, with requests to the other replica."""
    return replace(checkout, client=replica)


async def ask_until_answered(checkout: Checkout) -> str:
    """Return the intent's id. Stripe refuses an idempotency key that is in use: the customer gets a 503 and retries."""

    async def answered() -> bool:
        return (await checkout.create_intent()).is_success

    await until(answered)
    return checkout.intent_id


async def open_intents(checkout: Checkout) -> list[str]:
    return [each["id"] for each in await checkout.intents_at_stripe() if each["status"] != "canceled"]


@pytest.fixture(params=["no guard", "the account's id", "the idempotency key, too"])
def guards(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, unguard: Callable[[], None]
) -> tuple[int, int]:
    """Remove guards from this replica. Returns how many intents one order then gets, and how many can be paid."""
    from payment import stripe  # noqa: PLC0415 - its settings come from the environment

    if request.param == "the idempotency key, too":
        return 1, 1
    monkeypatch.setattr(stripe, "intent_key", lambda _: new_id())
    if request.param == "the account's id":
        return 2, 1
    unguard()
    return 2, 2


async def test_one_order_on_two_replicas_at_once(checkout: Checkout, other: Checkout, guards: tuple[int, int]):
    """Without guards two intents can be paid. With them there is one, and its account is stored once."""
    await checkout.add_fault("api_delay", path="/v1/payment_intents", method="POST", seconds=0.8, after=True)
    first = asyncio.create_task(ask_until_answered(checkout))
    await until(checkout.intents_at_stripe)
    second = await ask_until_answered(other)
    returned = {await first, second}
    assert (len(await checkout.intents_at_stripe()), len(returned)) == guards
    assert set(await open_intents(checkout)) == returned
    if len(returned) == 1:
        await checkout.confirm()
        await checkout.wait_until(state="succeeded", captured=PRICE, intent_id=second)
        assert len(await checkout.wait_for_events(PaymentSucceeded)) == 1


async def test_concurrent_requests_on_both_replicas_get_one_intent(checkout: Checkout, other: Checkout):
    ids = await asyncio.gather(*(ask_until_answered(each) for each in (checkout, other) * 4))
    assert set(ids) == set(await open_intents(checkout))
    assert len(await checkout.intents_at_stripe()) == 1


async def test_the_other_replica_can_handle_the_next_step(checkout: Checkout, other: Checkout):
    await other.with_intent()
    assert (await checkout.payment())["state"] == "intent_created"
    await checkout.paid()
    assert checkout.intent_id == other.intent_id
    assert (await other.create_intent()).json()["code"] == "already_paid"


async def test_a_failure_that_stripe_repeats_spends_the_key_for_both(
    checkout: Checkout, other: Checkout, monkeypatch: pytest.MonkeyPatch
):
    """The other replica also tries the first key, and then reads in the account that this key is spent."""
    from payment import stripe  # noqa: PLC0415 - its settings come from the environment

    monkeypatch.setattr(stripe, "TIME_BUDGET_S", 1.0)
    fault = await checkout.add_fault("api_error", path="/v1/payment_intents", method="POST", count=None)
    assert (await checkout.create_intent()).status_code == 503
    await checkout.remove_fault(fault)
    await other.with_intent()
    await checkout.with_intent()
    assert checkout.intent_id == other.intent_id
    assert [each["id"] for each in await checkout.intents_at_stripe()] == [checkout.intent_id]


async def test_a_cancelled_booking_is_closed_on_both(checkout: Checkout, other: Checkout):
    await checkout.cancel()
    await checkout.wait_for_events(PaymentCancelled)
    for each in (checkout, other):
        assert (await each.create_intent()).json()["code"] == "payment_closed"
    assert await open_intents(checkout) == []


@asynccontextmanager
async def killed_after_stripes_create(checkout: Checkout) -> AsyncIterator[None]:
    """Kill a replica after Stripe has created the intent and before the replica stores anything."""
    async with replica_of("payment") as (process, http):
        fault = await checkout.add_fault(
            "api_delay", path="/v1/payment_intents", method="POST", seconds=0.9, after=True, count=None
        )
        asking = asyncio.create_task(replace(checkout, client=http).create_intent())
        await until(checkout.intents_at_stripe)
        process.kill()
        await process.wait()
        with pytest.raises(httpx.TransportError):
            await asking
        await checkout.remove_fault(fault)
    assert await checkout.payment() == {}
    yield


async def test_a_crash_between_stripes_write_and_ours(checkout: Checkout):
    async with killed_after_stripes_create(checkout):
        (made,) = await checkout.intents_at_stripe()
        assert await ask_until_answered(checkout) == made["id"]
        assert await open_intents(checkout) == [made["id"]]
        await checkout.paid()
        assert len(await checkout.wait_for_events(PaymentSucceeded)) == 1


async def test_a_webhook_after_such_a_crash(checkout: Checkout):
    """No customer has the secret, so nobody can pay. If money arrives nevertheless, it is not lost."""
    async with killed_after_stripes_create(checkout):
        (made,) = await checkout.intents_at_stripe()
        checkout.intent_id = made["id"]
        await checkout.confirm()
        await checkout.wait_until(state="succeeded", captured=PRICE, intent_id=made["id"])
        (published,) = await checkout.wait_for_events(PaymentSucceeded)
        assert (published.showtime_id, published.seats) == ("s1", ["F7", "F8"])


async def test_a_cancellation_after_such_a_crash(checkout: Checkout):
    async with killed_after_stripes_create(checkout):
        await checkout.cancel()
        await checkout.wait_for_events(PaymentCancelled)

        async def refused() -> bool:
            answer = await checkout.create_intent()
            return answer.json()["code"] == "payment_closed"

        await until(refused)
        assert await open_intents(checkout) == []
