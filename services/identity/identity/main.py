"""Composition root of identity."""

from chassis.app import create_service

from identity import api, handlers, jobs, migrations, settings, store
from identity.keys import SigningKeys
from identity.passwords import Passwords

chosen = settings.get()
signing_keys = SigningKeys(chosen)
app = create_service(
    chosen,
    routers=api.ROUTERS,
    schema=migrations.SCHEMA,
    handlers=handlers.HANDLERS,
    jobs=jobs.jobs(signing_keys),
    keys=signing_keys.published,
    revoked=store.revocations,
)
app.state.signing_keys = signing_keys
app.state.passwords = Passwords(chosen)
