"""Thousands of minimal WebSocket clients in one process, so that the measurement shows the server."""

import asyncio
import re
import resource
import time
from typing import cast

VERSION = re.compile(rb'"version":(\d+)')
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PING, PONG = b"\x89\x00", b"\x8a\x80\x00\x00\x00\x00"
AT_ONCE = 100


def more_files() -> None:
    """Raise the limit of open sockets as far as this machine allows. Child processes inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def masked(text: str) -> bytes:
    """Encode a client's short text frame. The mask is zero, which costs the server the same work."""
    return bytes((0x81, 0x80 | 0x7E)) + len(text).to_bytes(2) + bytes(4) + text.encode()


class Member(asyncio.Protocol):
    """A client that records how long each change took to reach it."""

    def __init__(self, audience: "Audience") -> None:
        self._audience, self._greeted = audience, False
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if not self._greeted:
            if not data.startswith(b"HTTP/1.1 101"):
                raise ConnectionRefusedError(data.decode())
            self._greeted = True
            self.transport.write(self._audience.greeting)
        if PING in data:
            self.transport.write(PONG)
        at = time.perf_counter()
        for found in VERSION.finditer(data):
            self._audience.note(int(found[1]), at)
        if not self.ready.done() and b'"showtime:update"' in data:
            self.ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._audience.lost += 1


class Audience:
    """All clients. `said` has the time of each version's publication; `delays` the seconds until a client had it."""

    def __init__(self, port: int, showtime_id: str) -> None:
        self._port = port
        self.greeting = masked(f'{{"type":"subscribe","showtime_id":"{showtime_id}"}}')
        self.said: dict[int, float] = {}
        self.delays: list[float] = []
        self.lost = 0
        self._members: list[Member] = []

    def note(self, version: int, at: float) -> None:
        """Record that a client has received a version."""
        if said := self.said.get(version):
            self.delays.append(at - said)

    async def grow(self, size: int) -> None:
        """Connect clients until there are this many, each with a snapshot."""
        loop = asyncio.get_running_loop()
        while len(self._members) < size:
            count = min(AT_ONCE, size - len(self._members))
            coming = (loop.create_connection(lambda: Member(self), "127.0.0.1", self._port) for _ in range(count))
            members = [member for _, member in await asyncio.gather(*coming)]
            async with asyncio.timeout(60):
                await asyncio.gather(*(member.ready for member in members))
            self._members += members

    async def leave(self) -> None:
        """Close all connections."""
        for member in self._members:
            member.transport.abort()
        await asyncio.sleep(0.5)
