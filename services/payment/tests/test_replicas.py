"""Two replicas of payment: each step works the same on the other one, also when one of them is killed."""

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
    """The same booking as the other replica sees it."""
    return replace(checkout, client=replica)


async def ask_until_answered(checkout: Checkout) -> str:
    """The intent's id. Stripe refuses an idempotency key while it is in use, and that is a 503 for the customer."""

    async def answered() -> bool:
        return (await checkout.ask_intent()).is_success

    await until(answered)
    return checkout.intent_id


async def open_intents(checkout: Checkout) -> list[str]:
    return [each["id"] for each in await checkout.intents_at_stripe() if each["status"] != "canceled"]


@pytest.fixture(params=["no guard", "the account's id", "the idempotency key, too"])
def guards(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, unguard: Callable[[], None]
) -> tuple[int, int]:
    """The guard that this replica lacks; how many intents one order then gets, and how many of them can be paid."""
    from payment import stripe  # noqa: PLC0415 - its settings come from the environment

    if request.param == "the idempotency key, too":
        return 1, 1
    monkeypatch.setattr(stripe, "intent_key", lambda _: new_id())
    if request.param == "the account's id":
        return 2, 1
    unguard()
    return 2, 2


async def test_one_order_on_two_replicas_at_once(checkout: Checkout, other: Checkout, guards: tuple[int, int]):
    """Two intents that can both be paid, where nothing guards; else one, whose account has been stored once."""
    await checkout.fault("api_delay", path="/v1/payment_intents", method="POST", seconds=0.8, after=True)
    first = asyncio.create_task(ask_until_answered(checkout))
    await until(checkout.intents_at_stripe)
    second = await ask_until_answered(other)
    offered = {await first, second}
    assert (len(await checkout.intents_at_stripe()), len(offered)) == guards
    assert set(await open_intents(checkout)) == offered
    if len(offered) == 1:
        await checkout.confirm()
        await checkout.comes_to(state="succeeded", captured=PRICE, intent_id=second)
        assert len(await checkout.hears(PaymentSucceeded)) == 1


async def test_many_at_once_on_both_get_one_intent(checkout: Checkout, other: Checkout):
    ids = await asyncio.gather(*(ask_until_answered(each) for each in (checkout, other) * 4))
    assert set(ids) == set(await open_intents(checkout))
    assert len(await checkout.intents_at_stripe()) == 1


async def test_the_next_step_may_come_to_the_other_replica(checkout: Checkout, other: Checkout):
    await other.offered()
    assert (await checkout.view())["state"] == "intent_created"
    await checkout.paid()
    assert checkout.intent_id == other.intent_id
    assert (await other.ask_intent()).json()["code"] == "already_paid"


async def test_a_failure_that_stripe_repeats_spends_the_key_for_both(
    checkout: Checkout, other: Checkout, monkeypatch: pytest.MonkeyPatch
):
    """The other replica asks with the first key, too, and finds in the account that it is spent."""
    from payment import stripe  # noqa: PLC0415 - its settings come from the environment

    monkeypatch.setattr(stripe, "PATIENCE_S", 1.0)
    fault = await checkout.fault("api_error", path="/v1/payment_intents", method="POST", count=None)
    assert (await checkout.ask_intent()).status_code == 503
    await checkout.mend(fault)
    await other.offered()
    await checkout.offered()
    assert checkout.intent_id == other.intent_id
    assert [each["id"] for each in await checkout.intents_at_stripe()] == [checkout.intent_id]


async def test_a_cancelled_booking_is_closed_on_both(checkout: Checkout, other: Checkout):
    await checkout.cancel()
    await checkout.hears(PaymentCancelled)
    for each in (checkout, other):
        assert (await each.ask_intent()).json()["code"] == "payment_closed"
    assert await open_intents(checkout) == []


@asynccontextmanager
async def killed_after_stripes_create(checkout: Checkout) -> AsyncIterator[None]:
    """A replica has made the booking's intent and is killed before it stores anything."""
    async with replica_of("payment") as (process, http):
        fault = await checkout.fault(
            "api_delay", path="/v1/payment_intents", method="POST", seconds=0.9, after=True, count=None
        )
        asking = asyncio.create_task(replace(checkout, client=http).ask_intent())
        await until(checkout.intents_at_stripe)
        process.kill()
        await process.wait()
        with pytest.raises(httpx.TransportError):
            await asking
        await checkout.mend(fault)
    assert await checkout.view() == {}
    yield


async def test_a_crash_between_stripes_write_and_ours(checkout: Checkout):
    async with killed_after_stripes_create(checkout):
        (made,) = await checkout.intents_at_stripe()
        assert await ask_until_answered(checkout) == made["id"]
        assert await open_intents(checkout) == [made["id"]]
        await checkout.paid()
        assert len(await checkout.hears(PaymentSucceeded)) == 1


async def test_a_webhook_after_such_a_crash(checkout: Checkout):
    """Nobody has the secret, so no customer can pay. Should money come all the same, it is not lost."""
    async with killed_after_stripes_create(checkout):
        (made,) = await checkout.intents_at_stripe()
        checkout.intent_id = made["id"]
        await checkout.confirm()
        await checkout.comes_to(state="succeeded", captured=PRICE, intent_id=made["id"])
        (said,) = await checkout.hears(PaymentSucceeded)
        assert (said.showtime_id, said.seats) == ("s1", ["F7", "F8"])


async def test_a_cancellation_after_such_a_crash(checkout: Checkout):
    async with killed_after_stripes_create(checkout):
        await checkout.cancel()
        await checkout.hears(PaymentCancelled)

        async def refused() -> bool:
            answer = await checkout.ask_intent()
            return answer.json()["code"] == "payment_closed"

        await until(refused)
        assert await open_intents(checkout) == []
