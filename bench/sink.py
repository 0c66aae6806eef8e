"""A mail server in its own process that accepts and counts every mail and stores nothing.

It understands only a client's plain commands (RFC 5321): aiosmtpd reads a mail line by line, which costs 0.6 ms of CPU
time; this server takes 0.04 ms.
"""

import asyncio
import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from typing import cast

import uvloop
from launcher.ports import LOOPBACK

END_OF_TEXT = b"\r\n.\r\n"


@dataclass(frozen=True)
class Sink:
    """The running server."""

    port: int
    pid: int
    _count: "Synchronized[int]"

    @property
    def accepted(self) -> int:
        """Return the number of accepted mails."""
        return self._count.value


@contextmanager
def running() -> Iterator[Sink]:
    """Run the server inside the block."""
    count = multiprocessing.Value("q", 0)
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        process = multiprocessing.Process(target=_serve, args=(listener, count), daemon=True)
        process.start()
    try:
        yield Sink(port, process.pid or 0, count)
    finally:
        process.terminate()
        process.join()


class _Conversation(asyncio.Protocol):
    def __init__(self, count: "Synchronized[int]") -> None:
        self._count, self._received, self._is_text = count, b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            said, end, rest = self._received.partition(END_OF_TEXT if self._is_text else b"\r\n")
            if not end:
                return
            self._received = rest
            self._transport.write(self._answer(said))

    def _answer(self, said: bytes) -> bytes:
        if self._is_text:
            self._is_text = False
            self._count.value += 1
            return b"250 accepted\r\n"
        match said[:4].upper():
            case b"DATA":
                self._is_text = True
                return b"354 go on\r\n"
            case b"QUIT":
                return b"221 bye\r\n"
            case _:
                return b"250 sink\r\n"


def _serve(listener: socket.socket, count: "Synchronized[int]") -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Conversation(count), sock=listener)
        await server.serve_forever()

    uvloop.run(serve())
