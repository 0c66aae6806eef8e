"""What this replica wrote last, so that the next event about the same thing need not read it again.

Another replica may have written since, so whoever decides on it guards the write with the version that it was decided
on, and what speaks against the write is decided by what is stored.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The `most` things that were kept last, by id."""

    def __init__(self, most: int = 2000) -> None:
        self._most = most
        self._kept: OrderedDict[str, T] = OrderedDict()

    def keep(self, thing_id: str, thing: T) -> None:
        """Remember the thing as it is now."""
        self._kept[thing_id] = thing
        self._kept.move_to_end(thing_id)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def get(self, thing_id: str) -> T | None:
        """The thing as it was when it was kept."""
        return self._kept.get(thing_id)

    def forget(self, thing_id: str) -> None:
        """It is not as it was kept."""
        self._kept.pop(thing_id, None)
