"""What several routes take and answer."""

from datetime import datetime
from typing import Annotated

from contracts.booking import Screening, Ticket
from contracts.types import Amount, Currency, Id, Seat
from fastapi import Path
from pydantic import AfterValidator, BaseModel, EmailStr, StringConstraints

from booking import model
from booking.model import Line, Passage, State

BookingId = Annotated[Id, Path(description="The id of the hold that the booking began with.")]
Email = Annotated[EmailStr, StringConstraints(max_length=254), AfterValidator(str.lower)]
Reference = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern=r"^[A-Za-z0-9]{1,16}$")]


class BookingOut(BaseModel):
    """A booking. Until the checkout it has no price, reference or screening; tickets only while it is confirmed."""

    id: Id
    state: State
    reference: str | None
    showtime_id: Id
    screening: Screening | None
    seats: list[Seat]
    lines: list[Line]
    tickets: list[Ticket]
    amount: Amount | None
    currency: Currency | None
    refunded_amount: Amount
    email: str | None
    name: str | None
    locale: str
    opened_at: datetime
    expires_at: datetime
    payment_deadline_at: datetime | None
    payment_failure: str | None
    ending: model.Ending | None
    history: list[Passage]


def shown(booking: model.Booking) -> BookingOut:
    """The booking as its people see it."""
    is_valid = booking.state is State.CONFIRMED
    return BookingOut.model_validate(dict(booking) | {"tickets": booking.tickets if is_valid else []})
