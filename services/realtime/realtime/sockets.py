"""The WebSocket side of the house: connections, who follows which showtime, and who is who.

A connection has a bounded queue of its own, so a client that does not keep up is dropped and slows nobody; it heals
by coming back for a snapshot.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from chassis.auth import Principal
from chassis.clock import now
from contracts.errors import Problem
from contracts.types import Holder
from fastapi import WebSocket, WebSocketDisconnect
from prometheus_client import Counter, Gauge
from pymongo.errors import PyMongoError

from realtime import store
from realtime.model import Message, News, Recent, SeatMap, owner_key
from realtime.settings import Settings

log = structlog.get_logger()
TOO_BIG, TRY_AGAIN_LATER = 1009, 1013
CLOSE_S = 1.0
MAX_SECRETS = 10
_connected = Gauge("usher_realtime_connections", "Open WebSocket connections")
_sent = Counter("usher_realtime_messages_total", "Messages handed to connections", ["type"])
_dropped = Counter("usher_realtime_dropped_total", "Connections that were ended from this side", ["reason"])


class Connection:
    """One client. `send` never waits: a full queue drops the client instead."""

    def __init__(self, websocket: WebSocket, *, outgoing_messages: int) -> None:
        self._websocket = websocket
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(outgoing_messages)
        self._dropped: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self.showtimes: set[str] = set()
        self.keys: set[str] = set()
        self.expiry: asyncio.TimerHandle | None = None

    def send(self, text: str) -> None:
        """Queue a message for the client."""
        try:
            self._outgoing.put_nowait(text)
        except asyncio.QueueFull:
            self.drop(TRY_AGAIN_LATER, "too_slow")

    def drop(self, code: int, reason: str) -> None:
        """End the connection with a close code and a word that says why."""
        if not self._dropped.done():
            _dropped.labels(reason).inc()
            self._dropped.set_result((code, reason))

    async def run(self, handle: Callable[[str | bytes], Awaitable[None]]) -> None:
        """Read into `handle` and write what is queued, until the client goes or is dropped."""
        reading = asyncio.create_task(self._read(handle))
        writing = asyncio.create_task(self._write())
        try:
            await asyncio.wait({reading, writing, self._dropped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            writing.cancel()
            ends = await asyncio.gather(reading, writing, return_exceptions=True)
        if self._dropped.done():
            await self._close(*self._dropped.result())
        for end in ends:
            if isinstance(end, Exception) and not isinstance(end, WebSocketDisconnect):
                raise end

    async def _read(self, handle: Callable[[str | bytes], Awaitable[None]]) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await handle(message.get("text") or message.get("bytes") or "")
            # A client whose messages never run out would keep the loop from everybody else.
            await asyncio.sleep(0)

    async def _write(self) -> None:
        while True:
            await self._websocket.send_text(await self._outgoing.get())

    async def _close(self, code: int, reason: str) -> None:
        """Say goodbye. A client that reads nothing any more cannot hear it, so this does not wait for long."""
        with suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(CLOSE_S):
                while not self._outgoing.empty() and reason != "too_slow":
                    await self._websocket.send_text(self._outgoing.get_nowait())
                await self._websocket.close(code, reason)


@dataclass
class Room:
    """A showtime that somebody follows here."""

    map: SeatMap
    members: set[Connection] = field(default_factory=set)


class Hub:
    """Everything that one instance shows to its clients. Runs on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rooms: dict[str, Room] = {}
        self._recent = Recent(settings.recent_events)
        self._owners: defaultdict[str, set[Connection]] = defaultdict(set)
        self.connections: set[Connection] = set()

    @property
    def is_full(self) -> bool:
        """Whether no further connection is taken."""
        return len(self.connections) >= self._settings.max_connections

    @asynccontextmanager
    async def joined(self, websocket: WebSocket) -> AsyncIterator[Connection]:
        """An accepted WebSocket as a connection, taken out of everything at the end."""
        connection = Connection(websocket, outgoing_messages=self._settings.outgoing_messages)
        self.connections.add(connection)
        _connected.set(len(self.connections))
        try:
            yield connection
        finally:
            self.connections.discard(connection)
            _connected.set(len(self.connections))
            for showtime_id in list(connection.showtimes):
                self.unsubscribe(connection, showtime_id)
            self._forget_owner(connection, set(connection.keys))

    async def subscribe(self, connection: Connection, showtime_id: str) -> None:
        """Send the snapshot, and from then on what changes. Raises UnknownShowtime."""
        room = self._rooms.get(showtime_id)
        if room is None:
            seat_map = await self.seat_map(showtime_id)
            # No await between reading what was heard and opening the room: what is heard next finds it.
            room = self._rooms.setdefault(showtime_id, Room(seat_map))
        room.members.add(connection)
        connection.showtimes.add(showtime_id)
        connection.send(encode(room.map.snapshot()))

    async def seat_map(self, showtime_id: str) -> SeatMap:
        """All that is known here: what is in the database and what was heard and may not be there yet.

        Raises UnknownShowtime.
        """
        seat_map = await store.seat_map(showtime_id)
        for news in self._recent.of(showtime_id):
            seat_map.learn(news)
        return seat_map

    def unsubscribe(self, connection: Connection, showtime_id: str) -> None:
        """Stop; the last one out closes the room."""
        connection.showtimes.discard(showtime_id)
        if room := self._rooms.get(showtime_id):
            room.members.discard(connection)
            if not room.members:
                del self._rooms[showtime_id]

    def show(self, news: News) -> None:
        """Tell everybody who follows the showtime."""
        self._recent.add(news)
        if room := self._rooms.get(news.showtime_id):
            self._broadcast(room, room.map.learn(news))

    def _broadcast(self, room: Room, messages: list[Message]) -> None:
        for message in messages:
            text = encode(message)
            for connection in room.members:
                connection.send(text)
            _sent.labels(message["type"]).inc(len(room.members))

    def identify(self, connection: Connection, principal: Principal) -> None:
        """Send this person's booking updates here until the token expires; a newer token replaces an older one."""
        self._forget_owner(connection, {key for key in connection.keys if key.startswith("user:")})
        self._add_owner(connection, owner_key(Holder(user_id=principal.user_id)))
        if connection.expiry is not None:
            connection.expiry.cancel()
        remaining = principal.expires_at - now().timestamp()
        connection.expiry = asyncio.get_running_loop().call_later(max(0, remaining), self._expire, connection)

    def identify_guest(self, connection: Connection, secret_hash: str) -> bool:
        """Send the booking updates of a guest's hold here; False when the connection follows too many already."""
        key = owner_key(Holder(secret_hash=secret_hash))
        if key not in connection.keys and len(connection.keys) >= MAX_SECRETS:
            return False
        self._add_owner(connection, key)
        return True

    def tell(self, key: str, message: Message) -> None:
        """Send a message to its owner's connections only."""
        owners = self._owners.get(key, set())
        for connection in owners:
            connection.send(encode(message))
        _sent.labels(message["type"]).inc(len(owners))

    def expel(self, user_id: str) -> None:
        """Send a person's booking updates nowhere until they authenticate again: their tokens have become void."""
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
        """Keep what is shown in step with the database while the service runs."""
        refreshing = asyncio.create_task(self._refresh_forever())
        try:
            yield
        finally:
            refreshing.cancel()
            await asyncio.gather(refreshing, return_exceptions=True)

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.refresh_seconds)
            try:
                await self.refresh()
            except PyMongoError as failure:
                log.warning("refresh_failed", reason=repr(failure))

    async def refresh(self) -> None:
        """Show what the database knows and this instance has missed, e.g. while the broker was away."""
        for room in self._rooms.values():
            room.map.forget(now())
        for news in await store.everything_about(self._rooms.keys()):
            if room := self._rooms.get(news.showtime_id):
                self._broadcast(room, room.map.learn(news))


def encode(message: Message) -> str:
    """A message as it goes over the wire."""
    return json.dumps(message, separators=(",", ":"))


def error(code: str, detail: str, **about: Any) -> str:
    """An error message. `code` is stable, `detail` is for a person."""
    return encode({"type": "error", "code": code, "detail": detail, **about})


def problem(raised: Problem, **about: Any) -> str:
    """A domain error as an error message."""
    return error(raised.code, raised.detail, **about)
