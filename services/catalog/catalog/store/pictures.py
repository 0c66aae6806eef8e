"""Uploaded pictures, each a document with the digest of its content as id.

Re-encoded pictures are far smaller than the limit of a document, so one read returns a picture; GridFS would need
three. The content of an id never changes, so clients may cache it forever.
"""

from datetime import datetime, timedelta
from hashlib import blake2b

from beanie import Document
from chassis.clock import now
from chassis.mongo.collection import Collection
from contracts.types import Moment

from catalog.store.movies import KINDS, PictureRef, movies
from catalog.store.reading import index

UNUSED_KEPT = timedelta(days=1)
"""Pages from before a picture was replaced may still request it."""
LOOKED_UP_AT_ONCE = 500


class Picture(Document):
    """A picture as WebP."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    data: bytes
    stored_at: Moment

    class Settings:
        name = "pictures"
        indexes = [index("stored_at")]


pictures = Collection(Picture)


async def store_picture(data: bytes, width: int, height: int) -> PictureRef:
    """Store a picture for at least a day, within which a film must refer to it."""
    picture_id = blake2b(data, digest_size=16).hexdigest()
    change = {"$set": {"stored_at": now()}, "$setOnInsert": {"data": data}}
    await pictures.merge(picture_id, change)
    return PictureRef(picture_id=picture_id, width=width, height=height)


async def picture(picture_id: str) -> bytes | None:
    """A picture's bytes."""
    found = await pictures.get(picture_id)
    return found.data if found else None


async def drop_unused_pictures(moment: datetime) -> int:
    """Delete old pictures that no film uses; returns their number."""
    old = {"stored_at": {"$lt": moment - UNUSED_KEPT}}
    dropped, batch = 0, [each["_id"] async for each in pictures.rows(old, ["_id"])]
    for at in range(0, len(batch), LOOKED_UP_AT_ONCE):
        ids = batch[at : at + LOOKED_UP_AT_ONCE]
        used = {each for kind in KINDS for each in await _used_as(kind, ids)}
        # The deletion checks the age again: a picture that was just stored again is about to be used.
        unused = {"_id": {"$in": [each for each in ids if each not in used]}, **old}
        dropped += await pictures.delete_many(unused)
    return dropped


async def _used_as(kind: str, ids: list[str]) -> list[str]:
    place = f"{kind}.picture_id"
    return await movies.distinct(place, {place: {"$in": ids}})
