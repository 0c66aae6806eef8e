"""Composition root of booking."""

from functools import partial

from chassis.app import create_service

from booking import api, handlers, jobs, migrations, settings, store
from booking.documents import Printer, connected, new_apple_wallet
from booking.signing import Signer

signer = Signer(settings.get().link_key)
manager = store.ProcessManager(signer)
showtimes = store.Showtimes(manager)
printer = Printer()
apple = new_apple_wallet(settings.get())
app = create_service(
    settings.get(),
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    handlers=handlers.handlers(manager, showtimes, apple),
    jobs=jobs.jobs(manager, showtimes),
    privacy=handlers.privacy(manager, signer),
    lifespans=[partial(store.signing, signer), lambda _: printer.running(), lambda _: connected(apple)],
)
app.state.apple, app.state.promotions = apple, store.Promotions()
app.state.signer, app.state.manager, app.state.showtimes, app.state.printer = signer, manager, showtimes, printer
