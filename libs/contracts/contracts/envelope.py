"""The envelope of every event: CloudEvents 1.0 in binary mode over AMQP.

The body is the event's JSON; the envelope's attributes are sent as message properties and `cloudEvents_` headers.
"""

from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from contracts import registry


class Event(BaseModel):
    """Base class of all events. Subclass it with the event type and the field that holds the aggregate's id:

    `class SeatsSold(Event, type="inventory.seats_sold.v1", subject="hold_id")`
    """

    # An input may be a secret or personal, and errors get into logs and dead letters.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    type: ClassVar[str]
    subject_field: ClassVar[str]

    def __init_subclass__(cls, *, type: str = "", subject: str = "", **kwargs: Any) -> None:  # noqa: A002
        super().__init_subclass__(**kwargs)

    @classmethod
    def __pydantic_init_subclass__(cls, *, type: str = "", subject: str = "", **kwargs: Any) -> None:  # noqa: A002
        super().__pydantic_init_subclass__(**kwargs)
        if not type:
            return
        if subject not in cls.model_fields:
            raise TypeError(f"{cls.__name__}: no field {subject!r} to name the subject")
        cls.type, cls.subject_field = type, subject
        registry.register(type, cls)

    @property
    def subject(self) -> str:
        """Return the id of the aggregate that the event belongs to."""
        return str(getattr(self, self.subject_field))

    @classmethod
    def source(cls) -> str:
        """Return the service that publishes this event."""
        return cls.type.partition(".")[0]


class Envelope(BaseModel):
    """An event as stored in an outbox and sent on the wire. `body` is the event's JSON text.

    `version` is the aggregate's version after the change that caused the event. Consumers use it for display only,
    never to decide what is true.
    """

    id: str = Field(max_length=64)
    source: str
    type: str
    subject: str
    time: datetime
    version: int = 0
    correlation_id: str = ""
    traceparent: str = ""
    body: str
