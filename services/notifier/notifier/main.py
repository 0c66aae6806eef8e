"""Composition root of the notifier."""

from chassis.app import create_service

from notifier import api, handlers, jobs, migrations, settings
from notifier.delivery import Sender
from notifier.smtp import SmtpClient

smtp = SmtpClient(settings.get())
sender = Sender(settings.get(), smtp)
app = create_service(
    settings.get(),
    routers=[api.router],
    schema=migrations.SCHEMA,
    handlers=handlers.handlers(sender),
    jobs=jobs.jobs(sender),
    privacy=handlers.PRIVACY,
    lifespans=[lambda _: sender],
)
