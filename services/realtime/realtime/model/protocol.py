"""The messages of `/ws`, one JSON object each (docs/asyncapi-live.yaml)."""

from typing import Annotated, Literal

from contracts.types import Id
from pydantic import BaseModel, ConfigDict, Field, model_validator

from realtime.model.seat_map import State


class FromClient(BaseModel):
    """A message of a client."""

    model_config = ConfigDict(extra="forbid")


class Subscribe(FromClient):
    type: Literal["subscribe"]
    showtime_id: Id


class Unsubscribe(FromClient):
    type: Literal["unsubscribe"]
    showtime_id: Id


class Select(FromClient):
    """All seats that the client has selected so far. Other clients see how many people have each seat selected."""

    type: Literal["seat:select"]
    showtime_id: Id
    seats: Annotated[list[Id], Field(max_length=20)]


class Authenticate(FromClient):
    """At least one of the two. A guest receives `hold_secret` with the hold."""

    type: Literal["authenticate"]
    token: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    hold_secret: Annotated[str, Field(min_length=1, max_length=128)] | None = None

    @model_validator(mode="after")
    def _has_credentials(self) -> "Authenticate":
        if self.token is None and self.hold_secret is None:
            raise ValueError("token or hold_secret is needed")
        return self


class Ping(FromClient):
    type: Literal["ping"]


ClientMessage = Subscribe | Unsubscribe | Select | Authenticate | Ping


class FromServer(BaseModel):
    """A message of the server."""

    model_config = ConfigDict(extra="forbid")


class ShowtimeUpdate(FromServer):
    """All seats that are not free. Replaces what was received about the showtime before. The answer to `subscribe`."""

    type: Literal["showtime:update"]
    showtime_id: Id
    version: int
    cancelled: bool
    capacity: int | None
    seats: dict[str, State]


class Change(FromServer):
    """Follows the message with version `since`. A client with a smaller version has missed one and subscribes again."""

    showtime_id: Id
    since: int
    version: int
    seats: list[str]


class Locked(Change):
    """These seats are not available now. The holder is never disclosed."""

    type: Literal["seat:lock"]
    state: Literal["held", "blocked"]


class Booked(Change):
    """These seats are sold."""

    type: Literal["seat:book"]


class Released(Change):
    """These seats are free again."""

    type: Literal["seat:release"]


class SelectedSeats(FromServer):
    """How many clients, including this one, have each seat selected. Replaces the previous message. A hint only."""

    type: Literal["seat:select"]
    showtime_id: Id
    seats: dict[str, int]


class BookingUpdate(FromServer):
    """A booking of this person or guest has entered a new state. A hint to fetch it."""

    model_config = ConfigDict(extra="allow")
    type: Literal["booking:update"]
    booking_id: Id
    state: Literal[
        "awaiting_payment",
        "confirming",
        "confirmed",
        "expired",
        "cancelled",
        "exchanged",
        "refunding",
        "refunded",
    ]
    version: int


class Authenticated(FromServer):
    """From now on this connection receives `booking:update` of the person or guest. Earlier ones are not repeated."""

    type: Literal["authenticated"]
    user_id: str | None
    guest: bool


class Pong(FromServer):
    """The answer to `ping`."""

    type: Literal["pong"]


class Error(FromServer):
    """The client's message cannot be processed; the connection stays open. `code` is stable, `detail` is for people."""

    type: Literal["error"]
    code: str
    detail: str
    showtime_id: Id | None = None


ServerMessage = (
    ShowtimeUpdate | Locked | Booked | Released | SelectedSeats | BookingUpdate | Authenticated | Pong | Error
)
