"""The mails about an account: links that work once, and what its owner should know."""

from datetime import datetime
from email.headerregistry import Address

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

from notifier import notice as mails
from notifier.languages import locale_of, words_of
from notifier.mail import Letter
from notifier.model import Kind, Refused, checked_address, one_line
from notifier.notice import Facts

CLOSED = frozenset({"account_deleted", "account_deactivated"})
"""Happenings after which nobody can choose another password."""


def verification(event: str) -> Letter:
    """The link that shows whose address it is. Raises Unmailable, and Refused when the link is too old."""
    told = VerificationRequested.model_validate_json(event)
    return mails.letter(link("verification", told, "", "verify-email"))


def password_reset(event: str) -> Letter:
    """The link to another password. Raises Unmailable, and Refused when the link is too old."""
    told = PasswordResetRequested.model_validate_json(event)
    return mails.letter(link("password_reset", told, told.name, "reset-password"))


def email_change(event: str) -> Letter:
    """The link to a new address. Raises Unmailable, and Refused when the link is too old."""
    told = EmailChangeRequested.model_validate_json(event)
    return mails.letter(link("email_change", told, "", "verify-email"))


def invitation(event: str) -> Letter:
    """The link to a place among the staff. Raises Unmailable, and Refused when the link is too old."""
    told = InvitationRequested.model_validate_json(event)
    return mails.letter(link("invitation", told, told.name, "accept-invitation"))


def registration_repeated(event: str) -> Letter:
    """Word to whoever has an account already. Raises Unmailable."""
    return mails.letter(known_already(RegistrationRepeated.model_validate_json(event)))


def security(event: str) -> Letter:
    """Word about what happened to an account. Raises Unmailable."""
    return mails.letter(notice(SecurityNoticed.model_validate_json(event)))


def check_link(event: OneTimeLink) -> None:
    """Raises Unmailable for a link that no mail can be made from."""
    checked_address(event.email)
    mails.unsealed(event.sealed_token)


def link(kind: Kind, event: OneTimeLink, name: str, page: str) -> Facts:
    """What a mail with a link prints. The token follows a `#`, which no browser sends to any server or tells others."""
    if event.expires_at <= now():
        raise Refused("the link is too old")
    token, locale = mails.unsealed(event.sealed_token), locale_of(event.locale)
    details = [("until", _moment(event.expires_at, locale))]
    return _facts(kind, locale, _to(event.email, name), details, f"{page}#token={token}")


def known_already(event: RegistrationRepeated) -> Facts:
    """What the owner of an address prints that was signed up with again."""
    return _facts("registration_repeated", locale_of(event.locale), _to(event.email, event.name), [], "forgot-password")


def notice(event: SecurityNoticed) -> Facts:
    """What a notice prints; in general words for a happening that this release does not know."""
    locale = locale_of(event.locale)
    details = [("when", _moment(event.noticed_at, locale)), ("device", one_line(event.device))]
    facts = _facts("security", locale, _to(event.email, event.name), details, "forgot-password")
    happenings = facts.words["security"]["happenings"]
    button = "" if event.what in CLOSED else facts.button
    return facts._replace(intro=happenings.get(event.what, happenings["other"]), button=button)


def _to(email: str, name: str) -> Address:
    return Address(one_line(name)[:100], *checked_address(email))


def _facts(kind: Kind, locale: Locale, to: Address, details: list[tuple[str, str]], page: str) -> Facts:
    words = words_of(locale.language, "account")
    said = words[kind]
    return Facts(
        to=to,
        language=locale.language,
        words=words,
        name=to.display_name,
        subject=said["subject"],
        intro=said.get("intro", ""),
        details=[(words[label], text) for label, text in details if text],
        button=said["button"],
        url=mails.page(page),
        why=said["why"],
    )


def _moment(moment: datetime, locale: Locale) -> str:
    """Nobody has told us where the person is: the time zone is named."""
    return format_datetime(moment, "long", locale=locale)
