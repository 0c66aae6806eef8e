"""Events that booking publishes. A booking has the id of its hold."""

from typing import Annotated, Literal

from pydantic import Field

from contracts.catalog import CancelReason, RefundPolicy
from contracts.envelope import Event
from contracts.personal import PersonalData
from contracts.types import Amount, Code, Currency, Holder, Id, Moment, Seat, Seats, Shape


class Ticket(Shape):
    """Admits one person. `qr` is the signed text that is scanned at the door; events have it in `sealed_codes` only."""

    ticket_id: Id
    seat: Seat
    ticket_type: Code
    amount: Amount
    qr: str = Field(repr=False)


class Screening(Shape):
    """The showtime's details as printed on a ticket. `address` is the theater's, on one line."""

    showtime_id: Id
    movie_title: str
    certificate: str
    theater_name: str
    address: str | None = None
    auditorium_name: str
    format: str
    language: str
    starts_at: Moment
    ends_at: Moment
    time_zone: str


_sealed = Field(
    description="the secret of a link to the booking, encrypted with LINK_KEY: only booking and notifier can read it",
    repr=False,
)
SealedLink = Annotated[str, _sealed]
MaybeSealedLink = Annotated[str | None, _sealed]
SealedCodes = Annotated[
    str | None,
    Field(
        description="the QR texts of the tickets, a JSON list in their order, encrypted with LINK_KEY: only booking "
        "and notifier can read it",
        repr=False,
    ),
]


RefundTo = Literal["card", "credit"]


class PaymentRequested(Event, type="booking.payment_requested.v1", subject="booking_id"):
    """A customer checked out. The price is final; the seats must stay held until `payment_deadline_at`."""

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
    """Asks payment to cancel the payment of this booking, even if it has not started yet."""

    booking_id: Id
    reason: Literal["cancelled", "deadline", "seats_released"]


class BookingPaid(Event, type="booking.paid.v1", subject="booking_id"):
    """The booking was paid. Inventory turns its hold into a sale."""

    booking_id: Id
    showtime_id: Id
    seats: Seats
    holder: Holder


class BookingConfirmed(Event, type="booking.confirmed.v1", subject="booking_id"):
    """The booking is paid, its seats are sold and its tickets issued.

    `sealed_link` lets a guest open the booking; it is missing for a customer with an account. `moves` counts the
    earlier changes of time. `amount` includes `tax`, which is missing if unknown. `refund_policy` is the one of the
    checkout; it is missing for bookings from before there were policies. `replaces` is the booking whose tickets were
    exchanged for these. `calendar_id` is the id of its entry in calendars, if that is not the booking's. Events from
    before 2026-12 have no `sealed_codes`; their tickets contain the QR texts.
    """

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
    tax: Amount | None = None
    replaces: Id | None = None
    refund_policy: RefundPolicy | None = None
    moves: int = 0
    calendar_id: Id | None = None
    sealed_link: MaybeSealedLink = None
    sealed_codes: SealedCodes = None


class BookingLinkRequested(Event, type="booking.link_requested.v1", subject="booking_id"):
    """A customer asked for a link to a booking, with its reference and e-mail address.

    The link is valid until `expires_at`. `link_id` identifies the request.
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


class LinkedBooking(Shape):
    """A booking with a link to it, which is valid until `expires_at`."""

    booking_id: Id
    reference: str
    screening: Screening
    sealed_link: SealedLink
    expires_at: Moment


class BookingLinksRequested(Event, type="booking.links_requested.v1", subject="request_id"):
    """A customer asked for links to all upcoming bookings of an e-mail address.

    `user_id` is the account that owns some of them; it is missing if all are guests'.
    """

    request_id: Id
    user_id: Id | None = None
    email: str
    name: str | None = None
    locale: str = "en"
    bookings: Annotated[list[LinkedBooking], Field(min_length=1, max_length=10)]


class BookingTicketsRequested(BookingConfirmed, type="booking.tickets_requested.v1", subject="booking_id"):
    """The tickets are to be mailed again, with the data of `booking.confirmed`. `mailing_id` identifies the request."""

    mailing_id: Id


class BookingEmailChanged(Event, type="booking.email_changed.v1", subject="booking_id"):
    """Mails about the booking go to `new_email` from now on, no longer to `email`.

    `mailing_id` identifies the change. `was_mailed`: mails about the booking have been sent to the former address.
    """

    booking_id: Id
    mailing_id: Id
    reference: str
    holder: Holder
    email: str
    new_email: str
    name: str | None = None
    locale: str = "en"
    screening: Screening
    was_mailed: bool


class BookingAdopted(Event, type="booking.adopted.v1", subject="booking_id"):
    """A guest's booking belongs to the account `user_id` now. It is published once its payment is decided.

    `has_tickets`: the booking is confirmed.
    """

    booking_id: Id
    showtime_id: Id
    user_id: Id
    has_tickets: bool


class BookingRescheduled(Event, type="booking.rescheduled.v1", subject="booking_id"):
    """The showtime of the booking was moved from `previous_starts_at`; the tickets stay valid.

    `moves` counts the changes of time: of two events about a booking, the one with more moves is the later one.
    `email` is missing when the customer's account was deleted, `sealed_link` when the booking is not a guest's.
    `choice_until`: until then the customer can choose a full refund; missing after a small move.
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
    calendar_id: Id | None = None
    choice_until: Moment | None = None
    sealed_link: MaybeSealedLink = None


