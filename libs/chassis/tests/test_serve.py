"""A stopping service refuses new connections and answers the open ones."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import uvicorn
from chassis import serve

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


async def hello(scope, receive, send) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture
async def served() -> AsyncIterator[SimpleNamespace]:
    """A listening server and its address."""
    config = uvicorn.Config(hello, port=0, lifespan="off", log_config=None)
    config.load()
    server = serve.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield SimpleNamespace(server=server, address=server.servers[0].sockets[0].getsockname())
    await server.shutdown()


async def ask(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    """The head of the response, in lower case."""
    reader, writer = connection
    writer.write(GET)
    head = await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(5) == b"hello"
    return head.lower()


async def test_an_open_connection_gets_one_more_response_with_connection_close(served):
    connection = await asyncio.open_connection(*served.address)
    assert b"connection: close" not in await ask(connection)
    stopping = asyncio.create_task(served.server.shutdown())
    await asyncio.sleep(0.1)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*served.address)
    assert not stopping.done()
    assert b"connection: close" in await ask(connection)
    assert await connection[0].read() == b""
    await stopping


async def test_a_connection_that_waits_to_be_accepted_gets_its_response(served):
    with socket.create_connection(served.address) as waiting:
        waiting.sendall(GET)
        await served.server.shutdown()  # begins before the loop has seen the connection
        assert waiting.recv(1000).startswith(b"HTTP/1.1 200 OK")


async def test_the_drain_does_not_wait_longer_than_the_gateway_keeps_idle_connections(served, monkeypatch):
    monkeypatch.setattr(serve, "DRAIN_S", 0.2)
    reader, _ = await asyncio.open_connection(*served.address)
    await served.server.shutdown()
    assert await reader.read() == b""


async def test_a_signal_ends_the_service_at_once(monkeypatch):
    monkeypatch.setattr(serve, "DRAIN_S", 0)
    ticks = 0

    class Counting(serve.Server):
        async def on_tick(self, counter: int) -> bool:
            nonlocal ticks
            ticks += 1
            if ticks == 1:
                signal.raise_signal(signal.SIGTERM)
                self.should_exit = False  # as if the signal came right after the look
                return False
            self.should_exit = True
            return await super().on_tick(counter)

    monkeypatch.setattr(asyncio, "timeout", lambda _: asyncio.timeout_at(None))  # nothing but the signal wakes it
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        await Counting(uvicorn.Config(hello, port=0, lifespan="off", log_config=None)).serve()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ticks == 2


def test_a_service_is_scheduled_as_batch():
    program = """
import os, sys
from chassis import serve
serve.schedule_as_batch()
print(sys.platform != "linux" or os.sched_getscheduler(0) == os.SCHED_BATCH)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"True\n"


def test_a_container_that_forbids_it_still_serves(monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse, raising=False)
    serve.schedule_as_batch()
