"""The messages of `/ws`, one JSON object each (docs/asyncapi-live.yaml)."""

from typing import Annotated, Literal

from contracts.types import Id
from pydantic import BaseModel, ConfigDict, Field, model_validator

State = Literal["held", "blocked", "sold"]


class Said(BaseModel):
    """A message of a client."""

    model_config = ConfigDict(extra="forbid")


class Subscribe(Said):
    type: Literal["subscribe"]
    showtime_id: Id


class Unsubscribe(Said):
    type: Literal["unsubscribe"]
    showtime_id: Id


class Select(Said):
    """The seats that the client has chosen so far, all of them each time: others are shown that somebody looks."""

    type: Literal["seat:select"]
    showtime_id: Id
    seats: Annotated[list[Id], Field(max_length=20)]


class Authenticate(Said):
    """At least one of the two. `hold_secret` is what a guest got with the hold."""

    type: Literal["authenticate"]
    token: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    hold_secret: Annotated[str, Field(min_length=1, max_length=128)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Authenticate":
        if self.token is None and self.hold_secret is None:
            raise ValueError("token or hold_secret is needed")
        return self


class Ping(Said):
    type: Literal["ping"]


ClientMessage = Subscribe | Unsubscribe | Select | Authenticate | Ping


class Told(BaseModel):
    """A message of the server."""

    model_config = ConfigDict(extra="forbid")


class Snapshot(Told):
    """All seats that are not free; replaces all that was told of the showtime before. The answer to `subscribe`."""

    type: Literal["showtime:update"]
    showtime_id: Id
    version: int
    cancelled: bool
    capacity: int | None
    seats: dict[str, State]


class Change(Told):
    """Follows on the message with version `since`. A client whose own is smaller has missed one and subscribes anew."""

    showtime_id: Id
    since: int
    version: int
    seats: list[str]


class Locked(Change):
    """These seats are not to be had now. Who holds them is never told."""

    type: Literal["seat:lock"]
    state: Literal["held", "blocked"]


class Booked(Change):
    """These seats are sold."""

    type: Literal["seat:book"]


class Released(Change):
    """These seats are free again."""

    type: Literal["seat:release"]


class Looks(Told):
    """How many clients have each seat in their selection, oneself among them; replaces the one before. A courtesy."""

    type: Literal["seat:select"]
    showtime_id: Id
    seats: dict[str, int]


class BookingUpdate(Told):
    """The booking of this person or guest has come to a new state. A hint to fetch it."""

    model_config = ConfigDict(extra="allow")
    type: Literal["booking:update"]
    booking_id: Id
    state: Literal["awaiting_payment", "confirming", "confirmed", "expired", "cancelled", "exchanged", "refunded"]
    version: int


class Authenticated(Told):
    """From now on come this person's or guest's `booking:update`; what happened before is not repeated."""

    type: Literal["authenticated"]
    user_id: str | None
    guest: bool


class Pong(Told):
    """The answer to `ping`."""

    type: Literal["pong"]


class Error(Told):
    """What was said cannot be done; the connection goes on. `code` is stable, `detail` is for a person."""

    type: Literal["error"]
    code: str
    detail: str
    showtime_id: Id | None = None


ServerMessage = Snapshot | Locked | Booked | Released | Looks | BookingUpdate | Authenticated | Pong | Error
