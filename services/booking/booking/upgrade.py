"""The one change of stored bookings for the release of 2026-12: `python -m booking.upgrade`. Repeating it is harmless.

A booking used to begin as `held`, before the checkout. Now it begins with the checkout: bookings that are still `held`
are removed, and their customers check out with the claim that `GET /api/holds/{id}` answers. The new
release finishes every other booking as it is stored.
"""

import asyncio
import sys

from chassis import mongo

from booking import settings, store


async def upgrade() -> int:
    """Remove the bookings that were never checked out; returns how many."""
    removed = await store.Booking.collection().delete_many({"state": "held"})
    return removed.deleted_count


async def _main() -> None:
    async with mongo.connected(settings.get(), store.DOCUMENTS):
        removed = await upgrade()
        left = [f"{count} {state}" async for state, count, _ in store.open_sagas()]
    sys.stdout.write(f"removed {removed} held bookings; under way: {', '.join(sorted(left)) or 'none'}\n")


if __name__ == "__main__":
    asyncio.run(_main())
