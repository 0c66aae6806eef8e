"""The kinds of mails, as one table."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from chassis.clock import now
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingEmailChanged,
    BookingLinkRequested,
    BookingLinksRequested,
    BookingRefundFailed,
    BookingRefundMade,
    BookingRescheduled,
    BookingTicketOffered,
    BookingTicketsCancelled,
    BookingTicketsRequested,
    BookingTicketTransferred,
    TransferredTicketChanged,
)
from contracts.identity import (
    EmailChangeRequested,
    InvitationRequested,
    OneTimeLink,
    PasswordResetRequested,
    RegistrationRepeated,
    SecurityNoticed,
    VerificationRequested,
)
from contracts.inventory import SeatsOffered, WaitlistEnded, WaitlistEvent, WaitlistJoined
from contracts.payment import GiftCardMailed

from notifier.mails.account import link_context, registration_repeated_context, security_context
from notifier.mails.booking_link import LinksContext, booking_link_context, booking_links_context
from notifier.mails.cancellation import refund_failed_context, tickets_cancelled_context
from notifier.mails.confirmation import ConfirmationContext, confirmation_context
from notifier.mails.email_changed import email_changed_context
from notifier.mails.gift_card import gift_card_context
from notifier.mails.mime import RenderedMail
from notifier.mails.notice import NoticeContext
from notifier.mails.refund import is_told, refund_context
from notifier.mails.showtime import cancelled_context, rescheduled_context, voids_tickets
from notifier.mails.transfer import ticket_changed_context, ticket_offered_context, ticket_transferred_context
from notifier.mails.waitlist import ended_context, joined_context, offered_context
from notifier.model import Kind, Obsolete

BookingEvent = (
    BookingConfirmed
    | BookingTicketsRequested
    | BookingRescheduled
    | BookingCancelled
    | BookingTicketsCancelled
    | BookingRefundMade
    | BookingRefundFailed
    | BookingLinkRequested
    | BookingEmailChanged
    | BookingTicketTransferred
)
RecipientEvent = BookingTicketOffered | TransferredTicketChanged
"""Events that are mailed to another person than the booking's customer."""
AccountEvent = OneTimeLink | RegistrationRepeated | SecurityNoticed
MailEvent = BookingEvent | RecipientEvent | BookingLinksRequested | WaitlistEvent | GiftCardMailed | AccountEvent
EXPIRING = OneTimeLink | BookingLinkRequested | SeatsOffered | BookingTicketOffered
"""Events whose link or offer has an end."""
Context = ConfirmationContext | NoticeContext | LinksContext


@dataclass(frozen=True)
class Mail:
    """One kind of mail.

    `subject` of the event identifies the mail among those of its kind. `context` returns what the mail prints; it
    raises Unmailable. A mail with a `turn` is superseded by one about the same booking with a higher turn. With
    `skips_erased`, a person who has deleted their account gets no mail.
    """

    event_type: type[MailEvent]
    subject: Callable[[Any], str]
    context: Callable[[Any], Context]
    is_wanted: Callable[[Any], bool] = lambda _: True
    turn: Callable[[Any], int] | None = None
    skips_erased: bool = False


def _has_address(
    event: BookingRescheduled
    | BookingCancelled
    | BookingTicketsCancelled
    | BookingRefundFailed
    | BookingTicketTransferred,
) -> bool:
    return event.email is not None


def _link(kind: Kind, event_type: type[OneTimeLink], page: str) -> Mail:
    return Mail(event_type, attrgetter("link_id"), partial(link_context, kind=kind, page=page))


