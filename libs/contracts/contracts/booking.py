"""What booking says. The booking's id is the id of the hold that it began with."""

from typing import Annotated, Literal

from pydantic import Field

from contracts.envelope import Event
from contracts.personal import PersonalData
from contracts.types import Amount, Code, Currency, Holder, Id, Moment, Seat, Seats, Shape


class Ticket(Shape):
    """One admission. `qr` is the signed text that the door reads."""

    ticket_id: Id
    seat: Seat
    ticket_type: Code
    amount: Amount
    qr: str


class Screening(Shape):
    """The showtime as it is printed on a ticket."""

    showtime_id: Id
    movie_title: str
    certificate: str
    theater_name: str
    auditorium_name: str
    format: str
    language: str
    starts_at: Moment
    ends_at: Moment
    time_zone: str


_sealed = Field(
    description="the key of a link to the booking, encrypted with LINK_KEY: only booking and notifier can read it",
    repr=False,
)
SealedLink = Annotated[str, _sealed]
MaybeSealedLink = Annotated[str | None, _sealed]


class PaymentRequested(Event, type="booking.payment_requested.v1", subject="booking_id"):
    """A checkout: the price is final, the seats must be kept until `payment_deadline_at`."""

    booking_id: Id
    showtime_id: Id
    seats: Seats
    holder: Holder
    email: str
    reference: str
    amount: Amount
    currency: Currency
    payment_deadline_at: Moment


class PaymentCancelRequested(Event, type="booking.payment_cancel_requested.v1", subject="booking_id"):
    """Take no money for this booking, now or later."""

    booking_id: Id
    reason: Literal["cancelled", "deadline", "seats_released"]


class BookingPaid(Event, type="booking.paid.v1", subject="booking_id"):
    """The money is there: turn the hold into a sale."""

    booking_id: Id
    showtime_id: Id
    seats: Seats
    holder: Holder


class BookingConfirmed(Event, type="booking.confirmed.v1", subject="booking_id"):
    """Paid, sold, tickets issued. `sealed_link` lets a guest open it; who has an account signs in."""

    booking_id: Id
    reference: str
    holder: Holder
    email: str
    name: str | None = None
    locale: str = "en"
    screening: Screening
    tickets: Annotated[list[Ticket], Field(min_length=1, max_length=10)]
    amount: Amount
    currency: Currency
    replaces: Id | None = None
    sealed_link: MaybeSealedLink = None


class BookingLinkRequested(Event, type="booking.link_requested.v1", subject="booking_id"):
    """Somebody asked by reference and address for a link to their booking, which opens it until `expires_at`.

    `link_id` tells one such wish from the next.
    """

    link_id: Id
    booking_id: Id
    reference: str
    holder: Holder
    email: str
    name: str | None = None
    locale: str = "en"
    screening: Screening
    sealed_link: SealedLink
    expires_at: Moment


class BookingRescheduled(Event, type="booking.rescheduled.v1", subject="booking_id"):
    """The showtime of these tickets starts at another time than `previous_starts_at`; the tickets stay valid.

    `moves` counts up: of two words about a booking, the one with more moves is the later. `email` is missing once the
    person is gone, `sealed_link` whenever it is no guest's.
    """

    booking_id: Id
    reference: str
    holder: Holder
    email: str | None = None
    name: str | None = None
    locale: str = "en"
    screening: Screening
    previous_starts_at: Moment
    moves: int
    sealed_link: MaybeSealedLink = None


class BookingExpired(Event, type="booking.expired.v1", subject="booking_id"):
    """No money came in time."""

    booking_id: Id
    showtime_id: Id
    seats: Seats
    holder: Holder


class BookingCancelled(Event, type="booking.cancelled.v1", subject="booking_id"):
    """Given up before it was paid, or taken back after. Its seats can be sold again.

    From `name` on: what a mail about it says, of a booking that was checked out. `refund_amount` is what is to go back;
    without one, nothing was paid. `moves` and `sealed_link` are those of `booking.rescheduled`.
    """

    booking_id: Id
    showtime_id: Id
    seats: Seats
    holder: Holder
    email: str | None = None
    reason: Literal["by_customer", "by_staff", "showtime_cancelled", "refunded_at_provider"]
    name: str | None = None
    locale: str = "en"
    reference: str | None = None
    screening: Screening | None = None
    refund_amount: Amount | None = None
    currency: Currency | None = None
    moves: int = 0
    sealed_link: MaybeSealedLink = None


class BookingExchanged(Event, type="booking.exchanged.v1", subject="booking_id"):
    """Replaced by another confirmed booking; its seats can be sold again."""

    booking_id: Id
    showtime_id: Id
    seats: Seats
    holder: Holder
    replaced_by: Id


class RefundRequested(Event, type="booking.refund_requested.v1", subject="booking_id"):
    """Give this money back. `refund_id` makes a repeated request harmless."""

    booking_id: Id
    refund_id: Id
    amount: Amount
    currency: Currency
    reason: Literal["seats_lost", "cancelled", "showtime_cancelled", "exchange_difference"]


class BookingRefunded(Event, type="booking.refunded.v1", subject="booking_id"):
    """The money is on its way back."""

    booking_id: Id
    holder: Holder
    email: str | None = None
    reference: str
    amount: Amount
    currency: Currency


class BookingDataExported(PersonalData, type="booking.personal_data_exported.v1", subject="export_id"):
    """A person's bookings."""
