"""CloudEvents 1.0 over AMQP, binary mode: attributes as properties and headers, the event's JSON as the body."""

from datetime import UTC, datetime
from typing import Any

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractMessage
from contracts.envelope import Envelope

ATTEMPT = "x-usher-attempt"
REASON = "x-usher-reason"


def to_message(envelope: Envelope) -> Message:
    """A persistent message for an envelope."""
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


def to_envelope(message: AbstractMessage) -> Envelope:
    """The envelope of a message. Raises pydantic's ValidationError when an attribute is missing or of a wrong kind."""
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
    """The same message to be sent once more, with these headers besides its own."""
    kept = {name: value for name, value in message.headers.items() if not name.startswith(("x-death", "x-first-death"))}
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
