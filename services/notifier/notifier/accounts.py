"""The mails about an account: one-time links and security notices."""

from collections.abc import Callable
from datetime import datetime
from email.headerregistry import Address
from functools import partial
from typing import Any, NamedTuple

from babel import Locale
from babel.dates import format_datetime
from chassis.clock import now
from contracts.identity import (
    EmailChangeRequested,
    InvitationRequested,
    OneTimeLink,
    PasswordResetRequested,
    RegistrationRepeated,
    SecurityNoticed,
    VerificationRequested,
)

from notifier import notice
from notifier.languages import locale_of, texts_of
from notifier.mail import RenderedMail
from notifier.model import Kind, Refused, checked_address, one_line
from notifier.notice import NoticeContext

AccountEvent = OneTimeLink | RegistrationRepeated | SecurityNoticed

CLOSED = frozenset({"account_deleted", "account_deactivated"})
"""Security events after which nobody can choose a new password."""


class AccountMail(NamedTuple):
    """One kind of mail about an account.

    `id_field` of the event identifies the mail. `check` raises Unmailable. `context` returns what the mail prints; it
    raises Unmailable, and Refused when the event's link has expired.
    """

    event_type: type[AccountEvent]
    id_field: str
    check: Callable[[Any], object]
    context: Callable[[Any], NoticeContext]


def render_event(kind: Kind, event: str) -> RenderedMail:
    """Render the mail for the JSON of an event. Raises Unmailable, and Refused when the link has expired."""
    mail = ACCOUNT_MAILS[kind]
    return notice.render(mail.context(mail.event_type.model_validate_json(event)))


def check_link(event: OneTimeLink) -> None:
    """Check that a mail can be made from the link. Raises Unmailable."""
    checked_address(event.email)
    notice.decrypted(event.sealed_token)


def link_context(event: OneTimeLink, *, kind: Kind, page: str) -> NoticeContext:
    """Return what a mail with a link prints. Raises Unmailable, and Refused when the link has expired.

    The token follows a `#`: browsers send that part of an address to no server, not even as the referrer.
    """
    if event.expires_at <= now():
        raise Refused("the link has expired")
    token, locale = notice.decrypted(event.sealed_token), locale_of(event.locale)
    name = event.name if isinstance(event, PasswordResetRequested | InvitationRequested) else ""
    details = [("until", _date_and_time(event.expires_at, locale))]
    return _context(kind, locale, _recipient(event.email, name), details, f"{page}#token={token}")


def registration_repeated_context(event: RegistrationRepeated) -> NoticeContext:
    """Return what the owner of an address reads when somebody signs up with it again. Raises Unmailable."""
    recipient = _recipient(event.email, event.name)
    return _context("registration_repeated", locale_of(event.locale), recipient, [], "forgot-password")


def security_context(event: SecurityNoticed) -> NoticeContext:
    """Return what a security notice prints. Raises Unmailable.

    An event that this release does not know is described in general terms.
    """
    locale = locale_of(event.locale)
    details = [("when", _date_and_time(event.noticed_at, locale)), ("device", one_line(event.device))]
    context = _context("security", locale, _recipient(event.email, event.name), details, "forgot-password")
    events = context.texts["security"]["events"]
    button = "" if event.what in CLOSED else context.button
    return context._replace(intro=events.get(event.what, events["other"]), button=button)


def _recipient(email: str, name: str) -> Address:
    return Address(one_line(name)[:100], *checked_address(email))


def _context(kind: Kind, locale: Locale, to: Address, details: list[tuple[str, str]], page: str) -> NoticeContext:
    texts = texts_of(locale.language, "account")
    own = texts[kind]
    return NoticeContext(
        to=to,
        language=locale.language,
        texts=texts,
        name=to.display_name,
        subject=own["subject"],
        intro=own.get("intro", ""),
        details=[(texts[label], text) for label, text in details if text],
        button=own["button"],
        url=notice.page_url(page),
        why=own["why"],
    )


def _date_and_time(moment: datetime, locale: Locale) -> str:
    """Return the moment in UTC with its time zone: identity does not know where the person is."""
    return format_datetime(moment, "long", locale=locale)


def _link_mail(kind: Kind, event_type: type[OneTimeLink], page: str) -> AccountMail:
    return AccountMail(event_type, "link_id", check_link, partial(link_context, kind=kind, page=page))


ACCOUNT_MAILS: dict[Kind, AccountMail] = {
    "verification": _link_mail("verification", VerificationRequested, "verify-email"),
    "password_reset": _link_mail("password_reset", PasswordResetRequested, "reset-password"),
    "email_change": _link_mail("email_change", EmailChangeRequested, "verify-email"),
    "invitation": _link_mail("invitation", InvitationRequested, "accept-invitation"),
    "registration_repeated": AccountMail(
        RegistrationRepeated, "registration_id", registration_repeated_context, registration_repeated_context
    ),
    "security": AccountMail(SecurityNoticed, "notice_id", security_context, security_context),
}
