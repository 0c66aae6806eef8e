"""A light HTTP client with one kept connection and JSON bodies, because it shares the machine with the platform."""

import asyncio
import json
from typing import Any, Self, cast
from urllib.parse import urlencode, urlsplit

Json = dict[str, Any]
Answer = tuple[int, bytes]
"""Status and body."""


class Refused(Exception):
    """The response is not 2xx."""

    def __init__(self, status: int, problem: Json) -> None:
        self.status, self.problem = status, problem
        super().__init__(f"{status} {problem}")


class Client(asyncio.Protocol):
    """One connection to one server; one request at a time."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._received = bytearray()
        self._body, self._end = 0, 0
        self._answer: asyncio.Future[Answer] | None = None

    @classmethod
    async def to(cls, url: str) -> Self:
        """Create a client with an open connection."""
        address, loop = urlsplit(url), asyncio.get_running_loop()
        host, port = address.hostname or "", address.port or 80
        _, client = await loop.create_connection(lambda: cls(address.netloc), host, port)
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Json:
        """Return the response's JSON. Raises Refused, OSError, and ValueError for a response without a length."""
        return _read(*await self._exchange(f"GET {path}", b"", headers or {}))

    async def fetch(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        """Return the response's body unparsed, because parsing costs as much as some responses. Raises as `get`."""
        status, body = await self._exchange(f"GET {path}", b"", headers or {})
        if status != 200:
            raise Refused(status, json.loads(body))
        return body

    async def post(self, path: str, body: Json, headers: dict[str, str] | None = None, *, form: bool = False) -> Json:
        """Return the response's JSON. Raises as `get`."""
        payload = urlencode(body).encode() if form else json.dumps(body).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
        return _read(*await self._exchange(f"POST {path}", payload, kind | (headers or {})))

    def _exchange(self, request: str, payload: bytes, headers: dict[str, str]) -> asyncio.Future[Answer]:
        lines = [
            f"{request} HTTP/1.1",
            f"Host: {self._host}",
            f"Content-Length: {len(payload)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if self._transport.is_closing():
            raise ConnectionResetError("the server has closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write("\r\n".join([*lines, "\r\n"]).encode() + payload)
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._end:
            self._body = self._received.find(b"\r\n\r\n") + 4
            if self._body < 4:
                return
            try:
                self._end = self._body + _length(self._received[: self._body])
            except ValueError as error:
                self._fail(error)
                return
        if len(self._received) < self._end:
            return
        status, body = int(self._received[9:12]), bytes(self._received[self._body : self._end])
        self._received.clear()
        self._end = 0
        if self._answer and not self._answer.done():
            self._answer.set_result((status, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("the server has closed the connection"))

    def _fail(self, error: Exception) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error)


def _read(status: int, body: bytes) -> Json:
    answer = json.loads(body)
    if not 200 <= status < 300:
        raise Refused(status, answer)
    return answer


def _length(head: bytearray) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    if not found:
        raise ValueError(f"an answer without Content-Length: {bytes(head)!r}")
    return int(rest[: rest.index(b"\r\n")])
