"""The one change of stored showtimes for the release of 2026-12: `python -m inventory.upgrade`.

Catalog and realtime used to follow single holds and sales; now they keep copies of whole seat maps. So inventory
must publish the map of each showtime once. Repeating the command is harmless.
"""

import asyncio
import sys

from chassis import mongo

from inventory import settings, store


async def upgrade() -> int:
    """Mark all seat maps as not published; returns how many there are."""
    marked = await store.Showtime.collection().update_many({}, {"$set": {"is_stale": True}})
    return marked.matched_count


async def _main() -> None:
    async with mongo.connected(settings.get(), store.DOCUMENTS):
        marked = await upgrade()
    sys.stdout.write(f"{marked} seat maps will be published\n")


if __name__ == "__main__":
    asyncio.run(_main())
