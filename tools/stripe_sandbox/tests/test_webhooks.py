"""Webhooks: signatures, retries, and faults on request."""

import asyncio
import time

import pytest
import stripe


async def deliveries(control, **query) -> list[dict]:
    return (await control.get("/_sandbox/deliveries", params=query)).json()


async def fault(control, **wanted) -> dict:
    answer = await control.post("/_sandbox/faults", json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_webhook_contains_the_object_at_the_time_of_the_event(client, pay, shop):
    intent = await pay(metadata={"booking_id": "b-1"})
    await client.v1.payment_intents.update_async(intent.id, {"description": "later"})
    await shop.until(lambda: "payment_intent.succeeded" in shop.types(intent.id))
    event = next(event for event in shop.received if event.type == "payment_intent.succeeded")
    assert (event.data.object["status"], event.data.object["description"]) == ("succeeded", None)
    assert shop.headers[0]["content-type"].startswith("application/json")
    recorded = await client.v1.events.retrieve_async(event.id)
    assert (recorded.type, recorded.data.object["id"]) == (event.type, intent.id)


async def test_the_signature_is_refused_when_anything_is_changed(shop, pay):
    intent = await pay()
    await shop.until(lambda: shop.types(intent.id))
    header = shop.headers[0]["stripe-signature"]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(b'{"id": "evt_forged", "object": "event"}', header, "whsec_of_the_test_shop")


async def test_a_webhook_is_repeated_until_it_is_answered_2xx(control, client, shop):
    shop.answers = [500, 302, 404]
    intent = await client.v1.payment_intents.create_async({"amount": 900, "currency": "eur"})
    await shop.until(lambda: len(shop.types(intent.id)) == 4)
    assert len({event.id for event in shop.received}) == 1
    delivered: list[dict] = []
    async with asyncio.timeout(60):
        while not delivered:
            delivered = await deliveries(control, payment_intent=intent.id, state="delivered")
    assert [attempt["status"] for attempt in delivered[0]["attempts"]] == [500, 302, 404, 200]


async def test_a_webhook_without_a_receiver_fails_after_the_last_retry(control, client, shop):
    await client.v1.webhook_endpoints.create_async(
        {"url": "http://127.0.0.1:9/nobody", "enabled_events": ["payment_intent.created"]}
    )
    intent = await client.v1.payment_intents.create_async({"amount": 900, "currency": "eur"})
    failed: list[dict] = []
    async with asyncio.timeout(60):
        while not failed:
            failed = await deliveries(control, payment_intent=intent.id, state="failed")
    assert len(failed[0]["attempts"]) == 4
    assert "ConnectError" in failed[0]["attempts"][0]["error"]
    assert (await client.v1.events.list_async({"delivery_success": False})).data[0].pending_webhooks == 1


async def test_an_endpoint_receives_only_its_enabled_events(client, pay, shop):
    endpoints = client.v1.webhook_endpoints
    made = await endpoints.create_async({"url": shop.url, "enabled_events": ["charge.succeeded"]})
    assert made.secret.startswith("whsec_")
    assert not hasattr(await endpoints.retrieve_async(made.id), "secret")
    assert len((await endpoints.list_async()).data) == 2
    updated = await endpoints.update_async(made.id, {"disabled": True, "description": "off"})
    assert (updated.status, updated.description) == ("disabled", "off")
    assert (await endpoints.delete_async(made.id)).deleted
    with pytest.raises(stripe.InvalidRequestError):
        await endpoints.create_async({"url": "localhost", "enabled_events": ["*"]})
    intent = await pay()
    await shop.until(lambda: len(shop.types(intent.id)) == 3)


async def test_events_are_listed_by_type(client, pay):
    await pay()
    listed = await client.v1.events.list_async({"type": "payment_intent.*"})
    assert [event.type for event in listed.data] == ["payment_intent.succeeded", "payment_intent.created"]
    listed = await client.v1.events.list_async({"types": ["charge.succeeded"], "limit": 1})
    assert [event.type for event in listed.data] == ["charge.succeeded"]


async def test_a_dropped_webhook_never_comes_and_can_be_sent_again(control, client, pay, shop):
    await fault(control, kind="webhook_drop", event_types=["payment_intent.succeeded"])
    lost = await pay()
    received = await pay()
    await shop.until(lambda: "payment_intent.succeeded" in shop.types(received.id))
    [dropped] = await deliveries(control, payment_intent=lost.id, state="dropped")
    assert "payment_intent.succeeded" not in shop.types(lost.id)
    await control.post(f"/_sandbox/events/{dropped['event']}/resend")
    await shop.until(lambda: "payment_intent.succeeded" in shop.types(lost.id))


async def test_a_fault_affects_only_the_payment_in_its_scope(control, pay, shop):
    await fault(control, kind="webhook_drop", count=None, metadata={"booking_id": "b-1"})
    spared, hit = await pay(metadata={"booking_id": "b-2"}), await pay(metadata={"booking_id": "b-1"})
    await shop.until(lambda: len(shop.types(spared.id)) == 3)
    assert shop.types(hit.id) == []
    assert len(await deliveries(control, payment_intent=hit.id, state="dropped")) == 3
    assert (await control.delete("/_sandbox/faults")).json() == {"removed": 1}


async def test_a_webhook_may_come_late_or_twice(control, pay, shop):
    await fault(control, kind="webhook_delay", seconds=0.2, event_types=["payment_intent.succeeded"])
    await fault(control, kind="webhook_repeat", times=3, event_types=["charge.succeeded"])
    started = time.monotonic()
    intent = await pay()
    await shop.until(lambda: len(shop.types(intent.id)) == 5)
    assert time.monotonic() - started > 0.2
    assert shop.types(intent.id)[-1] == "payment_intent.succeeded"
    assert shop.types(intent.id).count("charge.succeeded") == 3
    assert len({event.id for event in shop.received if event.type == "charge.succeeded"}) == 1


async def test_webhooks_may_overtake_each_other(control, pay, shop):
    await fault(control, kind="webhook_reorder", count=3)
    intent = await pay()
    await shop.until(lambda: len(shop.types(intent.id)) == 3)
    assert shop.types(intent.id) == ["payment_intent.succeeded", "charge.succeeded", "payment_intent.created"]
    await fault(control, kind="webhook_reorder", count=10, seconds=0.1)
    intent = await pay()
    await shop.until(lambda: len(shop.types(intent.id)) == 3)
    assert shop.types(intent.id)[0] == "payment_intent.succeeded"


async def test_webhooks_are_held_back_and_released(control, pay, shop):
    await fault(control, kind="webhook_hold", count=None, metadata={"booking_id": "b-1"})
    held, free = await pay(metadata={"booking_id": "b-1"}), await pay()
    await shop.until(lambda: len(shop.types(free.id)) == 3)
    assert shop.types(held.id) == []
    assert (await control.post("/_sandbox/webhooks/release", json={"payment_intent": "pi_x"})).json() == {"released": 0}
    released = await control.post("/_sandbox/webhooks/release", json={"metadata": {"booking_id": "b-1"}})
    assert released.json() == {"released": 3}
    await shop.until(lambda: len(shop.types(held.id)) == 3)
    assert (await control.get("/_sandbox/faults")).json() == []


async def test_a_payment_may_stay_in_processing(control, client, pay, shop):
    await fault(control, kind="processing", seconds=0.1)
    intent = await pay()
    assert (intent.status, intent.processing.type) == ("processing", "card")
    with pytest.raises(stripe.InvalidRequestError, match="status of processing"):
        await client.v1.payment_intents.confirm_async(intent.id)
    await shop.until(lambda: "payment_intent.succeeded" in shop.types(intent.id))
    assert shop.types(intent.id).count("payment_intent.processing") == 1
    assert (await client.v1.payment_intents.retrieve_async(intent.id)).status == "succeeded"


async def test_invalid_faults_are_refused_and_a_reset_deletes_everything(control, client, pay):
    for bad in ({"kind": "earthquake"}, {"kind": "webhook_drop", "count": 0}, {"kind": "api_error", "colour": "red"}):
        assert (await control.post("/_sandbox/faults", json=bad)).status_code == 422
    made = await fault(control, kind="api_delay", count=5)
    assert (await control.delete(f"/_sandbox/faults/{made['id']}")).json() == {"removed": 1}
    await pay()
    assert (await control.get("/_sandbox/state")).json()["charges"] == 1
    await control.post("/_sandbox/reset")
    state = (await control.get("/_sandbox/state")).json()
    assert state.pop("deliveries") == {}
    assert set(state.values()) == {0}
