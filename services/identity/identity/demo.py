"""Three demo accounts: `python -m identity.demo`. Existing ones stay unchanged.

Their password is public, so there are none unless PUBLIC_URL is on this machine.
"""

import asyncio

import structlog
from chassis.clock import now
from chassis.mongo.connection import connected
from chassis.observability import telemetry

from identity import migrations, settings, store
from identity.model import EmailTaken, Role
from identity.passwords import Passwords

log = structlog.get_logger()
PASSWORD = "popcorn-and-a-movie"  # noqa: S105 - public on purpose: demo accounts only
PEOPLE: dict[str, tuple[str, list[Role]]] = {
    "customer@usher.example": ("Cleo Customer", ["customer"]),
    "staff@usher.example": ("Sam Staff", ["box_office", "door_staff"]),
    "admin@usher.example": ("Ada Admin", ["admin"]),
}


async def load() -> None:
    """Insert the demo accounts. The running service publishes their events."""
    hashing = Passwords(settings.get())
    for email, (name, roles) in PEOPLE.items():
        password_hash = await hashing.hash(PASSWORD)
        user = store.User(email=email, name=name, roles=roles, password_hash=password_hash, registered_at=now())
        try:
            await store.add_user(user)
        except EmailTaken:
            log.info("demo_user_kept", name=name)
        else:
            log.info("demo_user_added", name=name, roles=roles)
    await store.enter_missing()


async def main() -> None:
    """Load into the configured database."""
    chosen = settings.get()
    telemetry.configure_logging(chosen.service, chosen.log_level)
    if not chosen.is_local:
        log.warning("demo_users_refused", reason="their password is public, and PUBLIC_URL is not on this machine")
        return
    async with connected(chosen, migrations.SCHEMA):
        await load()


if __name__ == "__main__":
    asyncio.run(main())
