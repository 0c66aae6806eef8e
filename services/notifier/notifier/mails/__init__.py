"""The mails: what each event becomes, the texts and templates, and their MIME form."""

from notifier.mails.kinds import MAILS, Mail, MailEvent, render, render_stored
from notifier.mails.languages import known_languages
from notifier.mails.mime import RenderedMail, compose
from notifier.mails.reminder import reminder_context

__all__ = [
    "MAILS",
    "Mail",
    "MailEvent",
    "RenderedMail",
    "compose",
    "known_languages",
    "reminder_context",
    "render",
    "render_stored",
]
