"""The mails: what each event becomes, the texts and templates, and their MIME form."""

from notifier.mails.kinds import MAILS, Mail, MailEvent, render, render_stored
from notifier.mails.mime import RenderedMail, compose

__all__ = ["MAILS", "Mail", "MailEvent", "RenderedMail", "compose", "render", "render_stored"]
