"""The toy service end to end: request, outbox, event, handler, retry, dead letter, job."""

import asyncio
from secrets import token_hex
from typing import Any
from uuid import uuid4

import httpx
import pytest
from chassis.ids import new_id
from chassis.messaging import consumer as consuming
from chassis.mongo import relay
from chassis.observability import telemetry
from chassis.security.secrets import new_secret
from chassis.testing import Bus, until
from contracts.errors import NotYet, RejectedEvent
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pymongo.errors import AutoReconnect, WriteConcernError


async def new_ping(client: httpx.AsyncClient, text: str = "hi", **headers: str) -> httpx.Response:
    return await client.post("/api/pings", json={"text": text}, headers=headers)


async def test_a_write_causes_its_event_and_the_event_its_reaction(client, bus: Bus, toy):
    answer = await new_ping(client, **{"X-Correlation-Id": "test-correlation-1"})
    assert answer.status_code == 201
    assert answer.headers["X-Correlation-Id"] == "test-correlation-1"
    ping_id = answer.json()["ping_id"]
    await bus.wait_for(toy.Ponged, lambda event: event.ping_id == ping_id)

    envelope = next(each for each in bus.envelopes(toy.Ponged) if each.subject == ping_id)
    assert envelope.correlation_id == "test-correlation-1"
    assert (envelope.source, envelope.version) == ("toy", 2)
    await until(lambda: emptied(toy, ping_id))


async def emptied(toy, ping_id: str) -> bool:
    document = await toy.Ping.get_pymongo_collection().find_one({"_id": ping_id})
    return document["outbox"] == []


async def test_only_one_of_two_guarded_changes_succeeds(client, toy):
    ping_id = (await new_ping(client)).json()["ping_id"]
    first, second = await asyncio.gather(*(client.post(f"/api/pings/{ping_id}/close") for _ in range(2)))
    assert sorted([first.status_code, second.status_code]) == [200, 409]
    lost = first if first.status_code == 409 else second
    assert lost.headers["content-type"] == "application/problem+json"
    assert lost.json() | {"correlation_id": ""} == {
        "type": "urn:usher:problem:ping_closed",
        "title": "This ping is closed.",
        "status": 409,
        "detail": "This ping is closed.",
        "code": "ping_closed",
        "correlation_id": "",
        "ping_id": ping_id,
    }


