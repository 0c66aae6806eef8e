"""A real nginx with the real configuration, in front of servers that answer what they were asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from launcher.platform import Platform
from launcher.ports import SERVICES, free_ports
from launcher.settings import NO_LIMITS

EchoServer = Callable[[str, int], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def echo_server() -> EchoServer:
    """Starts a stand-in for a service behind the gateway: `with echo_server("booking", port):`."""
    return _echo_server


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """In front of all seven stand-ins, with a small web client and without limits."""
    web = tmp_path_factory.mktemp("web")
    (web / "assets").mkdir()
    (web / "assets/client-4711.js").write_text("begin();")
    for name, text in {"index.html": "<h1>Usher</h1>", "client.js": "start();", ".hidden": "hush"}.items():
        (web / name).write_text(text)
    ports = free_ports()
    with (
        Platform(ports=ports, only={"gateway"}, environment={**NO_LIMITS, "GATEWAY_WEB": str(web)}) as platform,
        ExitStack() as servers,
    ):
        for service in SERVICES:
            servers.enter_context(_echo_server(service, ports[f"{service.upper()}_PORT"]))
        yield platform


@pytest.fixture
def client(gateway: Platform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, trust_env=False) as client:
        yield client


@contextmanager
def _echo_server(name: str, port: int) -> Iterator[None]:
    """Listens on loopback until the block is left. `/api/…/teapot` answers 418 with a body of its own."""

    class Echo(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if self.headers.get("Upgrade") == "websocket":
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "upgrade")
                self.end_headers()
                self.wfile.write(self.rfile.readline())
                self.close_connection = True
                return
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told: dict[str, Any] = {
                "service": name,
                "path": self.path,
                "length": len(asked),
                "client_port": self.client_address[1],
                "headers": {key.lower(): value for key, value in self.headers.items()},
                "filling": "x" * 2000,
            }
            body = json.dumps(told).encode()
            self.send_response(418 if self.path.endswith("/teapot") else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Correlation-Id", "of-the-service")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the name is the base class's
            """Says nothing."""

    for method in ("GET", "POST"):
        setattr(Echo, f"do_{method}", Echo.answer)
    server = ThreadingHTTPServer(("127.0.0.1", port), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
