"""Types that several events share."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
SeatId = Annotated[str, StringConstraints(pattern=r"^[A-Z]{1,2}[0-9]{1,3}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Amount = Annotated[int, Field(ge=0, le=10**9, description="minor units of the currency, e.g. cents")]
Seats = Annotated[list[SeatId], Field(max_length=10)]
Moment = AwareDatetime


class Shape(BaseModel):
    """A part of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Seat(Shape):
    """A seat. Its label is row and number as printed on the seat, e.g. `F7`; `category` decides the price."""

    seat_id: SeatId
    row: str
    number: int
    category: Code


class Holder(Shape):
    """The owner of a hold: a user id, or for a guest the SHA-256 (hex) of the hold's secret. Exactly one is set."""

    user_id: Id | None = None
    secret_hash: str | None = None
