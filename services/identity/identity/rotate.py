"""The next signing key: `python -m identity.rotate` (docs/runbooks/rotate-a-key.md).

It is published at once and signs after NOTICE, when every service has asked for the keys again. Keys whose last token
has run out go. The service does the same by itself every KEY_ROTATION_DAYS. With `--at-once`, for a key that leaked,
the new one signs now and all others go: who is signed in gets a new access token with the refresh token.
"""

import argparse
import asyncio
import sys
from datetime import datetime, timedelta

import structlog
from chassis import mongo
from chassis.clock import now

from identity import keys, settings, store
from identity.store import SigningKey

log = structlog.get_logger()
NOTICE = timedelta(minutes=10)
"""Twice as long as anybody may keep the published keys (api.well_known); the services keep them for a minute."""


async def rotate(*, at_once: bool) -> list[SigningKey]:
    """Add the next key and drop those that nothing needs; returns what is left, the newest first.

    Raises RuntimeError when somebody else makes the same generation.
    """
    moment = now()
    kept = await store.signing_keys()
    if not await _add_next(kept, moment if at_once else moment + NOTICE):
        raise RuntimeError("somebody else is rotating, too; look before you try again")
    if at_once:
        for leaked in kept:
            await leaked.delete()
    return await _without_ended(moment)


async def rotate_when_due() -> None:
    """The same on a schedule: the next key when the newest is old enough, and those go whose last token has run out.

    When two replicas find it due at once, the generation's unique index lets one of them make the key.
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
    """What is left, the newest first, once those are gone whose successor has signed for longer than a token lasts."""
    kept = await store.signing_keys()
    for old, successor in zip(kept[1:], kept, strict=False):
        if successor.not_before + settings.get().access_token_lifetime < moment:
            await old.delete()
            log.info("signing_key_dropped", generation=old.generation)
    return await store.signing_keys()


async def main(*, at_once: bool) -> None:
    """Rotate and show the keys."""
    async with mongo.connected(settings.get(), store.DOCUMENTS):
        for key in await rotate(at_once=at_once):
            sys.stdout.write(f"{key.id}  generation {key.generation}  signs from {_shown(key.not_before)}\n")


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds") if moment.timestamp() else "the beginning"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m identity.rotate", description=__doc__)
    parser.add_argument("--at-once", action="store_true", help="the present key leaked")
    asyncio.run(main(at_once=parser.parse_args().at_once))
