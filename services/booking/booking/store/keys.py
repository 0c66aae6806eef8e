"""Keys that tickets and links are or were signed with."""

import structlog
from beanie.odm.utils.dump import get_dict
from pymongo.errors import DuplicateKeyError

from booking.store.documents import TicketKey

log = structlog.get_logger()


async def keep_key(key: TicketKey) -> TicketKey:
    """Store the key unless its id is taken; returns the stored one, the same for every replica."""
    keys = TicketKey.get_pymongo_collection()
    try:
        await keys.insert_one(get_dict(key, to_db=True))
    except DuplicateKeyError:
        log.info("ticket_key_known", key_id=key.id)
    return TicketKey.model_validate(await keys.find_one({"_id": key.id}))
