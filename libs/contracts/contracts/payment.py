"""What payment says. The subject is the booking that the money is for."""

from contracts.envelope import Event
from contracts.personal import PersonalData
from contracts.types import Amount, Currency, Id, Seats


class PaymentSucceeded(Event, type="payment.succeeded.v1", subject="booking_id"):
    """The whole price has been captured. What was ordered comes from the payment order.

    `user_id` is the holder, unless that is a guest. `showtime_id` is missing in accounts from before 2026-12.
    """

    booking_id: Id
    amount: Amount
    currency: Currency
    showtime_id: Id | None = None
    seats: Seats = []
    user_id: Id | None = None


class PaymentFailed(Event, type="payment.failed.v1", subject="booking_id"):
    """One attempt was declined; the customer may try again. `code` is the provider's, e.g. `insufficient_funds`."""

    booking_id: Id
    code: str


class PaymentCancelled(Event, type="payment.cancelled.v1", subject="booking_id"):
    """No money was taken and none will be."""

    booking_id: Id


class PaymentRefunded(Event, type="payment.refunded.v1", subject="booking_id"):
    """Money went back. `amount` in this refund, `refunded` in all so far, of `captured`."""

    booking_id: Id
    refund_id: Id
    amount: Amount
    refunded: Amount
    captured: Amount
    currency: Currency
    requested: bool


class PaymentDataExported(PersonalData, type="payment.personal_data_exported.v1", subject="export_id"):
    """A person's payments."""
