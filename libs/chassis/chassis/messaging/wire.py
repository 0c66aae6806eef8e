"""CloudEvents 1.0 over AMQP.

A single event is sent in binary mode: attributes as properties and headers, the event's JSON as the body. Several
events of one type are sent as a batch: a JSON array of events in structured mode.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractMessage
from contracts.envelope import Envelope
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json, to_json

ATTEMPT = "x-usher-attempt"
REASON = "x-usher-reason"
FORGED = "forged"
"""The code in the reason of a dead letter that its event's owner has not published."""
FIRST_SEEN = "x-usher-first-seen"
"""When a consumer first received the event of unknown type, in Unix time."""
BATCH = "application/cloudevents-batch+json"
MAX_BATCH = 64
"""Maximum number of events in one message."""
STRUCTURED = "application/cloudevents+json"


def to_message(envelope: Envelope) -> Message:
    """Create a persistent message for an envelope."""
    headers: dict[str, Any] = {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": envelope.id,
        "cloudEvents_source": envelope.source,
        "cloudEvents_type": envelope.type,
        "cloudEvents_subject": envelope.subject,
        "cloudEvents_time": envelope.time.isoformat(),
        "aggregate_version": envelope.version,
    }
    if envelope.traceparent:
        headers["traceparent"] = envelope.traceparent
    return Message(
        envelope.body.encode(),
        headers=headers,
        content_type="application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=envelope.id,
        type=envelope.type,
        app_id=envelope.source,
        timestamp=envelope.time,
        correlation_id=envelope.correlation_id or None,
    )


def to_batch(envelopes: Sequence[Envelope], *, is_persistent: bool = True) -> Message:
    """Create a message for events of one type."""
    return Message(
        b"[" + b",".join(map(_structured, envelopes)) + b"]",
        content_type=BATCH,
        delivery_mode=DeliveryMode.PERSISTENT if is_persistent else DeliveryMode.NOT_PERSISTENT,
        type=envelopes[0].type,
        app_id=envelopes[0].source,
    )


def _structured(envelope: Envelope) -> bytes:
    """Encode an event in structured mode. Its body becomes `data` unchanged."""
    attributes = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "subject": envelope.subject,
        "time": envelope.time.isoformat(),
        "aggregateversion": envelope.version,
        "correlationid": envelope.correlation_id,
        "traceparent": envelope.traceparent,
    }
    given = {name: value for name, value in attributes.items() if value != ""}
    return to_json(given)[:-1] + b',"data":' + envelope.body.encode() + b"}"


class _Structured(BaseModel):
    """An event of a batch. The limits are those of AMQP's properties."""

    specversion: Literal["1.0"]
    id: str = Field(min_length=1, max_length=64)
    source: str = Field(min_length=1, max_length=64)
    type: str = Field(min_length=1, max_length=64)
    subject: str = ""
    time: datetime
    aggregateversion: int = 0
    correlationid: str = Field("", max_length=64)
    traceparent: str = ""
    data: dict[str, Any]


def singles(message: AbstractMessage) -> list[Message]:
    """Split a batch into one message per event. Raises ValueError if the body is not a JSON array.

    An invalid entry, or one of another type, becomes a message in structured mode with the type of the batch.
    """
    entries = from_json(message.body)
    if not isinstance(entries, list):
        raise ValueError("a batch is an array")  # noqa: TRY004 - the message is wrong, not the caller
    return [_single(entry, message) for entry in entries]


def _single(entry: Any, batch: AbstractMessage) -> Message:
    try:
        event = _Structured.model_validate(entry)
    except ValidationError:
        event = None
    if event is None or event.type != batch.type:
        return Message(
            to_json(entry),
            content_type=STRUCTURED,
            delivery_mode=DeliveryMode.PERSISTENT,
            type=batch.type,
            app_id=batch.app_id,
        )
    return to_message(
        Envelope.model_construct(
            id=event.id,
            source=event.source,
            type=event.type,
            subject=event.subject,
            time=event.time,
            version=event.aggregateversion,
            correlation_id=event.correlationid,
            traceparent=event.traceparent,
            body=to_json(event.data).decode(),
        )
    )


def to_envelope(message: AbstractMessage) -> Envelope:
    """Parse the envelope of a message. Raises pydantic's ValidationError when an attribute is missing or invalid."""
    headers = message.headers
    return Envelope(
        id=message.message_id or "",
        source=message.app_id or "",
        type=message.type or "",
        subject=str(headers.get("cloudEvents_subject", "")),
        time=headers.get("cloudEvents_time") or message.timestamp or datetime.now(UTC),  # pyright: ignore[reportArgumentType]
        version=headers.get("aggregate_version", 0),  # pyright: ignore[reportArgumentType]
        correlation_id=message.correlation_id or "",
        traceparent=str(headers.get("traceparent", "")),
        body=message.body.decode(),
    )


def again(message: AbstractMessage, **headers: Any) -> Message:
    """Copy a message to send it again, with additional headers.

    RabbitMQ would route a message with the headers `CC` and `BCC` to further queues.
    """
    dropped = ("x-death", "x-first-death", "CC", "BCC")
    kept = {name: value for name, value in message.headers.items() if not name.startswith(dropped)}
    return Message(
        message.body,
        headers=kept | headers,
        content_type=message.content_type,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=message.message_id,
        type=message.type,
        app_id=message.app_id,
        timestamp=message.timestamp,
        correlation_id=message.correlation_id,
    )
