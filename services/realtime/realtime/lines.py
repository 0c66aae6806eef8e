"""WebSockets after their handshake: frames in, frames out, and nothing that waits.

uvicorn and FastAPI do the handshake, with all that an endpoint can check and refuse. Then `Handshake.hand_over` gives
the connection to a Line, which has no task, queue or timer of its own: a frame for thousands is made once and written
straight to each. (docs/adr/0022-live-lines.md)
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

import structlog
from prometheus_client import Counter
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import SERVER, Protocol

log = structlog.get_logger()
CLOSE_S = 1.0
INBOX = 16
"""Messages of a client that may wait to be handled; while there are more, nothing is read from it."""
PING = Frame(Opcode.PING, b"").serialize(mask=False)
_dropped = Counter("usher_realtime_dropped_total", "Connections that were ended from this side", ["reason"])


class Line(asyncio.Protocol):
    """One client. `send` never waits: whoever does not read what was sent is dropped instead.

    `handle` is awaited with one message of the client after the other, `ended` called once it is gone.
    """

    __slots__ = (
        *("showtimes", "keys", "expiry", "_transport", "_frames", "_handle", "_ended", "_server_connections"),
        *("_inbox", "_fragments", "_working", "_is_heard", "_said", "_most_unsent", "_most_said", "_is_over"),
    )

    def __init__(self, *, most_unsent: int, most_said: int) -> None:
        self.showtimes: set[str] = set()
        self.keys: set[str] = set()
        self.expiry: asyncio.TimerHandle | None = None
        self._most_unsent, self._most_said = most_unsent, most_said
        self._inbox: deque[bytes] | None = None
        self._fragments: bytes | None = None
        self._working: asyncio.Task[None] | None = None
        self._is_heard, self._is_over, self._said = True, False, 0

    def open(
        self,
        transport: asyncio.Transport,
        *,
        max_size: int | None,
        server_connections: set[Any],
        handle: "Callable[[Line, bytes], Awaitable[None]]",
        ended: "Callable[[Line], None]",
    ) -> None:
        """Take the connection over from whoever made the handshake."""
        self._transport, self._handle, self._ended = transport, handle, ended
        self._frames = Protocol(SERVER, max_size=max_size)
        # uvicorn tells those in here to shut down.
        self._server_connections = server_connections
        server_connections.add(self)
        transport.set_protocol(self)
        transport.resume_reading()

    def send(self, frames: bytes) -> None:
        """Send frames (`frame`)."""
        if self._is_over:
            return
        self._transport.write(frames)
        if self._transport.get_write_buffer_size() > self._most_unsent:
            self.drop(CloseCode.TRY_AGAIN_LATER, "too_slow")

    def drop(self, code: int, reason: str) -> None:
        """End the connection with a close code and a word that says why."""
        if not self._is_over:
            _dropped.labels(reason).inc()
            self._frames.fail(code, reason)
            self._end()

    def beat(self) -> None:
        """To be called at intervals: ask whether the client is still there; end what has not answered the last time."""
        if not self._is_heard:
            self.drop(CloseCode.INTERNAL_ERROR, "silent")
        elif not self._is_over:
            self._is_heard, self._said = False, 0
            self._transport.write(PING)

    def shutdown(self) -> None:
        """uvicorn is ending."""
        if not self._is_over:
            self._frames.fail(CloseCode.SERVICE_RESTART)
            self._end()

    def data_received(self, data: bytes) -> None:
        """asyncio: the client has sent something."""
        self._is_heard = True
        self._frames.receive_data(data)
        for event in self._frames.events_received():
            self._take(cast(Frame, event))
        if self._frames.close_expected() or self._frames.close_sent:
            self._end()
        else:
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is closed."""
        self._is_over = True
        self._server_connections.discard(self)
        if self._working is not None:
            self._working.cancel()
        self._ended(self)

    def _take(self, event: Frame) -> None:
        if event.opcode not in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT} or self._is_over:
            return
        message = event.data if self._fragments is None else self._fragments + event.data
        if not event.fin:
            self._fragments = bytes(message)
            return
        self._fragments = None
        self._said += 1
        if self._said > self._most_said:
            self.drop(CloseCode.POLICY_VIOLATION, "too_many_messages")
            return
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(bytes(message))
        if len(self._inbox) > INBOX:
            self._transport.pause_reading()
        if self._working is None:
            self._working = asyncio.get_running_loop().create_task(self._work(self._inbox))

    async def _work(self, inbox: deque[bytes]) -> None:
        """Handle what has come, then leave no trace: most clients say two things in their whole life."""
        try:
            while inbox and not self._is_over:
                await self._handle(self, inbox.popleft())
                # A client whose messages never run out would keep the loop from everybody else.
                await asyncio.sleep(0)
        except Exception:
            log.exception("websocket_message_failed")
            self.drop(CloseCode.INTERNAL_ERROR, "failed")
        self._working = self._inbox = None
        if not self._is_over:
            self._transport.resume_reading()

    def _flush(self) -> None:
        for chunk in self._frames.data_to_send():
            if chunk:
                self._transport.write(chunk)

    def _end(self) -> None:
        """Say goodbye. A client that reads nothing any more cannot hear it, so this does not wait for long."""
        if not self._is_over:
            self._is_over = True
            self._flush()
            self._transport.close()
            asyncio.get_running_loop().call_later(CLOSE_S, self._transport.abort)


class _HandedOver:
    """In the place of a transport that is somebody else's now."""

    def close(self) -> None:
        """Not ours to close."""


class Handshake(WebSocketsSansIOProtocol):
    """uvicorn's own, whose connection the endpoint can take over once it has accepted it."""

    def handle_connect(self, event: Any) -> None:
        """The request has been read: the endpoint finds this object in its scope."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope.setdefault("extensions", {})["usher.handshake"] = self  # pyright: ignore[reportArgumentType]

    def hand_over(self, line: Line, **callbacks: Any) -> None:
        """Give the accepted connection to the line. To be called before anything else is awaited."""
        self.stop_keepalive()
        self.connections.discard(self)
        transport, self.transport = self.transport, cast(asyncio.Transport, _HandedOver())
        line.open(transport, max_size=self.config.ws_max_size, server_connections=self.connections, **callbacks)


def frame(text: str) -> bytes:
    """A message as it goes over the wire, to anybody."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
