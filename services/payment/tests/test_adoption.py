"""A guest signs in while paying: the payment goes on, and there is never a second one."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from chassis.testing import replica_of, until
from chassis.testing.bus import Bus
from chassis.testing.signer import Signer
from contracts.booking import BookingAdopted, BookingEmailChanged, Screening
from contracts.payment import PaymentSucceeded
from contracts.types import Holder

from .conftest import GUEST, Checkout

USER = "user-8"


@pytest.fixture(scope="module")
async def replica(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    async with replica_of("payment") as (_, http):
        yield http


@pytest.fixture
def account(signer: Signer) -> dict[str, str]:
    """The headers of the person who was the guest."""
    return signer.headers(USER)


ADOPTED: dict[str, Any] = {"holder": Holder(user_id=USER), "was_guests": True}


async def test_the_order_of_the_account_continues_the_guests_payment(checkout: Checkout, account: dict[str, str]):
    guests = (await checkout.with_intent()).intent_id
    assert (await checkout.create_intent(account, **ADOPTED)).json()["payment_intent_id"] == guests
    assert (await checkout.client.get(f"/api/payments/{checkout.id}", headers=account)).status_code == 200
    assert (await checkout.client.get(f"/api/payments/{checkout.id}", headers=GUEST)).status_code == 404
    older = await checkout.create_intent(account | GUEST)
    assert older.json()["payment_intent_id"] == guests, "the guest's order in another tab stays usable"
    await checkout.confirm()
    [succeeded] = await checkout.wait_for_events(PaymentSucceeded)
    assert succeeded.user_id == USER


async def test_both_orders_at_once_on_two_replicas_make_one_payment(
    checkout: Checkout, replica: httpx.AsyncClient, account: dict[str, str]
):
    there = replace(checkout, client=replica)

    async def ask(at: Checkout, headers: dict[str, str], **changes: Any) -> None:
        async def answered() -> bool:
            return (await at.create_intent(headers, **changes)).is_success

        await until(answered)

    await asyncio.gather(
        ask(checkout, GUEST | account),
        ask(there, account, **ADOPTED),
        ask(there, GUEST),
        ask(checkout, account, **ADOPTED),
    )
    assert checkout.intent_id == there.intent_id

    async def one_is_open() -> bool:
        made = await checkout.intents_at_stripe()
        return [each["id"] for each in made if each["status"] != "canceled"] == [checkout.intent_id]

    await until(one_is_open)


async def test_the_payment_follows_its_booking(checkout: Checkout, bus: Bus, account: dict[str, str]):
    await checkout.paid()
    await bus.publish(BookingAdopted(booking_id=checkout.id, showtime_id="s1", user_id=USER, has_tickets=True))

    async def is_theirs() -> bool:
        return (await checkout.client.get(f"/api/payments/{checkout.id}", headers=account)).status_code == 200

    await until(is_theirs)
    late = BookingAdopted(booking_id=checkout.id, showtime_id="s1", user_id="another", has_tickets=True)
    await bus.publish(late)
    screening = Screening.model_validate(
        dict.fromkeys(Screening.model_fields, "x") | dict.fromkeys(("starts_at", "ends_at"), checkout.deadline)
    )
    await bus.publish(
        BookingEmailChanged(
            booking_id=checkout.id,
            mailing_id="m1",
            reference="USHER1",
            holder=Holder(user_id=USER),
            email="guest@usher.example",
            new_email="right@usher.example",
            screening=screening,
            was_mailed=True,
        )
    )
    await checkout.wait_until(email="right@usher.example")
    assert await is_theirs()


async def test_an_erased_person_cannot_pay(checkout: Checkout, account: dict[str, str]):
    from payment import store  # noqa: PLC0415 - its settings come from the environment

    await checkout.with_intent()
    assert (await checkout.create_intent(account, **ADOPTED)).is_success
    await store.erase_owner(USER)
    for headers, order in ((GUEST, {}), (account, ADOPTED)):
        assert (await checkout.create_intent(headers, **order)).status_code == 404
