"""The next signing key: `python -m identity.rotate` (docs/runbooks/rotate-a-key.md).

It is published at once and signs after NOTICE, when every service has asked for the keys again. Keys whose last token
has run out go. With `--at-once`, for a key that leaked, the new one signs now and all others go: who is signed in gets
a new access token with the refresh token.
"""

import argparse
import asyncio
import sys
from datetime import datetime, timedelta

from chassis import mongo
from chassis.clock import now

from identity import keys, settings, store
from identity.store import SigningKey

NOTICE = timedelta(minutes=10)
"""Twice as long as a service keeps the keys (chassis.auth)."""


async def rotate(*, at_once: bool) -> list[SigningKey]:
    """Add the next key and drop those that nothing needs; returns what is left, the newest first."""
    moment = now()
    kept = await store.signing_keys()
    fresh = keys.new_key(
        generation=kept[0].generation + 1 if kept else 1, not_before=moment if at_once else moment + NOTICE
    )
    if not await store.add_signing_key(fresh):
        raise RuntimeError("somebody else is rotating, too; look before you try again")
    for old, successor in zip(kept, [fresh, *kept], strict=False):
        if at_once or successor.not_before + settings.get().access_token_lifetime < moment:
            await old.delete()
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
