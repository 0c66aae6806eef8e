"""The next signing key: `python -m identity.rotate` (docs/runbooks/rotate-a-key.md).

The key is published at once and signs after NOTICE, when every service has fetched the keys again. Keys whose last
token has expired are removed. The service does the same every KEY_ROTATION_DAYS. With `--at-once`, for a leaked key,
the new one signs immediately and all others are removed; signed-in clients get a new access token by refreshing.
"""

import argparse
import asyncio
import sys
from datetime import datetime, timedelta

import structlog
from chassis.clock import now
from chassis.mongo.connection import connected

from identity import keys, migrations, settings, store
from identity.store import SigningKey

log = structlog.get_logger()
NOTICE = timedelta(minutes=10)
"""Twice as long as the published keys may be cached (api.well_known); the services cache them for a minute."""


async def rotate(*, at_once: bool) -> list[SigningKey]:
    """Add the next key and remove those that are not needed; returns the remaining ones, the newest first.

    Raises RuntimeError when another process creates the same generation.
    """
    moment = now()
    kept = await store.signing_keys()
    if not await _add_next(kept, moment if at_once else moment + NOTICE):
        raise RuntimeError("another process is rotating the keys; check them before you try again")
    if at_once:
        for leaked in kept:
            await store.delete_signing_key(leaked)
    return await _without_ended(moment)


async def rotate_when_due() -> None:
    """Rotate on schedule: add a key when the newest is old enough, and remove keys whose last token has expired.

    When two replicas do it at the same time, the unique index on the generation lets one of them create the key.
    """
    chosen, moment = settings.get(), now()
    kept = await store.signing_keys()
    is_due = kept and kept[0].made_at + chosen.key_rotation <= moment
    if is_due and chosen.signing_key_pem is None and await _add_next(kept, moment + NOTICE):
        log.info("signing_key_added", generation=kept[0].generation + 1)
    await _without_ended(moment)


async def _add_next(kept: list[SigningKey], not_before: datetime) -> bool:
    fresh = keys.new_key(generation=kept[0].generation + 1 if kept else 1, not_before=not_before)
    return await store.add_signing_key(fresh)


async def _without_ended(moment: datetime) -> list[SigningKey]:
    """The keys, newest first, without those whose successor has signed for longer than a token's lifetime."""
    kept = await store.signing_keys()
    for old, successor in zip(kept[1:], kept, strict=False):
        if successor.not_before + settings.get().access_token_lifetime < moment:
            await store.delete_signing_key(old)
            log.info("signing_key_dropped", generation=old.generation)
    return await store.signing_keys()


async def main(*, at_once: bool) -> None:
    """Rotate and show the keys."""
    async with connected(settings.get(), migrations.SCHEMA):
        for key in await rotate(at_once=at_once):
            sys.stdout.write(f"{key.id}  generation {key.generation}  signs from {_shown(key.not_before)}\n")


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds") if moment.timestamp() else "the beginning"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m identity.rotate", description=__doc__)
    parser.add_argument("--at-once", action="store_true", help="the current key leaked")
    asyncio.run(main(at_once=parser.parse_args().at_once))
