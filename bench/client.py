"""A light HTTP client, one kept connection with JSON both ways: it shares the machine with what it measures."""

import asyncio
import json
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

Json = dict[str, Any]


class Refused(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, problem: Json) -> None:
        self.status, self.problem = status, problem
        super().__init__(f"{status} {problem}")


class Client:
    """One connection to one server; one request at a time."""

    def __init__(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host, self._reader, self._writer = urlsplit(url).netloc, reader, writer

    @classmethod
    async def to(cls, url: str) -> Self:
        """A client with its connection open."""
        address = urlsplit(url)
        return cls(url, *await asyncio.open_connection(address.hostname, address.port))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Json:
        """The answer's JSON. Raises Refused, and ValueError for an answer without a length."""
        return await self._ask(f"GET {path}", b"", headers or {})

    async def fetch(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        """The answer's body unread: reading JSON costs the machine as much as some answers do. Raises Refused."""
        status, body = await self._exchange(f"GET {path}", b"", headers or {})
        if status != 200:
            raise Refused(status, json.loads(body))
        return body

    async def post(self, path: str, body: Json, headers: dict[str, str] | None = None, *, form: bool = False) -> Json:
        """The answer's JSON. Raises Refused, and ValueError for an answer without a length."""
        payload = urlencode(body).encode() if form else json.dumps(body).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
        return await self._ask(f"POST {path}", payload, kind | (headers or {}))

    async def _ask(self, request: str, payload: bytes, headers: dict[str, str]) -> Json:
        status, body = await self._exchange(request, payload, headers)
        answer = json.loads(body)
        if not 200 <= status < 300:
            raise Refused(status, answer)
        return answer

    async def _exchange(self, request: str, payload: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        lines = [
            f"{request} HTTP/1.1",
            f"Host: {self._host}",
            f"Content-Length: {len(payload)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self._writer.write("\r\n".join([*lines, "\r\n"]).encode() + payload)
        head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head[9:12]), await self._reader.readexactly(_length(head))


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    if not found:
        raise ValueError(f"an answer without Content-Length: {head!r}")
    return int(rest[: rest.index(b"\r\n")])
