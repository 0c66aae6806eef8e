"""The mails about an account: one-time links and security notices."""

from datetime import UTC, datetime
from email.headerregistry import Address

from babel import Locale
from babel.dates import format_date, format_time
from contracts.identity import (
    InvitationRequested,
    OneTimeLink,
    PasswordResetRequested,
    RegistrationRepeated,
    SecurityNoticed,
)

from notifier.mails import notice
from notifier.mails.languages import locale_of, texts_of
from notifier.mails.notice import NoticeContext
from notifier.mails.rendering import page_url
from notifier.model import Kind, checked_address, one_line

CLOSED = frozenset({"account_deleted", "account_deactivated"})
"""Security events after which nobody can choose a new password."""


def link_context(event: OneTimeLink, *, kind: Kind, page: str) -> NoticeContext:
    """Return what a mail with a link prints. Raises Unmailable.

    The token follows a `#`: browsers send that part of an address to no server, not even as the referrer.
    """
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
        url=page_url(page),
        why=own["why"],
    )


def _date_and_time(moment: datetime, locale: Locale) -> str:
    """Return the moment in UTC with its time zone: identity does not know where the person is."""
    moment = moment.astimezone(UTC)
    return f"{format_date(moment, 'long', locale=locale)}, {format_time(moment, 'short', locale=locale)} UTC"