class BookingExpired(Event, type="booking.expired.v1", subject="booking_id"):
    """The booking was not paid in time."""

    booking_id: Id
    showtime_id: Id
    seats: Seats
    holder: Holder


class BookingCancelled(Event, type="booking.cancelled.v1", subject="booking_id"):
    """The booking was cancelled, before or after payment. Its seats can be sold again.

    The fields from `name` on are for the mail about it and set only after a checkout. `refund_amount` is the amount to
    refund; it is missing when nothing was paid. `moves` and `sealed_link` are those of `booking.rescheduled`.
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
    calendar_id: Id | None = None
    sealed_link: MaybeSealedLink = None


class BookingTicketsCancelled(Event, type="booking.tickets_cancelled.v1", subject="booking_id"):
    """Some or all tickets of a confirmed booking were cancelled by the customer or by staff. They are void.

    `seats` are theirs, `remaining` those of the tickets that are still valid. The seats stay sold until the refund is
    accepted. `refund_id` identifies the cancellation, `refund_amount` may be 0. With `refund_to` credit, the card's
    part of it becomes store credit. The other fields are those of `booking.rescheduled`.
    """

    booking_id: Id
    refund_id: Id
    reference: str
    showtime_id: Id
    holder: Holder
    email: str | None = None
    name: str | None = None
    locale: str = "en"
    screening: Screening
    seats: Annotated[list[Seat], Field(max_length=10)]
    remaining: Annotated[list[Seat], Field(max_length=10)] = []
    reason: Literal["by_customer", "by_staff"]
    refund_amount: Amount
    currency: Currency
    refund_to: RefundTo | None = None
    moves: int = 0
    calendar_id: Id | None = None
    sealed_link: MaybeSealedLink = None


class BookingSeatsReturned(Event, type="booking.seats_returned.v1", subject="booking_id"):
    """The refund of some tickets was accepted. Their seats can be sold again; the booking keeps its other seats."""

    booking_id: Id
    showtime_id: Id
    seats: Seats


class BookingExchanged(Event, type="booking.exchanged.v1", subject="booking_id"):
    """The booking was exchanged for another confirmed booking. Its seats can be sold again."""

    booking_id: Id
    showtime_id: Id
    seats: Seats
    holder: Holder
    replaced_by: Id


class BookingTicketsExchanged(Event, type="booking.tickets_exchanged.v1", subject="booking_id"):
    """Some tickets of a confirmed booking were exchanged for the confirmed booking `replaced_by`. They are void.

    `seats` are theirs, `remaining` those of the tickets that are still valid.
    """

    booking_id: Id
    showtime_id: Id
    holder: Holder
    screening: Screening
    seats: Annotated[list[Seat], Field(max_length=10)]
    remaining: Annotated[list[Seat], Field(max_length=10)]
    replaced_by: Id


class RefundRequested(Event, type="booking.refund_requested.v1", subject="booking_id"):
    """Asks payment for a refund. `refund_id` makes the request idempotent.

    Gift cards and credit get back what they paid. The card's part goes back to the card; with `refund_to` credit it
    becomes store credit, raised by `bonus_percent`. A guest gets it as a gift card, mailed in the language `locale`.
    """

    booking_id: Id
    refund_id: Id
    amount: Amount
    currency: Currency
    reason: Literal["seats_lost", "cancelled", "showtime_cancelled", "exchange_difference"]
    refund_to: RefundTo | None = None
    bonus_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    locale: str | None = None


class BookingRefunded(Event, type="booking.refunded.v1", subject="booking_id"):
    """The refund was accepted and is being paid out."""

    booking_id: Id
    holder: Holder
    email: str | None = None
    reference: str
    amount: Amount
    currency: Currency


class BookingRefundMade(Event, type="booking.refund_made.v1", subject="booking_id"):
    """Money of the booking was refunded, in whole or in part: by booking, by staff, or at the provider.

    `amount` is what was refunded since the previous such event, `refunded` the total so far, out of `paid`. `reason`
    is why the booking ended; it is missing while tickets are valid. `seats` are those of the cancelled tickets that it
    pays for. `refund_id` identifies the refund; it is missing in events from before 2026-12. With `refund_to` credit,
    the card's part became store credit. The other fields are those of `booking.rescheduled`.
    """

    booking_id: Id
    refund_id: Id | None = None
    reference: str
    holder: Holder
    email: str | None = None
    name: str | None = None
    locale: str = "en"
    screening: Screening | None = None
    amount: Amount
    refunded: Amount
    paid: Amount
    currency: Currency
    reason: Code | None = None
    seats: Annotated[list[Seat], Field(max_length=10)] = []
    refund_to: RefundTo | None = None
    moves: int = 0
    calendar_id: Id | None = None
    sealed_link: MaybeSealedLink = None


class BookingRefundFailed(Event, type="booking.refund_failed.v1", subject="booking_id"):
    """A refund failed at the customer's bank, and staff must pay it out again.

    The fields are those of `booking.rescheduled`.
    """

    booking_id: Id
    refund_id: Id
    reference: str
    holder: Holder
    email: str | None = None
    name: str | None = None
    locale: str = "en"
    screening: Screening | None = None
    amount: Amount
    currency: Currency
    moves: int = 0
    sealed_link: MaybeSealedLink = None


class BookingTicketOffered(Event, type="booking.ticket_offered.v1", subject="booking_id"):
    """The holder of a ticket offers it to another person, who can accept it until `expires_at`.

    `ticket_id` is the ticket's new id once it is accepted; it identifies the offer. `sender` is the name that the
    recipient sees, `message` plain text. `sealed_link` opens the offer.
    """

    booking_id: Id
    ticket_id: Id
    email: str
    locale: str = "en"
    sender: str | None = None
    message: str | None = None
    screening: Screening
    seat: Seat
    ticket_type: Code
    expires_at: Moment
    sealed_link: MaybeSealedLink = None


class BookingTicketTransferred(Event, type="booking.ticket_transferred.v1", subject="booking_id"):
    """A ticket of the booking has another holder. The ticket `previous_id` is void, `ticket_id` is valid.

    `seats` are those of the tickets that the customer has now. `transfers` counts the changes: of two events about a
    booking, the one with more is the later one. `reason` is null when one recipient passed the ticket on to another.
    The other fields are those of `booking.rescheduled`.
    """

    booking_id: Id
    ticket_id: Id
    previous_id: Id
    reference: str
    holder: Holder
    email: str | None = None
    name: str | None = None
    locale: str = "en"
    screening: Screening
    seat: Seat
    seats: Annotated[list[Seat], Field(max_length=10)] = []
    transfers: int
    reason: Literal["accepted", "returned"] | None = None
    sealed_link: MaybeSealedLink = None


class TransferredTicketChanged(Event, type="booking.transferred_ticket_changed.v1", subject="booking_id"):
    """The showtime of a transferred ticket was moved from `previous_starts_at`, or the ticket is void.

    For its recipient: `email` is theirs, `user_id` is missing for a recipient without an account, and `sealed_link`
    opens the ticket. `moves` counts the changes of time.
    """

    booking_id: Id
    ticket_id: Id
    user_id: Id | None = None
    email: str
    locale: str = "en"
    screening: Screening
    seat: Seat
    change: Literal["moved", "cancelled"]
    previous_starts_at: Moment | None = None
    moves: int = 0
    sealed_link: MaybeSealedLink = None


class StaffActed(Event, type="booking.staff_acted.v1", subject="booking_id"):
    """Staff changed a person's booking. Identity records it in its audit log. `user_id` is missing for a guest."""

    act_id: Id
    action: Code
    actor_id: Id
    booking_id: Id
    user_id: Id | None = None
    acted_at: Moment


HouseChangeKind = Literal["cancel", "move"]
TICKETS_FOR_ONE = 50
"""A change of a showtime that affects more tickets than this needs a second person."""


class HouseChangeApproved(Event, type="booking.house_change_approved.v1", subject="change_id"):
    """Staff approved a change of a showtime after its dry run. Catalog makes the change, or refuses it.

    `reason` is that of a cancellation, `starts_at` the new start of a move.
    """

    change_id: Id
    showtime_id: Id
    kind: HouseChangeKind
    reason: CancelReason | None = None
    starts_at: Moment | None = None


class HouseChangeActed(Event, type="booking.house_change_acted.v1", subject="change_id"):
    """Staff requested or confirmed a change of a showtime. Identity records it in its audit log."""

    act_id: Id
    action: Code
    actor_id: Id
    change_id: Id
    showtime_id: Id
    acted_at: Moment


class BookingDataExported(PersonalData, type="booking.personal_data_exported.v1", subject="export_id"):
    """A part of a person's data export: their bookings."""
