"""Counts what a client network or an address may do only so often. The ids are hashes."""

from datetime import datetime, timedelta
from math import ceil

from chassis.security.secrets import hash_secret

from booking.model import MAX_OFFERS_TO_ADDRESS, TooManyTransfers
from booking.store.documents import CodeAttempts, code_attempts

OFFERS_WINDOW = timedelta(days=1)


async def count_attempt(key: str, moment: datetime, window: timedelta) -> CodeAttempts:
    """Count an attempt before it is made, so that concurrent ones cannot all see zero; return the count."""
    is_over = {"$lte": [{"$ifNull": ["$expires_at", moment]}, moment]}
    count = {
        "attempts": {"$cond": [is_over, 1, {"$add": ["$attempts", 1]}]},
        "expires_at": {"$cond": [is_over, moment + window, "$expires_at"]},
    }
    while (entry := await code_attempts.update_and_get({"_id": key}, [{"$set": count}], upsert=True)) is None:
        pass  # another request has just inserted it
    return entry


async def count_offer(email: str, moment: datetime) -> None:
    """Count an offer of a ticket to an address, over all senders. Raises TooManyTransfers.

    The limit of each ticket is not enough: an exchange, or a refund and another purchase, makes new tickets.
    """
    entry = await count_attempt(hash_secret(f"offers {email}"), moment, OFFERS_WINDOW)
    if entry.attempts > MAX_OFFERS_TO_ADDRESS:
        seconds = ceil((entry.expires_at - moment).total_seconds())
        raise TooManyTransfers("Too many tickets were offered to this address today.", retry_after=max(1, seconds))