@pytest.mark.parametrize("path", ["/api/pings/", "/healthz/"])
async def test_no_redirect_names_the_host_that_the_client_has_sent(client, path):
    answer = await client.get(path, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "location" not in answer.headers


async def test_the_sweeper_publishes_events_that_a_crash_left_behind(client, bus: Bus, toy, monkeypatch):
    monkeypatch.setattr(relay.Relay, "SWEEP_AFTER_S", 0.0)
    left = toy.Ping(text="left")
    with monkeypatch.context() as crashed:
        crashed.setattr(relay.Relay, "enqueue", lambda *_: None)
        await toy.pings.insert(left, events=[toy.Pinged(ping_id=left.id)])
    await bus.wait_for(toy.Ponged, lambda event: event.ping_id == left.id)
    await until(lambda: emptied(toy, left.id))


async def test_a_request_with_a_repeated_key_runs_once(client):
    headers = {"Idempotency-Key": new_id()}
    first = await new_ping(client, "once", **headers)
    again = await new_ping(client, "once", **headers)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers

    other = await new_ping(client, "twice", **headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    short = await new_ping(client, "once", **{"Idempotency-Key": "short"})
    assert (short.status_code, short.json()["code"]) == (422, "idempotency_key_invalid")


GUESSABLE = ["my-first-hold-0001", "0" * 32, "00000000-0000-4000-8000-000000000123", "a" * 255, "20261130" * 4]


@pytest.mark.parametrize("who", [{}, {"Cookie": "consent=1"}, {"X-Hold-Secret": ""}])
async def test_a_guest_without_a_secret_needs_a_random_key(client, who):
    """Two guests with the same guessable key would share the response, which may contain the secret of a hold."""
    for key in GUESSABLE:
        refused = await new_ping(client, **who, **{"Idempotency-Key": key})
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_invalid")
    for key in (str(uuid4()), new_id(), token_hex(16)):
        answers = [await new_ping(client, **who, **{"Idempotency-Key": key}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
    known = await new_ping(client, **{"X-Hold-Secret": new_secret(), "Idempotency-Key": GUESSABLE[0]})
    assert known.status_code == 201


async def test_a_stored_response_can_be_read_only_with_the_key(client, app):
    key = new_id()
    answer = await new_ping(client, "a secret word", **{"Idempotency-Key": key})
    records = str([record async for record in app.state.idempotency_keys.find()])
    for secret in (key, "a secret word", answer.json()["ping_id"], "content-type"):
        assert secret not in records


async def test_a_response_with_a_cookie_is_not_stored(client, app):
    headers = {"Idempotency-Key": new_id()}
    first, again = [await new_ping(client, "cookie", **headers) for _ in range(2)]
    assert {answer.cookies["session"] for answer in (first, again)} == {"secret-of-the-session"}
    assert first.json() != again.json()
    assert "Idempotent-Replayed" not in again.headers
    assert "secret-of-the-session" not in str([record async for record in app.state.idempotency_keys.find()])
    client.cookies.clear()


@pytest.mark.parametrize(
    "other",
    [
        {"Cookie": "session=b"},
        {"Origin": "https://evil.example"},
        {"X-Hold-Secret": "b"},
        {"Authorization": "Bearer b"},
    ],
)
async def test_another_caller_with_the_same_key_gets_a_response_of_its_own(client, other):
    mine = {"Cookie": "session=a", "Origin": "https://shop.example", "X-Hold-Secret": "a", "Idempotency-Key": new_id()}
    first = await new_ping(client, **mine)
    theirs = await new_ping(client, **(mine | other))
    assert (await new_ping(client, **mine)).json() == first.json()
    assert theirs.json() != first.json()
    assert "Idempotent-Replayed" not in theirs.headers


async def test_a_repeated_request_is_refused_while_the_first_is_running(client):
    headers = {"Idempotency-Key": new_id()}
    answers = await asyncio.gather(*(new_ping(client, "slow", **headers) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


async def test_a_response_with_retry_after_is_not_stored(client):
    headers = {"Idempotency-Key": new_id()}
    for _ in range(2):
        answer = await new_ping(client, "too many", **headers)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
        assert "Idempotent-Replayed" not in answer.headers


async def test_a_response_500_is_not_stored(client):
    headers = {"Idempotency-Key": new_id()}
    for _ in range(2):
        answer = await new_ping(client, "bug", **headers)
        assert answer.status_code == 500
        assert "Idempotent-Replayed" not in answer.headers
        assert "secret detail" not in answer.text
        assert answer.json()["correlation_id"] == answer.headers["X-Correlation-Id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 422, "invalid_request"),
        (b'{"text": 1}', 422, "invalid_request"),
        (b'{"text": "a", "more": 1}', 422, "invalid_request"),
        (b'{"text": "' + b"x" * 2_000_000 + b'"}', 413, "too_large"),
    ],
)
async def test_bad_bodies_get_a_problem(client, body, status, code):
    answer = await client.post("/api/pings", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_without_its_database_a_service_answers_503_with_retry_after(client):
    answer = await new_ping(client, "outage")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert "address" not in answer.text


async def test_unknown_addresses_and_methods_get_a_problem(client):
    assert (await client.get("/api/nothing")).json()["code"] == "not_found"
    assert (await client.put("/api/pings", json={})).json()["code"] == "method_not_allowed"


async def test_a_handler_is_retried_after_a_transient_failure(client, bus: Bus, toy):
    ping_id = new_id()
    toy.failures[ping_id] = [NotYet("too early")]
    await toy.pings.insert(toy.Ping(id=ping_id))
    await bus.publish(toy.Pinged(ping_id=ping_id))
    await bus.wait_for(toy.Ponged, lambda event: event.ping_id == ping_id)
    assert toy.failures[ping_id] == []


async def test_an_outage_of_the_database_uses_up_no_attempts(client, bus: Bus, toy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consuming, "RETRY_TIERS_S", consuming.RETRY_TIERS_S[:1])
    ping_id = new_id()
    stopping = WriteConcernError("stopping", 91, {"errorLabels": ["RetryableWriteError"]})
    toy.failures[ping_id] = [stopping, AutoReconnect("away"), NotYet("too early")]
    await toy.pings.insert(toy.Ping(id=ping_id))
    await bus.publish(toy.Pinged(ping_id=ping_id))
    await bus.wait_for(toy.Ponged, lambda event: event.ping_id == ping_id, seconds=10)
    assert toy.failures[ping_id] == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b'{"text": "no id"}', "malformed"),
        (b'{"ping_id": "' + b"x" * 1_100_000 + b'"}', "oversized"),
    ],
)
async def test_an_unreadable_event_becomes_a_dead_letter_and_does_not_block_the_queue(client, bus, toy, body, reason):
    await bus.publish_raw("toy.pinged.v1", body)
    (letter,) = await bus.dead("toy")
    assert letter.reason.startswith(reason)
    assert letter.body == body
    after = (await new_ping(client)).json()["ping_id"]
    await bus.wait_for(toy.Ponged, lambda event: event.ping_id == after)


async def test_a_rejected_event_becomes_a_dead_letter_at_once(client, bus: Bus, toy):
    ping_id = new_id()
    toy.failures[ping_id] = [RejectedEvent("makes no sense")]
    await bus.publish(toy.Pinged(ping_id=ping_id))
    (letter,) = await bus.dead("toy")
    assert letter.reason == "rejected: RejectedEvent: makes no sense"


async def test_a_job_continues_after_a_failed_run(client, toy):
    await until(lambda: ticked(toy, 4))


async def ticked(toy, times: int) -> bool:
    return len(toy.ticks) >= times


async def test_health_readiness_and_metrics(client):
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"mongodb": True, "consumer": True, "rabbitmq": True, "clock": True}
    text = (await client.get("/metrics")).text
    assert 'usher_http_request_seconds_count{method="POST",route="/api/pings",status="201"}' in text
    assert 'usher_ready{check="consumer"} 1.0' in text


async def test_a_lost_consumer_is_noticed(client, app):
    consumer = app.state.consumer
    await consumer._queue.cancel(consumer._tag)
    await until(lambda: answers_ready(client, 503))
    assert 'usher_ready{check="consumer"} 0.0' in (await client.get("/metrics")).text
    consumer._tag = await consumer._queue.consume(consumer._receive)
    await until(lambda: answers_ready(client, 200))


async def answers_ready(client, status: int) -> bool:
    return (await client.get("/readyz")).status_code == status


async def test_openapi_documents_problems(client):
    schema = (await client.get("/openapi.json")).json()
    operation = schema["paths"]["/api/pings"]["post"]
    assert list(operation["responses"]["422"]["content"]) == ["application/problem+json"]
    assert "ProblemDocument" in schema["components"]["schemas"]


async def test_other_origins_are_allowed_by_setting(client):
    allowed = await client.get("/api/pings/anyone", headers={"Origin": "https://shop.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    refused = await client.get("/api/pings/anyone", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in refused.headers


async def test_an_event_without_retries_left_becomes_a_dead_letter_with_the_last_reason(client, bus: Bus, toy):
    ping_id = new_id()
    toy.failures[ping_id] = [ConnectionError("still down")]
    spent: Any = {"x-usher-attempt": 4}
    await bus.publish_raw("toy.pinged.v1", f'{{"ping_id": "{ping_id}"}}', **spent)
    (letter,) = await bus.dead("toy")
    assert letter.reason == "spent: ConnectionError: still down"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The ended spans of this process."""
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    monkeypatch.setattr(telemetry, "_is_tracing", True)
    return spans


@pytest.mark.parametrize("given", ["", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-evil", "x" * 999])
async def test_a_trace_begins_with_the_request_and_goes_through_the_outbox(client, bus: Bus, toy, spans, given: str):
    answer = await new_ping(client, **({"traceparent": given} if given else {}))
    ping_id = answer.json()["ping_id"]
    await bus.wait_for(toy.Ponged, lambda event: event.ping_id == ping_id)
    (request,) = (span for span in spans.get_finished_spans() if span.name == "POST /api/pings")
    trace_id = f"{request.context.trace_id:032x}"
    for event in (toy.Pinged, toy.Ponged):
        envelope = next(each for each in bus.envelopes(event) if each.subject == ping_id)
        assert envelope.traceparent.split("-")[1] == trace_id
    linked = [f"{link.context.trace_id:032x}" for link in request.links]
    assert linked == ([given.split("-")[1]] if len(given) == 55 else [])
    assert trace_id not in linked
    assert request.parent is None


async def test_an_event_that_the_broker_did_not_confirm_stays_in_the_outbox(client, app, toy, monkeypatch):
    async def unreachable(*_: object) -> None:
        raise ConnectionError("no broker")

    async def has_tried() -> bool:
        return toy.Pinged.type not in toy.Ping.relay._publishing

    left = toy.Ping(text="kept")
    with monkeypatch.context() as down:
        down.setattr(toy.Ping.relay, "_publish", unreachable)
        await toy.pings.insert(left, events=[toy.Pinged(ping_id=left.id)])
        await until(has_tried)
    assert not await emptied(toy, left.id)
