"""Events that notifier publishes."""

from contracts.envelope import Event
from contracts.personal import PersonalData
from contracts.types import Code, Id, Moment


class MailFailed(Event, type="notifier.mail_failed.v1", subject="booking_id"):
    """A mail about a booking could not be delivered and is not tried again. `kind` is the mail's, e.g. `confirmation`.

    Staff find the reason in `GET /api/notifications`. `queued_at` is when the mail was requested.
    """

    booking_id: Id
    kind: Code
    failed_at: Moment
    queued_at: Moment | None = None


class OfferUnsent(Event, type="notifier.offer_unsent.v1", subject="hold_id"):
    """An offer of seats to a party on a waitlist ended before its mail could be sent.

    There is no such event when a mail server refuses the address.
    """

    hold_id: Id
    showtime_id: Id
    entry_id: Id
    failed_at: Moment


class NotifierDataExported(PersonalData, type="notifier.personal_data_exported.v1", subject="export_id"):
    """A part of a person's data export: the mails that were sent to them."""
