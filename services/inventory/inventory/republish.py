"""Publishes all seat maps again: `python -m inventory.republish`, once events were lost.

Catalog and realtime replace their copies with them. Repeating the command is harmless.
(docs/runbooks/restore-a-backup.md)
"""

import asyncio
import sys

from chassis import mongo

from inventory import migrations, settings, store


async def republish() -> int:
    """Mark all seat maps as not published; returns how many there are."""
    marked = await store.Showtime.collection().update_many({}, {"$set": {"is_stale": True}})
    return marked.matched_count


async def _main() -> None:
    async with mongo.connected(settings.get(), migrations.SCHEMA):
        marked = await republish()
    sys.stdout.write(f"{marked} seat maps will be published\n")


if __name__ == "__main__":
    asyncio.run(_main())
