"""Erasure and export of a person's data."""

from collections.abc import Callable
from typing import Any

import pytest
from chassis.ids import new_id
from chassis.testing import until
from chassis.testing.signer import Signer
from contracts.identity import ExportRequested, UserDeleted
from contracts.payment import PaymentDataExported, PaymentRefunded
from contracts.types import Holder

from .conftest import PRICE, WEBHOOK, Checkout, event, signed, stored, stored_accounts

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture
def user_id() -> str:
    return new_id()


@pytest.fixture
async def own(new_checkout: Callable[[], Checkout], signer, user_id: str) -> Checkout:
    """A paid booking of a user."""
    made = new_checkout()
    made.changes = {"holder": Holder(user_id=user_id), "email": "ada@example.org"}
    answer = await made.create_intent(signer.headers(user_id))
    assert answer.is_success
    await made.confirm()
    await made.wait_until(state="succeeded", captured=PRICE)
    return made


async def stored_document(checkout: Checkout) -> dict[str, Any]:
    document = await stored_accounts().find_one({"_id": checkout.id})
    assert document
    return document


async def forgotten(checkout: Checkout, user_id: str) -> None:
    async def nothing_personal() -> bool:
        document = str(await stored_document(checkout))
        return user_id not in document and "ada@" not in document

    await until(nothing_personal)


async def test_erasing_a_user_keeps_the_ledger(own: Checkout, user_id: str, signer):
    before = await own.payment()
    for _ in range(2):
        await own.bus.publish(UserDeleted(user_id=user_id))
    await forgotten(own, user_id)
    assert await own.payment() == before | {"email": ""}
    assert before["ledger"]
    gone = await own.client.get(f"/api/payments/{own.id}", headers=signer.headers(user_id))
    assert gone.status_code == 404


async def test_a_payment_of_an_erased_user_can_be_refunded(own: Checkout, user_id: str):
    await own.bus.publish(UserDeleted(user_id=user_id))
    await forgotten(own, user_id)
    await own.request_refund(PRICE, f"{own.id}-refund")
    await own.wait_for_events(PaymentRefunded)
    await own.wait_until(refunded=PRICE)


async def test_an_account_created_after_the_erasure_is_erased_later(
    new_checkout: Callable[[], Checkout], signer: Signer, user_id: str
):
    late = new_checkout()
    await late.bus.publish(UserDeleted(user_id=user_id))
    answer = await late.create_intent(signer.headers(user_id), holder=Holder(user_id=user_id), email="ada@example.org")
    assert answer.is_success
    await forgotten(late, user_id)


async def test_the_order_of_an_erased_user_is_refused(checkout: Checkout, user_id: str, signer: Signer):
    checkout.changes = {"holder": Holder(user_id=user_id), "email": "ada@example.org"}
    assert (await checkout.create_intent(signer.headers(user_id))).is_success
    await checkout.bus.publish(UserDeleted(user_id=user_id))
    await forgotten(checkout, user_id)
    answer = await checkout.create_intent(signer.headers(user_id))
    assert (answer.status_code, answer.json()["code"]) == (404, "payment_unknown")


async def test_payments_of_other_people_are_unchanged(own: Checkout, checkout: Checkout, user_id: str):
    await checkout.with_intent()
    await own.bus.publish(UserDeleted(user_id=user_id))
    await forgotten(own, user_id)
    assert (await stored_document(checkout))["email"] == "guest@usher.example"


async def events_of(checkout: Checkout) -> list[dict[str, Any]]:
    from payment.store import WebhookEventDocument  # noqa: PLC0415 - its settings come from the environment

    return await WebhookEventDocument.get_pymongo_collection().find({"news.booking_id": checkout.id}).to_list()


async def test_a_processed_event_names_nobody(checkout: Checkout, user_id: str, signer: Signer):
    checkout.changes = {"holder": Holder(user_id=user_id)}
    await checkout.create_intent(signer.headers(user_id))
    await checkout.cancel()

    async def is_stored() -> bool:
        return bool(await events_of(checkout))

    await until(is_stored)
    assert user_id not in str(await events_of(checkout))


async def test_erasure_removes_the_user_from_an_unprocessed_event(checkout: Checkout, user_id: str, signer: Signer):
    checkout.changes = {"holder": Holder(user_id=user_id)}
    await checkout.create_intent(signer.headers(user_id))
    odd = await checkout.at_stripe() | {"status": "succeeded", "amount_received": PRICE - 1}
    sent = event("payment_intent.succeeded", odd)
    assert (await checkout.client.post(WEBHOOK, **signed(sent))).status_code == 200
    assert (await stored(sent["id"])).update.order.user_id == user_id
    await checkout.bus.publish(UserDeleted(user_id=user_id))

    async def forgets() -> bool:
        return (await stored(sent["id"])).update.order.user_id == f"erased-{checkout.id}"

    await until(forgets)


async def test_an_export_contains_the_payments(own: Checkout, user_id: str):
    export_id = new_id()
    await own.bus.publish(ExportRequested(export_id=export_id, user_id=user_id))
    exported = await own.bus.wait_for(PaymentDataExported, lambda event: event.export_id == export_id)
    [payment] = exported.items
    assert exported.is_last
    assert (payment["id"], payment["email"], payment["captured"]) == (own.id, "ada@example.org", PRICE)
    assert [line["kind"] for line in payment["ledger"]] == ["captured"]
