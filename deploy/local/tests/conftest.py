"""A real nginx with the real configuration, in front of servers that echo requests."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from launcher.platform import Platform
from launcher.ports import SERVICES, free_ports
from launcher.settings import NO_LIMITS

from .upstream import echo, serving

PAGE = '<h1>Usher</h1><meta property="og:image" content="/icon.png" />'
BROTLI = bytes.fromhex("8b0380") + b"begin();\x03"
"""`begin();`, compressed."""
PROXY = "127.0.0.2"
"""The address of the one proxy that the gateway trusts."""


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A gateway in front of seven stand-ins for the services, with a small web client and without limits. It trusts one
    proxy."""
    web = tmp_path_factory.mktemp("web")
    (web / "assets/folder").mkdir(parents=True)
    (web / "assets/client-4711.js").write_text("begin();")
    (web / "assets/client-4711.js.gz").write_bytes(gzip.compress(b"begin();", mtime=0))
    (web / "assets/client-4711.js.br").write_bytes(BROTLI)
    for name, text in {"index.html": PAGE, "client.js": "start();", ".hidden": "hush"}.items():
        (web / name).write_text(text)
    ports, given = free_ports(), {**NO_LIMITS, "GATEWAY_WEB": str(web), "GATEWAY_TRUSTED_PROXIES": PROXY}
    with (
        Platform(ports=ports, only={"gateway"}, environment=given) as platform,
        ExitStack() as servers,
    ):
        for service in SERVICES:
            servers.enter_context(serving(ports[f"{service.upper()}_PORT"], echo(service)))
        yield platform


@pytest.fixture
def client(gateway: Platform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, trust_env=False) as client:
        yield client
