"""The mails: what each event becomes, the texts and templates, and their MIME form."""

from notifier.mails.kinds import MAILS, Mail, MailEvent, render, render_stored
from notifier.mails.mime import RenderedMail, compose
from notifier.mails.reminder import reminder_context

__all__ = ["MAILS", "Mail", "MailEvent", "RenderedMail", "compose", "reminder_context", "render", "render_stored"]
