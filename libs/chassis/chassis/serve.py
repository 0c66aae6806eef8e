"""Run a service's app: `python -m chassis.serve inventory --port 8103`.

On SIGTERM the server drains, so that no request goes unanswered. uvicorn alone would close idle connections at once; a
gateway may be sending a request on one of them, and it may not repeat a POST.
"""

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import Any

import uvicorn

from chassis.observability import telemetry
from chassis.observability.watchdog import Watchdog

DRAIN_S = 3.0
"""Longer than the gateway keeps an idle connection (`keepalive_timeout` in its configuration)."""
KEEP_ALIVE_S = 75
"""Also longer, so that the gateway always closes an idle connection first."""
ANSWER_S = 5
"""How long requests may still take after the drain."""
WEBSOCKET_MAX_BYTES = 4096
GARBAGE_AFTER = 50_000
"""Python's default of 700 cost a service 6 % of its CPU time, because most young objects still wait for MongoDB or
RabbitMQ when they are scanned. This many objects take a few megabytes.
"""


class Server(uvicorn.Server):
    """A uvicorn server that drains its connections before it stops."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._to_exit = asyncio.Event()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a stop signal."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and wake the main loop."""
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._to_exit.set)

    async def main_loop(self) -> None:
        """Update the date header every second until the service stops. A watchdog ends the process if the loop hangs.

        uvicorn wakes up ten times a second, which is most of the CPU time of an idle service.
        """
        with Watchdog() as watchdog:
            while not await self.on_tick(0):
                watchdog.beat()
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await self._to_exit.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then collect garbage less often and exclude the objects that exist by now.

        A WebSocket service keeps Python's defaults: with thousands of open connections its memory would become
        fragmented, which makes each message a quarter more expensive.
        """
        await super().startup(sockets)
        if self.config.ws == "auto":
            gc.freeze()
            gc.set_threshold(GARBAGE_AFTER)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then shut down as uvicorn does."""
        await self._drain()
        await super().shutdown(sockets)

    async def _drain(self) -> None:
        """Refuse new connections, so that the gateway uses another replica, and serve the open ones until they close.

        A connection closes after its next response (`Connection: close`), or when the gateway closes it as idle.
        """
        self.server_state.default_headers.append((b"connection", b"close"))
        await self._refuse_new_connections()
        deadline = asyncio.get_running_loop().time() + DRAIN_S
        while self._has_http_connections() and asyncio.get_running_loop().time() < deadline and not self.force_exit:
            await asyncio.sleep(0.05)

    async def _refuse_new_connections(self) -> None:
        """Stop listening. Pending connections are accepted first, because they may already contain a request."""
        waiting: list[socket.socket] = []
        for server in self.servers:
            for listener in server.sockets:
                waiting += _accepted(listener.fileno())
            server.close()
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        """Create uvicorn's protocol for a connection."""
        make: Any = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def _has_http_connections(self) -> bool:
        """Whether HTTP connections are open. WebSockets do not count: uvicorn closes them with "service restart"."""
        return any(isinstance(each, self.config.http_protocol_class) for each in self.server_state.connections)


def _accepted(listener: int) -> Iterator[socket.socket]:
    """Accept the pending connections of a listening socket."""
    with socket.socket(fileno=os.dup(listener)) as listening, suppress(BlockingIOError):
        listening.setblocking(False)
        while True:
            yield listening.accept()[0]


def schedule_as_batch() -> None:
    """Use the batch scheduling policy, which preempts the process less often (Linux only).

    Services wake each other with every message. Fewer context switches save a tenth of a booking's CPU time.
    """
    if sys.platform == "linux":
        try:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        except OSError as error:  # a container may forbid it; the service then needs a little more CPU time
            logging.getLogger("uvicorn.error").info("not scheduled as batch: %s", error)


def main() -> None:
    """Parse the command line and serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m chassis.serve")
    parser.add_argument("service", help="the package whose main.py has the app")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    telemetry.configure_logging(arguments.service, "INFO")  # the service sets its own level when it is imported
    main = import_module(f"{arguments.service}.main")
    config = uvicorn.Config(
        main.app,
        host=arguments.host,
        port=arguments.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=ANSWER_S,
        ws=getattr(main, "WEBSOCKETS", "auto"),
        ws_max_size=WEBSOCKET_MAX_BYTES,
        ws_per_message_deflate=False,
    )
    schedule_as_batch()
    with suppress(KeyboardInterrupt):
        Server(config).run()


if __name__ == "__main__":
    main()
