"""Seat presence: how many connections, over all replicas, have each seat in their current selection.

A hint for customers that nothing depends on. It is not stored. Replicas send it often and completely, and forget what
is not sent again.
"""

from collections import Counter
from collections.abc import Hashable, Mapping

from realtime.model.seat_map import Message

FORGET_AFTER_S = 15.0
"""A replica that has sent no presence for this long is gone."""


class SeatPresence:
    """The presence of one showtime, as one replica knows it."""

    def __init__(self, showtime_id: str) -> None:
        self._showtime_id = showtime_id
        self._here: dict[Hashable, frozenset[str]] = {}
        self._elsewhere: dict[str, tuple[Mapping[str, int], float]] = {}
        self._sent_to_clients: Mapping[str, int] = {}
        self._sent_to_replicas: Mapping[str, int] = {}

    def select(self, who: Hashable, seats: frozenset[str]) -> None:
        """Replace the selection of one connection of this replica."""
        if seats:
            self._here[who] = seats
        else:
            self._here.pop(who, None)

    def receive(self, replica: str, seats: Mapping[str, int], at: float) -> None:
        """Store what another replica sent. `at` is the time of arrival in seconds, by any one clock."""
        self._elsewhere[replica] = seats, at

    @property
    def here(self) -> Counter[str]:
        """How many connections of this replica have each seat selected."""
        return Counter(seat for seats in self._here.values() for seat in seats)

    def for_replicas(self) -> Mapping[str, int] | None:
        """This replica's counts when they differ from what was sent last, else None."""
        here = self.here
        if here == self._sent_to_replicas:
            return None
        self._sent_to_replicas = here
        return here

    def for_clients(self, at: float) -> list[Message]:
        """The message for clients when the counts differ from what was sent last, else nothing."""
        self._elsewhere = {
            replica: (seats, received_at)
            for replica, (seats, received_at) in self._elsewhere.items()
            if seats and received_at + FORGET_AFTER_S > at
        }
        everywhere = self.here
        for seats, _ in self._elsewhere.values():
            everywhere.update(seats)
        if everywhere == self._sent_to_clients:
            return []
        self._sent_to_clients = everywhere
        return [self.message()]

    def message(self) -> Message:
        """The counts that were sent to clients last, as a message."""
        return {"type": "seat:select", "showtime_id": self._showtime_id, "seats": dict(self._sent_to_clients)}
