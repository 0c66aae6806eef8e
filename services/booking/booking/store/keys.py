"""Keys that sign or have signed tickets and links."""

import structlog
from pymongo.errors import DuplicateKeyError

from booking.store.documents import TicketKey

log = structlog.get_logger()


async def store_key(key: TicketKey) -> TicketKey:
    """Store the key unless its id already exists; returns the stored key, which is the same for every replica."""
    keys = TicketKey.get_pymongo_collection()
    try:
        await keys.insert_one(key.model_dump(by_alias=True))
    except DuplicateKeyError:
        log.info("ticket_key_known", key_id=key.id)
    return TicketKey.model_validate(await keys.find_one({"_id": key.id}))