MAILS: dict[Kind, Mail] = {
    "confirmation": Mail(BookingConfirmed, attrgetter("booking_id"), confirmation_context),
    "rescheduled": Mail(
        BookingRescheduled,
        lambda event: f"{event.booking_id}.{event.moves}",
        rescheduled_context,
        is_wanted=_has_address,
        turn=attrgetter("moves"),
        skips_erased=True,
    ),
    "showtime_cancelled": Mail(
        BookingCancelled,
        attrgetter("booking_id"),
        cancelled_context,
        is_wanted=lambda event: voids_tickets(event) and _has_address(event),
        turn=lambda event: event.moves + 1,
        skips_erased=True,
    ),
    "refund": Mail(
        BookingRefundMade,
        lambda event: f"{event.booking_id}.{event.refund_id or event.refunded}",
        refund_context,
        is_wanted=is_told,
        skips_erased=True,
    ),
    "tickets_cancelled": Mail(
        BookingTicketsCancelled,
        attrgetter("refund_id"),
        tickets_cancelled_context,
        is_wanted=_has_address,
        skips_erased=True,
    ),
    "refund_failed": Mail(
        BookingRefundFailed,
        attrgetter("refund_id"),
        refund_failed_context,
        is_wanted=_has_address,
        skips_erased=True,
    ),
    "booking_link": Mail(BookingLinkRequested, attrgetter("link_id"), booking_link_context, skips_erased=True),
    "booking_links": Mail(BookingLinksRequested, attrgetter("request_id"), booking_links_context, skips_erased=True),
    "tickets_again": Mail(BookingTicketsRequested, attrgetter("mailing_id"), confirmation_context, skips_erased=True),
    "email_changed": Mail(
        BookingEmailChanged,
        attrgetter("mailing_id"),
        email_changed_context,
        is_wanted=attrgetter("was_mailed"),
        skips_erased=True,
    ),
    "ticket_offered": Mail(BookingTicketOffered, attrgetter("ticket_id"), ticket_offered_context),
    "ticket_transferred": Mail(
        BookingTicketTransferred,
        lambda event: f"{event.booking_id}.{event.transfers}",
        ticket_transferred_context,
        is_wanted=_has_address,
        skips_erased=True,
    ),
    "transferred_ticket_changed": Mail(
        TransferredTicketChanged,
        lambda event: f"{event.ticket_id}.{event.change}.{event.moves}",
        ticket_changed_context,
        skips_erased=True,
    ),
    "waitlist_joined": Mail(WaitlistJoined, attrgetter("mail_id"), joined_context, skips_erased=True),
    "seats_offered": Mail(SeatsOffered, attrgetter("mail_id"), offered_context, skips_erased=True),
    "waitlist_ended": Mail(WaitlistEnded, attrgetter("mail_id"), ended_context, skips_erased=True),
    "gift_card": Mail(GiftCardMailed, attrgetter("mail_id"), gift_card_context, skips_erased=True),
    "verification": _link("verification", VerificationRequested, "verify-email"),
    "password_reset": _link("password_reset", PasswordResetRequested, "reset-password"),
    "email_change": _link("email_change", EmailChangeRequested, "verify-email"),
    "invitation": _link("invitation", InvitationRequested, "accept-invitation"),
    "registration_repeated": Mail(RegistrationRepeated, attrgetter("registration_id"), registration_repeated_context),
    "security": Mail(SecurityNoticed, attrgetter("notice_id"), security_context),
}


def render_stored(kind: Kind, event: str) -> RenderedMail:
    """Render the mail for the JSON of an event. Raises Unmailable; Obsolete after the end of its link or offer."""
    mail = MAILS[kind]
    parsed = mail.event_type.model_validate_json(event)
    return render(parsed, mail.context(parsed))


def render(event: MailEvent, context: Context) -> RenderedMail:
    """Render the mail for an event. Raises Obsolete when the event's link or offer has expired."""
    if (
        isinstance(event, OneTimeLink | BookingLinkRequested | SeatsOffered | BookingTicketOffered)
        and event.expires_at <= now()
    ):
        raise Obsolete("the link or the offer has expired")
    if isinstance(event, BookingLinksRequested) and max(each.expires_at for each in event.bookings) <= now():
        raise Obsolete("the links have expired")
    return context.render()
