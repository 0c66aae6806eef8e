"""The clients of one replica: their subscriptions, identities and selected seats, and the messages sent to them."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from chassis.clock import now
from chassis.ids import new_id
from chassis.periodic import periodic
from chassis.security.auth import Principal
from contracts.errors import Problem
from contracts.realtime import SeatsLookedAt
from contracts.types import Holder
from prometheus_client import Counter as Count
from prometheus_client import Gauge

from realtime import store
from realtime.hub.connections import Connection, frame
from realtime.model import (
    Message,
    NotSubscribed,
    RecentChanges,
    SeatMap,
    SeatPresence,
    ShownChange,
    UnknownSeat,
    owner_key,
)
from realtime.settings import Settings

Publish = Callable[[SeatsLookedAt], Awaitable[None]]
MAX_SECRETS = 10
SEND_PRESENCE_S, RESEND_PRESENCE_S = 0.25, 5.0
HEARTBEATS_AT_ONCE = 500
_connected = Gauge("usher_realtime_connections", "Open WebSocket connections")
_sent = Count("usher_realtime_messages_total", "Messages handed to connections", ["type"])


class Room:
    """A showtime with at least one subscriber on this replica."""

    def __init__(self, seat_map: SeatMap) -> None:
        seat_map.unsent()
        self.map, self.presence = seat_map, SeatPresence(seat_map.showtime_id)
        self.members: set[Connection] = set()
        self._next_at, self._planned = 0.0, False

    def send_changes(self, pause: float) -> None:
        """Send what has changed to all members: at once, but during a burst once every `pause` seconds."""
        if self._planned:
            return
        loop = asyncio.get_running_loop()
        if (left := self._next_at - loop.time()) > 0:
            self._planned = True
            loop.call_later(left, self._send_changes, pause)
        else:
            self._send_changes(pause)

    def _send_changes(self, pause: float) -> None:
        self._planned = False
        self._next_at = asyncio.get_running_loop().time() + pause
        self.send(self.map.unsent())

    def send(self, messages: list[Message]) -> None:
        """Send messages to all members; each message is encoded once."""
        if not messages:
            return
        frames = b"".join(map(encoded, messages))
        for member in self.members:
            member.send(frames)
        for message in messages:
            _sent.labels(message["type"]).inc(len(self.members))


class Hub:
    """The clients of one replica and everything that is sent to them. Runs on one event loop.

    `publish` sends presence to the other replicas.
    """

    def __init__(self, settings: Settings, publish: Publish) -> None:
        self._settings, self._publish = settings, publish
        self._replica_id = new_id()
        self._rooms: dict[str, Room] = {}
        self._changed_presence: set[Room] = set()
        self._recent = RecentChanges(settings.recent_events)
        self._owners: defaultdict[str, set[Connection]] = defaultdict(set)
        self._connections: dict[Connection, str] = {}
        self._addresses: Counter[str] = Counter()

    def has_place_for(self, address: str) -> bool:
        """Whether the limits allow one more connection from this address."""
        return (
            len(self._connections) < self._settings.max_connections
            and self._addresses[address] < self._settings.max_connections_per_address
        )

    def open_connection(self, address: str) -> Connection:
        """Count a new connection from this address and return it. Call `leave` when it has ended."""
        connection = Connection(
            max_unsent_bytes=self._settings.max_unsent_bytes, max_messages=self._settings.max_messages_per_heartbeat
        )
        self._connections[connection] = address
        self._addresses[address] += 1
        _connected.set(len(self._connections))
        return connection

    def leave(self, connection: Connection) -> None:
        """Remove a connection that has ended."""
        address = self._connections.pop(connection)
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]
        _connected.set(len(self._connections))
        for showtime_id in list(connection.showtimes):
            self.unsubscribe(connection, showtime_id)
        self._forget_owner(connection, set(connection.keys))

    async def subscribe(self, connection: Connection, showtime_id: str) -> None:
        """Send the snapshot, then every change. Raises UnknownShowtime and ShowtimeNotReady."""
        room = self._rooms.get(showtime_id)
        if room is None:
            seat_map = await self.seat_map(showtime_id)
            # There is no await between reading the recent changes and opening the room, so the room misses no change.
            room = self._rooms.setdefault(showtime_id, Room(seat_map))
        room.members.add(connection)
        connection.showtimes.add(showtime_id)
        connection.send(encoded(room.map.message()) + encoded(room.presence.message()))

    async def seat_map(self, showtime_id: str) -> SeatMap:
        """The stored map with the changes that were received since. Raises UnknownShowtime and ShowtimeNotReady."""
        seat_map = await store.seat_map(showtime_id)
        for change in self._recent.of(showtime_id):
            seat_map.apply(change)
        return seat_map

    def unsubscribe(self, connection: Connection, showtime_id: str) -> None:
        """Stop sending changes. The room closes when its last member leaves."""
        connection.showtimes.discard(showtime_id)
        if room := self._rooms.get(showtime_id):
            room.members.discard(connection)
            room.presence.select(connection, frozenset())
            self._changed_presence.add(room)
            if not room.members:
                del self._rooms[showtime_id]

    def apply(self, change: ShownChange) -> None:
        """Apply a change and send it to the subscribers of its showtime."""
        self._recent.add(change)
        if room := self._rooms.get(change.showtime_id):
            room.map.apply(change)
            room.send_changes(self._settings.burst_seconds)

    def select(self, connection: Connection, showtime_id: str, seats: frozenset[str]) -> None:
        """Replace the seats that a client has selected. Raises NotSubscribed and UnknownSeat."""
        room = self._rooms.get(showtime_id)
        if room is None or connection not in room.members:
            raise NotSubscribed
        if not seats <= room.map.seat_ids:
            raise UnknownSeat
        room.presence.select(connection, seats)
        self._changed_presence.add(room)

    def receive_presence(self, event: SeatsLookedAt) -> None:
        """Store the presence that another replica has sent."""
        if event.instance_id != self._replica_id and (room := self._rooms.get(event.showtime_id)):
            room.presence.receive(event.instance_id, event.seats, asyncio.get_running_loop().time())
            self._changed_presence.add(room)

    def identify(self, connection: Connection, principal: Principal) -> None:
        """Send this person's booking updates here until the token expires. A new token replaces the old one."""
        self._forget_owner(connection, {key for key in connection.keys if key.startswith("user:")})
        self._add_owner(connection, owner_key(Holder(user_id=principal.user_id)))
        if connection.expiry is not None:
            connection.expiry.cancel()
        remaining = principal.expires_at - now().timestamp()
        connection.expiry = asyncio.get_running_loop().call_later(max(0, remaining), self._expire, connection)

    def identify_guest(self, connection: Connection, secret_hash: str) -> bool:
        """Send the booking updates of a guest's hold to the connection; False when it follows too many already."""
        key = owner_key(Holder(secret_hash=secret_hash))
        if key not in connection.keys and len(connection.keys) >= MAX_SECRETS:
            return False
        self._add_owner(connection, key)
        return True

    def has_owner(self, key: str) -> bool:
        """Whether the owner with this key is connected to this replica. Most are not."""
        return key in self._owners

    def send_to_owner(self, key: str, message: Message) -> None:
        """Send a message to the connections of its owner only."""
        owners = self._owners.get(key, set())
        frames = encoded(message)
        for connection in owners:
            connection.send(frames)
        _sent.labels(message["type"]).inc(len(owners))

    def expel(self, user_id: str) -> None:
        """Stop a person's booking updates until they authenticate again: their tokens were revoked."""
        key = owner_key(Holder(user_id=user_id))
        for connection in list(self._owners.get(key, ())):
            self._forget_owner(connection, {key})
            connection.send(error("token_revoked", "The access token is void. Authenticate again for your bookings."))

    def _expire(self, connection: Connection) -> None:
        self._forget_owner(connection, {key for key in connection.keys if key.startswith("user:")})
        connection.send(error("token_expired", "The access token has expired. Authenticate again for your bookings."))

    def _add_owner(self, connection: Connection, key: str) -> None:
        connection.keys.add(key)
        self._owners[key].add(connection)

    def _forget_owner(self, connection: Connection, keys: set[str]) -> None:
        if connection.expiry is not None and any(key.startswith("user:") for key in keys):
            connection.expiry.cancel()
            connection.expiry = None
        for key in keys:
            connection.keys.discard(key)
            self._owners[key].discard(connection)
            if not self._owners[key]:
                del self._owners[key]

    @asynccontextmanager
    async def running(self, _: Settings) -> AsyncIterator[None]:
        """Lifespan: refresh maps, exchange presence and check connections at intervals."""
        tasks = (
            (self.refresh, self._settings.refresh_seconds),
            (self.check_alive, self._settings.heartbeat_seconds),
            (self.send_presence, SEND_PRESENCE_S),
            (self.resend_presence, RESEND_PRESENCE_S),
        )
        async with periodic(*tasks):
            yield

    async def refresh(self) -> None:
        """Apply stored snapshots that are newer than the shown ones. They correct lost and reordered changes."""
        if not self._rooms:
            return
        shown = {showtime_id: room.map.snapshot_version for showtime_id, room in self._rooms.items()}
        for snapshot in await store.newer_snapshots(shown):
            if room := self._rooms.get(snapshot.showtime_id):
                room.map.replace(snapshot)
                room.send_changes(self._settings.burst_seconds)

    async def check_alive(self) -> None:
        """Send a ping to every client and drop those that did not answer the last one."""
        for number, connection in enumerate(list(self._connections), 1):
            connection.check_alive()
            if number % HEARTBEATS_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def send_presence(self) -> None:
        """Send changed presence to clients and to the other replicas."""
        changed, self._changed_presence = self._changed_presence, set()
        for room in changed:
            room.send(room.presence.for_clients(asyncio.get_running_loop().time()))
            if (seats := room.presence.for_replicas()) is not None:
                await self._share(room, seats)

    async def resend_presence(self) -> None:
        """Send all presence to the other replicas, for rooms that opened since, and forget replicas that are gone."""
        self._changed_presence.update(self._rooms.values())
        for room in list(self._rooms.values()):
            if here := room.presence.here:
                await self._share(room, here)

    async def _share(self, room: Room, seats: Mapping[str, int]) -> None:
        await self._publish(
            SeatsLookedAt(instance_id=self._replica_id, showtime_id=room.map.showtime_id, seats=dict(seats))
        )


def encoded(message: Message) -> bytes:
    """A message as a WebSocket frame."""
    return frame(json.dumps(message, separators=(",", ":")))


def error(code: str, detail: str, **about: Any) -> bytes:
    """An error message. `code` is stable, `detail` is for a person."""
    return encoded({"type": "error", "code": code, "detail": detail, **about})


def problem(raised: Problem, **about: Any) -> bytes:
    """A domain error as an error message."""
    return error(raised.code, raised.detail, **about)
