"""The next release of each service: today's code, and what one more release may add to the events.

- a new event type of each service, which the service itself consumes;
- a new optional field on every event that `EXTENDED` names, which its publishers fill in;
- a subscription to an event that exists today: the notifier consumes `payment.failed.v1`.

`python -m next_release booking --port 8104` runs a replica. Each event of a new type or subscription that it handles
leaves a document in the collection `handled` of the service's database. `python -m next_release rights` is its step
before the rollout.
"""

import os
import sys
from typing import Any

from chassis import app, rights, serve
from chassis.messaging.consumer import current_envelope
from chassis.settings import database_name
from contracts import registry, topology
from contracts.booking import BookingConfirmed, PaymentRequested
from contracts.envelope import Event
from contracts.inventory import SeatMapUpdated, SeatsSold
from contracts.payment import PaymentFailed, PaymentSucceeded
from pydantic.fields import FieldInfo
from pymongo import AsyncMongoClient

EXTENDED: tuple[type[Event], ...] = (BookingConfirmed, PaymentRequested, PaymentSucceeded, SeatsSold, SeatMapUpdated)
NEW: dict[str, type[Event]] = {}
MORE: dict[str, type[Event]] = {"notifier": PaymentFailed}


def _new_event(service: str) -> type[Event]:
    class Improved(Event, type=f"{service}.improved.v1", subject="thing_id"):
        thing_id: str

    return Improved


def extend() -> None:
    """Make the contracts those of the next release."""
    registry.events()
    for event in EXTENDED:
        event.model_fields["since_next"] = FieldInfo(annotation=str, default="next")
        event.model_rebuild(force=True)
    for service in registry.SERVICES:
        NEW[service] = _new_event(service)
        more = (MORE[service],) if service in MORE else ()
        topology.CONSUMES[service] = (*topology.CONSUMES[service], NEW[service], *more)


async def _note(event: Event) -> None:
    envelope = current_envelope()
    async with AsyncMongoClient[dict[str, Any]](os.environ["MONGO_URI"]) as client:
        await client[database_name(sys.argv[1])].handled.insert_one(
            {
                "event_id": envelope.id,
                "type": event.type,
                "subject": event.subject,
                "correlation": envelope.correlation_id,
            }
        )


def main() -> None:
    """Run a service with its further handlers, or grant the rights."""
    extend()
    if sys.argv[1] == "rights":
        rights.main()
        return
    create_service = app.create_service

    def create_next(settings: Any, **parts: Any) -> Any:
        events = {NEW[settings.service], MORE.get(settings.service, NEW[settings.service])}
        parts["handlers"] = (parts.get("handlers") or {}) | dict.fromkeys(events, _note)
        return create_service(settings, **parts)

    app.create_service = create_next
    serve.main()


if __name__ == "__main__":
    main()
