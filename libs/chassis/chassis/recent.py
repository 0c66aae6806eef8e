"""A cache of what this replica wrote last, so that the next event about the same object need not read it again.

Another replica may have changed the object since. So a decision that is based on a cached object must guard its write
with the object's version, and a rejection must be based on the stored object.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """An LRU cache of at most `most` objects, by id."""

    def __init__(self, most: int = 2000) -> None:
        self._most = most
        self._kept: OrderedDict[str, T] = OrderedDict()

    def keep(self, thing_id: str, thing: T) -> None:
        """Store an object in the cache."""
        self._kept[thing_id] = thing
        self._kept.move_to_end(thing_id)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def get(self, thing_id: str) -> T | None:
        """Return the cached object, which may be outdated."""
        return self._kept.get(thing_id)

    def forget(self, thing_id: str) -> None:
        """Invalidate the entry."""
        self._kept.pop(thing_id, None)
