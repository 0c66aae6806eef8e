"""The next signing key: `python -m identity.rotate` (docs/runbooks/rotate-a-key.md).

The key is published at once and signs ten minutes later, when every service has fetched the keys again. Keys whose last
token has expired are removed. The service does the same every KEY_ROTATION_DAYS. With `--at-once`, for a leaked key,
the new one signs immediately and all others are removed; signed-in clients get a new access token by refreshing.
"""

import argparse
import asyncio
import sys
from datetime import datetime

from chassis.mongo.connection import connected

from identity import migrations, settings
from identity.keys import SigningKeys


async def main(*, at_once: bool) -> None:
    """Rotate and show the keys."""
    chosen = settings.get()
    async with connected(chosen, migrations.SCHEMA):
        for key in await SigningKeys(chosen).rotate(at_once=at_once):
            sys.stdout.write(f"{key.id}  generation {key.generation}  signs from {_shown(key.not_before)}\n")


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds") if moment.timestamp() else "the beginning"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m identity.rotate", description=__doc__)
    parser.add_argument("--at-once", action="store_true", help="the current key leaked")
    asyncio.run(main(at_once=parser.parse_args().at_once))
