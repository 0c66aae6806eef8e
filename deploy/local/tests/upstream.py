"""Servers behind the gateway under test, whose answers the test decides."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Asked(NamedTuple):
    """A request as it arrived. The names of `headers` are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    client_port: int


class Answer(NamedTuple):
    """A response."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = {}


@contextmanager
def serving(port: int, answer: Callable[[Asked], Answer | None]) -> Iterator[None]:
    """Listen on loopback inside the block.

    `answer` runs in a thread per connection; None closes the connection. A WebSocket gets its first line back.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            if self.headers.get("Upgrade") == "websocket":
                self._start(101, {"Upgrade": "websocket", "Connection": "upgrade"})
                self.wfile.write(self.rfile.readline())
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            given = answer(Asked(self.command, self.path, headers, body, self.client_address[1]))
            if given is None:
                self.close_connection = True
                return
            self._start(given.status, {**given.headers, "Content-Length": str(len(given.body))})
            self.wfile.write(given.body)

        def _start(self, status: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the name is the base class's
            """Says nothing."""

    for method in ("GET", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.respond)
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def echo(service: str) -> Callable[[Asked], Answer]:
    """Answers what was asked, in the name of a service. `/api/…/teapot` gets 418."""

    def answer(asked: Asked) -> Answer:
        told = asked._asdict() | {"service": service, "body": None, "length": len(asked.body), "filling": "x" * 2000}
        headers = {"Content-Type": "application/json", "X-Correlation-Id": "of-the-service"}
        return Answer(json.dumps(told).encode(), 418 if asked.path.endswith("/teapot") else 200, headers)

    return answer
