"""The envelope around every event: CloudEvents 1.0 in binary mode over AMQP.

The body is the event's JSON; the envelope's attributes travel as message properties and `cloudEvents_` headers.
"""

from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from contracts import registry


class Event(BaseModel):
    """A fact that one service states. Subclass with its wire type and the field that names the aggregate:

    `class SeatsSold(Event, type="inventory.seats_sold.v1", subject="hold_id")`
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

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
        """The id of the aggregate that the event is about."""
        return str(getattr(self, self.subject_field))

    @classmethod
    def source(cls) -> str:
        """The service that says this event."""
        return cls.type.partition(".")[0]


class Envelope(BaseModel):
    """One message as it stands in an outbox and on the wire; `body` is the event's JSON text.

    `version` is the aggregate's version after the change that caused the event; consumers use it as a hint for
    display, never to decide what is true.
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
