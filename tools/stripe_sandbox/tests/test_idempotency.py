"""Idempotency keys: replayed responses, refused requests, and conflicts with running requests."""

import asyncio

import pytest
import stripe

PARAMS = {"amount": 900, "currency": "eur", "metadata": {"booking_id": "b-9"}}


async def test_the_same_request_is_answered_once_and_replayed(client, shop):
    create = client.v1.payment_intents.create_async
    first = await create(PARAMS, {"idempotency_key": "booking-9"})
    again = await create(PARAMS, {"idempotency_key": "booking-9"})
    assert again.to_dict() == first.to_dict()
    sent, replayed = first.last_response.headers, again.last_response.headers
    assert "idempotent-replayed" not in sent
    assert replayed["idempotent-replayed"] == "true"
    assert replayed["original-request"] == sent["request-id"] != replayed["request-id"]
    assert len((await client.v1.payment_intents.list_async()).data) == 1
    await shop.until(lambda: shop.types(first.id))
    event = next(event for event in shop.received if event.type == "payment_intent.created")
    assert (event.request.id, event.request.idempotency_key) == (sent["request-id"], "booking-9")


@pytest.mark.parametrize("other", [PARAMS | {"amount": 901}, PARAMS | {"metadata": {"booking_id": "b-8"}}])
async def test_another_request_under_the_same_key_is_refused(client, refused, other):
    create = client.v1.payment_intents.create_async
    await create(PARAMS, {"idempotency_key": "k"})
    error = await refused(create(other, {"idempotency_key": "k"}), stripe.IdempotencyError)
    assert (error.http_status, error.error.type) == (400, "idempotency_error")


async def test_the_same_key_at_another_address_is_refused(client):
    intent = await client.v1.payment_intents.create_async(PARAMS, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        await client.v1.payment_intents.cancel_async(intent.id, {}, {"idempotency_key": "k"})


async def test_a_running_request_blocks_its_key(client, control, refused):
    await control.post(
        "/_sandbox/faults", json={"kind": "api_delay", "seconds": 0.3, "metadata": {"booking_id": "b-9"}}
    )
    create = client.v1.payment_intents.create_async
    slow = asyncio.create_task(create(PARAMS, {"idempotency_key": "k"}))
    await asyncio.sleep(0.1)
    error = await refused(create(PARAMS, {"idempotency_key": "k", "max_network_retries": 0}), stripe.APIError)
    assert (error.http_status, error.error.code) == (409, "idempotency_key_in_use")
    intent = await slow
    assert (await create(PARAMS, {"idempotency_key": "k"})).id == intent.id


async def test_a_decline_is_replayed_but_a_bad_request_is_not_stored(client, refused):
    intent = await client.v1.payment_intents.create_async({**PARAMS, "payment_method_types": ["card"]})
    confirm = client.v1.payment_intents.confirm_async
    declined = {"payment_method": "pm_card_chargeDeclined"}
    await refused(confirm(intent.id, declined, {"idempotency_key": "pay-9"}), stripe.CardError)
    again = await refused(confirm(intent.id, declined, {"idempotency_key": "pay-9"}), stripe.CardError)
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await client.v1.charges.list_async({"payment_intent": intent.id})).data) == 1

    with pytest.raises(stripe.InvalidRequestError):
        await client.v1.payment_intents.create_async(PARAMS | {"amount": 1}, {"idempotency_key": "new"})
    assert (await client.v1.payment_intents.create_async(PARAMS, {"idempotency_key": "new"})).amount == 900


async def test_a_lost_response_is_replayed_under_its_key(client, control):
    fault = {"kind": "api_error", "after": True, "path": "/v1/payment_intents", "status": 503}
    await control.post("/_sandbox/faults", json=fault)
    options = {"idempotency_key": "k", "max_network_retries": 0}
    with pytest.raises(stripe.APIError) as caught:
        await client.v1.payment_intents.create_async(PARAMS, options)
    assert caught.value.http_status == 503
    found = await client.v1.payment_intents.create_async(PARAMS, options)
    assert [intent.id for intent in (await client.v1.payment_intents.list_async()).data] == [found.id]


async def test_a_key_is_free_again_after_a_failure_without_effect(client, control):
    await control.post("/_sandbox/faults", json={"kind": "api_error", "method": "POST", "status": 503})
    create = client.v1.payment_intents.create_async
    with pytest.raises(stripe.APIError):
        await create(PARAMS, {"idempotency_key": "k", "max_network_retries": 0})
    assert (await client.v1.payment_intents.list_async()).data == []
    assert (await create(PARAMS, {"idempotency_key": "k"})).amount == 900


@pytest.mark.parametrize("after", [False, True])
async def test_a_500_is_stored_under_its_key_with_or_without_effect(client, control, refused, after):
    await control.post("/_sandbox/faults", json={"kind": "api_error", "method": "POST", "after": after})
    create = client.v1.payment_intents.create_async
    options = {"idempotency_key": "k", "max_network_retries": 0}
    first, again = [await refused(create(PARAMS, options), stripe.APIError) for _ in range(2)]
    assert (first.http_status, again.http_status) == (500, 500)
    assert [error.headers["stripe-should-retry"] for error in (first, again)] == ["false"] * 2
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await client.v1.payment_intents.list_async()).data) == int(after)
    assert (await create(PARAMS, {"idempotency_key": "k-2"})).amount == 900


async def test_a_fault_can_affect_a_share_of_the_calls(client, control):
    await control.post("/_sandbox/faults", json={"kind": "api_error", "count": None, "share": 0.25})
    failed = 0
    for _ in range(100):
        try:
            await client.v1.payment_intents.list_async(options={"max_network_retries": 0})
        except stripe.APIError:
            failed += 1
    assert 10 < failed < 40
