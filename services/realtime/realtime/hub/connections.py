"""WebSocket connections after their handshake, without a task, queue or timer for each.

uvicorn and FastAPI do the handshake, so that an endpoint can check and refuse it. Then `Handshake.hand_over` gives the
socket to a Connection. A frame for thousands of clients is encoded once and written straight to each transport.
(docs/adr/0025-live-lines.md)
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

import structlog
from chassis.http.problems import MEDIA_TYPE, document
from prometheus_client import Counter
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import SERVER, Protocol
from websockets.server import ServerProtocol
from websockets.typing import StatusLike

log = structlog.get_logger()
CLOSE_S = 1.0
INBOX = 16
"""Messages of one client that may wait. While there are more, nothing is read from its socket."""
PING = Frame(Opcode.PING, b"").serialize(mask=False)
_dropped = Counter("usher_realtime_dropped_total", "Connections that were ended from this side", ["reason"])


class Connection(asyncio.Protocol):
    """One client. `send` never waits: a client that reads too slowly is dropped.

    `handle` is awaited for the client's messages one at a time; `ended` is called when the connection is closed.
    """

    __slots__ = (
        *("showtimes", "keys", "expiry", "_transport", "_frames", "_handle", "_ended", "_server_connections"),
        *(
            "_inbox",
            "_fragments",
            "_worker",
            "_is_alive",
            "_received",
            "_max_unsent_bytes",
            "_max_messages",
            "_is_closed",
        ),
    )

    def __init__(self, *, max_unsent_bytes: int, max_messages: int) -> None:
        self.showtimes: set[str] = set()
        self.keys: set[str] = set()
        self.expiry: asyncio.TimerHandle | None = None
        self._max_unsent_bytes, self._max_messages = max_unsent_bytes, max_messages
        self._inbox: deque[bytes] | None = None
        self._fragments: bytes | None = None
        self._worker: asyncio.Task[None] | None = None
        self._is_alive, self._is_closed, self._received = True, False, 0

    def open(
        self,
        transport: asyncio.Transport,
        *,
        max_size: int | None,
        server_connections: set[Any],
        handle: "Callable[[Connection, bytes], Awaitable[None]]",
        ended: "Callable[[Connection], None]",
    ) -> None:
        """Take over the socket after the handshake."""
        self._transport, self._handle, self._ended = transport, handle, ended
        self._frames = Protocol(SERVER, max_size=max_size)
        # uvicorn shuts these down when it ends.
        self._server_connections = server_connections
        server_connections.add(self)
        transport.set_protocol(self)
        transport.resume_reading()

    def send(self, frames: bytes) -> None:
        """Send encoded frames (see `frame`)."""
        if self._is_closed:
            return
        self._transport.write(frames)
        if self._transport.get_write_buffer_size() > self._max_unsent_bytes:
            self.drop(CloseCode.TRY_AGAIN_LATER, "too_slow")

    def drop(self, code: int, reason: str) -> None:
        """Close the connection with a close code and a reason."""
        if not self._is_closed:
            _dropped.labels(reason).inc()
            self._frames.fail(code, reason)
            self._end()

    def check_alive(self) -> None:
        """Send a ping, or drop the client when it has not answered the last one. To be called at intervals."""
        if not self._is_alive:
            self.drop(CloseCode.INTERNAL_ERROR, "silent")
        elif not self._is_closed:
            self._is_alive, self._received = False, 0
            self._transport.write(PING)

    def shutdown(self) -> None:
        """Called by uvicorn when it ends."""
        if not self._is_closed:
            self._frames.fail(CloseCode.SERVICE_RESTART)
            self._end()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with bytes from the client."""
        self._is_alive = True
        self._frames.receive_data(data)
        for event in self._frames.events_received():
            self._receive_frame(cast(Frame, event))
        if self._frames.close_expected() or self._frames.close_sent:
            self._end()
        else:
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when the connection is closed."""
        self._is_closed = True
        self._server_connections.discard(self)
        if self._worker is not None:
            self._worker.cancel()
        self._ended(self)

    def _receive_frame(self, event: Frame) -> None:
        if event.opcode not in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT} or self._is_closed:
            return
        message = event.data if self._fragments is None else self._fragments + event.data
        if not event.fin:
            self._fragments = bytes(message)
            return
        self._fragments = None
        self._received += 1
        if self._received > self._max_messages:
            self.drop(CloseCode.POLICY_VIOLATION, "too_many_messages")
            return
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(bytes(message))
        if len(self._inbox) > INBOX:
            self._transport.pause_reading()
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._handle_inbox(self._inbox))

    async def _handle_inbox(self, inbox: deque[bytes]) -> None:
        """Handle the waiting messages, then free the inbox: most clients send two messages in their lifetime."""
        try:
            while inbox and not self._is_closed:
                await self._handle(self, inbox.popleft())
                # A client that never stops sending must not block the event loop.
                await asyncio.sleep(0)
        except Exception:
            log.exception("websocket_message_failed")
            self.drop(CloseCode.INTERNAL_ERROR, "failed")
        self._worker = self._inbox = None
        if not self._is_closed:
            self._transport.resume_reading()

    def _flush(self) -> None:
        for chunk in self._frames.data_to_send():
            if chunk:
                self._transport.write(chunk)

    def _end(self) -> None:
        """Close the socket; abort it soon after, because a client that stopped reading never completes the close."""
        if not self._is_closed:
            self._is_closed = True
            self._flush()
            self._transport.close()
            asyncio.get_running_loop().call_later(CLOSE_S, self._transport.abort)


class _HandedOverTransport:
    """Replaces the transport that was handed over."""

    def close(self) -> None:
        """Do nothing: the transport belongs to a Connection now."""


class _Opening(ServerProtocol):
    """Refuses a handshake with a problem document."""

    def reject(self, status: StatusLike, text: str) -> Response:
        """The response to a handshake that is not valid, not allowed, or failed."""
        status, refused = HTTPStatus(status), super().reject(status, text)
        title = "The WebSocket connection was refused."
        refused.body = json.dumps(document("handshake_refused", status, title, text or title)).encode()
        del refused.headers["Content-Type"], refused.headers["Content-Length"]
        refused.headers.update({"Content-Type": MEDIA_TYPE, "Content-Length": str(len(refused.body))})
        refused.headers["Sec-WebSocket-Version"] = "13"  # RFC 6455, 4.4
        return refused


class Handshake(WebSocketsSansIOProtocol):
    """uvicorn's protocol; the endpoint can take over the socket after accepting it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = _Opening(max_size=self.config.ws_max_size, logger=self.conn.logger)

    def handle_connect(self, event: Any) -> None:
        """Put this object into the scope, where the endpoint finds it."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope.setdefault("extensions", {})["usher.handshake"] = self  # pyright: ignore[reportArgumentType]

    def hand_over(self, connection: Connection, **callbacks: Any) -> None:
        """Give the accepted socket to the connection. To be called before anything else is awaited."""
        self.stop_keepalive()
        self.connections.discard(self)
        transport, self.transport = self.transport, cast(asyncio.Transport, _HandedOverTransport())
        connection.open(transport, max_size=self.config.ws_max_size, server_connections=self.connections, **callbacks)


def frame(text: str) -> bytes:
    """A text message as an unmasked WebSocket frame."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
