"""Who follows which showtime, who is who, who looks at which seats: all that one instance shows to its clients."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from chassis.auth import Principal
from chassis.clock import now
from chassis.ids import new_id
from contracts.errors import Problem
from contracts.realtime import SeatsLookedAt
from contracts.types import Holder
from prometheus_client import Counter as Count
from prometheus_client import Gauge

from realtime import store
from realtime.lines import Line, frame
from realtime.looks import Looks
from realtime.model import Message, NotSubscribed, Recent, SeatMap, ShownChange, UnknownSeat, owner_key
from realtime.settings import Settings
from realtime.upkeep import kept_up

Publish = Callable[[SeatsLookedAt], Awaitable[None]]
MAX_SECRETS = 10
LOOKS_S, RETELL_LOOKS_S = 0.25, 5.0
BEAT_AT_ONCE = 500
_connected = Gauge("usher_realtime_connections", "Open WebSocket connections")
_sent = Count("usher_realtime_messages_total", "Messages handed to connections", ["type"])


class Room:
    """A showtime that somebody follows here."""

    def __init__(self, seat_map: SeatMap) -> None:
        seat_map.unsent()
        self.map, self.looks = seat_map, Looks(seat_map.showtime_id)
        self.members: set[Line] = set()
        self._next_at, self._planned = 0.0, False

    def show(self, pause: float) -> None:
        """Tell everybody what has changed: at once, but in a burst all of `pause` seconds together."""
        if self._planned:
            return
        loop = asyncio.get_running_loop()
        if (left := self._next_at - loop.time()) > 0:
            self._planned = True
            loop.call_later(left, self._show, pause)
        else:
            self._show(pause)

    def _show(self, pause: float) -> None:
        self._planned = False
        self._next_at = asyncio.get_running_loop().time() + pause
        self.tell(self.map.unsent())

    def tell(self, messages: list[Message]) -> None:
        """Send messages to everybody here, each encoded once."""
        if not messages:
            return
        frames = b"".join(map(encoded, messages))
        for member in self.members:
            member.send(frames)
        for message in messages:
            _sent.labels(message["type"]).inc(len(self.members))


class Hub:
    """Everything that one instance shows to its clients. Runs on one event loop.

    `publish` tells the other instances.
    """

    def __init__(self, settings: Settings, publish: Publish) -> None:
        self._settings, self._publish = settings, publish
        self._instance_id = new_id()
        self._rooms: dict[str, Room] = {}
        self._looked_at: set[Room] = set()
        self._recent = Recent(settings.recent_events)
        self._owners: defaultdict[str, set[Line]] = defaultdict(set)
        self._lines: dict[Line, str] = {}
        self._addresses: Counter[str] = Counter()

    def has_place_for(self, address: str) -> bool:
        """Whether one more connection is taken from there."""
        return (
            len(self._lines) < self._settings.max_connections
            and self._addresses[address] < self._settings.max_connections_per_address
        )

    def new_line(self, address: str) -> Line:
        """A line for a client at this address, that counts from now on. `leave` is to be called when it has ended."""
        line = Line(most_unsent=self._settings.max_unsent_bytes, most_said=self._settings.max_messages_per_beat)
        self._lines[line] = address
        self._addresses[address] += 1
        _connected.set(len(self._lines))
        return line

    def leave(self, line: Line) -> None:
        """Take a line out of everything."""
        address = self._lines.pop(line)
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]
        _connected.set(len(self._lines))
        for showtime_id in list(line.showtimes):
            self.unsubscribe(line, showtime_id)
        self._forget_owner(line, set(line.keys))

    async def subscribe(self, line: Line, showtime_id: str) -> None:
        """Send the snapshot, and from then on what changes. Raises UnknownShowtime."""
        room = self._rooms.get(showtime_id)
        if room is None:
            seat_map = await self.seat_map(showtime_id)
            # No await between reading the recent changes and opening the room: the next change finds it.
            room = self._rooms.setdefault(showtime_id, Room(seat_map))
        room.members.add(line)
        line.showtimes.add(showtime_id)
        line.send(encoded(room.map.message()) + encoded(room.looks.message()))

    async def seat_map(self, showtime_id: str) -> SeatMap:
        """The stored map with the changes that were received since. Raises UnknownShowtime."""
        seat_map = await store.seat_map(showtime_id)
        for change in self._recent.of(showtime_id):
            seat_map.apply(change)
        return seat_map

    def unsubscribe(self, line: Line, showtime_id: str) -> None:
        """Stop; the last one out closes the room."""
        line.showtimes.discard(showtime_id)
        if room := self._rooms.get(showtime_id):
            room.members.discard(line)
            room.looks.look(line, frozenset())
            self._looked_at.add(room)
            if not room.members:
                del self._rooms[showtime_id]

    def show(self, change: ShownChange) -> None:
        """Show a change to all clients that follow the showtime."""
        self._recent.add(change)
        if room := self._rooms.get(change.showtime_id):
            room.map.apply(change)
            room.show(self._settings.burst_seconds)

    def look(self, line: Line, showtime_id: str, seats: frozenset[str]) -> None:
        """These are the seats that a client looks at now. Raises NotSubscribed and UnknownSeat."""
        room = self._rooms.get(showtime_id)
        if room is None or line not in room.members:
            raise NotSubscribed
        if not seats <= room.map.seat_ids:
            raise UnknownSeat
        room.looks.look(line, seats)
        self._looked_at.add(room)

    def learn_looks(self, event: SeatsLookedAt) -> None:
        """Another instance tells who looks at what there."""
        if event.instance_id != self._instance_id and (room := self._rooms.get(event.showtime_id)):
            room.looks.learn(event.instance_id, event.seats, asyncio.get_running_loop().time())
            self._looked_at.add(room)

    def identify(self, line: Line, principal: Principal) -> None:
        """Send this person's booking updates here until the token expires; a newer token replaces an older one."""
        self._forget_owner(line, {key for key in line.keys if key.startswith("user:")})
        self._add_owner(line, owner_key(Holder(user_id=principal.user_id)))
        if line.expiry is not None:
            line.expiry.cancel()
        remaining = principal.expires_at - now().timestamp()
        line.expiry = asyncio.get_running_loop().call_later(max(0, remaining), self._expire, line)

    def identify_guest(self, line: Line, secret_hash: str) -> bool:
        """Send the booking updates of a guest's hold here; False when the connection follows too many already."""
        key = owner_key(Holder(secret_hash=secret_hash))
        if key not in line.keys and len(line.keys) >= MAX_SECRETS:
            return False
        self._add_owner(line, key)
        return True

    def has_owner(self, key: str) -> bool:
        """Whether anybody is connected here whom a message with this key is for. Most events' owners are not."""
        return key in self._owners

    def tell(self, key: str, message: Message) -> None:
        """Send a message to its owner's connections only."""
        owners = self._owners.get(key, set())
        frames = encoded(message)
        for line in owners:
            line.send(frames)
        _sent.labels(message["type"]).inc(len(owners))

    def expel(self, user_id: str) -> None:
        """Send a person's booking updates nowhere until they authenticate again: their tokens have become void."""
        key = owner_key(Holder(user_id=user_id))
        for line in list(self._owners.get(key, ())):
            self._forget_owner(line, {key})
            line.send(error("token_revoked", "The access token is void. Authenticate again for your bookings."))

    def _expire(self, line: Line) -> None:
        self._forget_owner(line, {key for key in line.keys if key.startswith("user:")})
        line.send(error("token_expired", "The access token has expired. Authenticate again for your bookings."))

    def _add_owner(self, line: Line, key: str) -> None:
        line.keys.add(key)
        self._owners[key].add(line)

    def _forget_owner(self, line: Line, keys: set[str]) -> None:
        if line.expiry is not None and any(key.startswith("user:") for key in keys):
            line.expiry.cancel()
            line.expiry = None
        for key in keys:
            line.keys.discard(key)
            self._owners[key].discard(line)
            if not self._owners[key]:
                del self._owners[key]

    @asynccontextmanager
    async def running(self, _: Settings) -> AsyncIterator[None]:
        """Keep what is shown in step with the database, the other instances and the clients while the service runs."""
        chosen = self._settings
        often = (self.tell_looks, LOOKS_S), (self.retell_looks, RETELL_LOOKS_S)
        async with kept_up((self.refresh, chosen.refresh_seconds), (self.beat, chosen.beat_seconds), *often):
            yield

    async def refresh(self) -> None:
        """Show the stored snapshots that are newer than those shown: they heal what was lost or reordered."""
        if not self._rooms:
            return
        shown = {showtime_id: room.map.snapshot_version for showtime_id, room in self._rooms.items()}
        for snapshot in await store.newer_snapshots(shown):
            if room := self._rooms.get(snapshot.showtime_id):
                room.map.replace(snapshot)
                room.show(self._settings.burst_seconds)

    async def beat(self) -> None:
        """Ask all clients whether they are still there."""
        for number, line in enumerate(list(self._lines), 1):
            line.beat()
            if number % BEAT_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def tell_looks(self) -> None:
        """Tell clients and other instances of looks that have changed."""
        changed, self._looked_at = self._looked_at, set()
        for room in changed:
            room.tell(room.looks.for_clients(asyncio.get_running_loop().time()))
            if (seats := room.looks.for_replicas()) is not None:
                await self._share(room, seats)

    async def retell_looks(self) -> None:
        """Tell other instances of all looks, also those that opened a room since, and forget those that are gone."""
        self._looked_at.update(self._rooms.values())
        for room in list(self._rooms.values()):
            if here := room.looks.here:
                await self._share(room, here)

    async def _share(self, room: Room, seats: Mapping[str, int]) -> None:
        await self._publish(
            SeatsLookedAt(instance_id=self._instance_id, showtime_id=room.map.showtime_id, seats=dict(seats))
        )


def encoded(message: Message) -> bytes:
    """A message as it goes over the wire, to anybody."""
    return frame(json.dumps(message, separators=(",", ":")))


def error(code: str, detail: str, **about: Any) -> bytes:
    """An error message. `code` is stable, `detail` is for a person."""
    return encoded({"type": "error", "code": code, "detail": detail, **about})


def problem(raised: Problem, **about: Any) -> bytes:
    """A domain error as an error message."""
    return error(raised.code, raised.detail, **about)
