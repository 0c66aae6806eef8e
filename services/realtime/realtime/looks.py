"""Who looks at which seats: how many of the connections of all replicas have a seat in their selection just now.

A courtesy that nothing depends on: not stored, told often and in whole, and forgotten when it is not told again.
"""

from collections import Counter
from collections.abc import Hashable, Mapping

from realtime.model import Message

FORGET_AFTER_S = 15.0
"""A replica that has not told its looks for so long is gone."""


class Looks:
    """The looks at one showtime, as one replica knows them."""

    def __init__(self, showtime_id: str) -> None:
        self._showtime_id = showtime_id
        self._here: dict[Hashable, frozenset[str]] = {}
        self._elsewhere: dict[str, tuple[Mapping[str, int], float]] = {}
        self._told_clients: Mapping[str, int] = {}
        self._told_replicas: Mapping[str, int] = {}

    def look(self, who: Hashable, seats: frozenset[str]) -> None:
        """These are the seats that somebody here looks at now, instead of all before."""
        if seats:
            self._here[who] = seats
        else:
            self._here.pop(who, None)

    def learn(self, replica: str, seats: Mapping[str, int], at: float) -> None:
        """Take in what another replica told at `at` (any clock's seconds)."""
        self._elsewhere[replica] = seats, at

    @property
    def here(self) -> Counter[str]:
        """How many look at each seat on this replica."""
        return Counter(seat for seats in self._here.values() for seat in seats)

    def for_replicas(self) -> Mapping[str, int] | None:
        """What other replicas have not been told yet; None when they know."""
        here = self.here
        if here == self._told_replicas:
            return None
        self._told_replicas = here
        return here

    def for_clients(self, at: float) -> list[Message]:
        """What clients have not been told yet."""
        self._elsewhere = {
            replica: (seats, told_at)
            for replica, (seats, told_at) in self._elsewhere.items()
            if seats and told_at + FORGET_AFTER_S > at
        }
        everywhere = self.here
        for seats, _ in self._elsewhere.values():
            everywhere.update(seats)
        if everywhere == self._told_clients:
            return []
        self._told_clients = everywhere
        return [self.message()]

    def message(self) -> Message:
        """All looks as clients were told of them last."""
        return {"type": "seat:select", "showtime_id": self._showtime_id, "seats": dict(self._told_clients)}
