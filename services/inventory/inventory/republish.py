"""Publish all seat maps again, after events were lost: `python -m inventory.republish`.

Catalog and realtime replace their copies with them. The command can be repeated safely.
See docs/runbooks/restore-a-backup.md.
"""

import asyncio
import sys

from chassis.mongo.connection import connected

from inventory import migrations, settings, store


async def republish() -> int:
    """Mark all seat maps as stale, so that the job publishes them again. Returns their number."""
    await store.showtimes.update_many({}, {"$set": {"is_stale": True}})
    return await store.showtimes.count({})


async def _main() -> None:
    async with connected(settings.get(), migrations.SCHEMA):
        marked = await republish()
    sys.stdout.write(f"{marked} seat maps will be published\n")


if __name__ == "__main__":
    asyncio.run(_main())
