"""Receives commands for the running platform from another terminal, over a Unix socket in the data folder.

A command is one line of words. Its output is sent back as lines; the last one is `ok` or `failed`.
"""

from __future__ import annotations

import os
import shlex
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import AF_UNIX, socket

from launcher.health import NotReadyError
from launcher.platform import Platform
from launcher.ports import SERVICES, PortError, replica_variable
from launcher.scaling import Say, scale, upgrade

NAME = "control"
OK, FAILED = "ok", "failed"


class UsageError(Exception):
    """The command or its service does not exist; the text says which."""


@contextmanager
def served(platform: Platform) -> Iterator[None]:
    """Run commands one after another inside the block."""
    one_at_a_time = threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with one_at_a_time:
                self.say(self.outcome(shlex.split(self.rfile.readline().decode())))

        def say(self, line: str) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):  # closing the terminal does not end the command
                self.wfile.write(f"{line}\n".encode())

        def outcome(self, words: list[str]) -> str:
            try:
                _carry_out(platform, words, self.say)
            except (UsageError, ValueError, PortError, NotReadyError) as problem:
                self.say(str(problem))
                return FAILED
            return OK

    path = platform.data_dir / NAME
    path.unlink(missing_ok=True)
    with _short(path) as address, socketserver.ThreadingUnixStreamServer(address, Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name=NAME)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            path.unlink()


def ask(data: Path, *words: str, say: Say = print) -> int:
    """Send a command to the platform with this data folder and print its output. Returns the exit status."""
    with _short(data / NAME) as address, socket(AF_UNIX) as connection:
        try:
            connection.connect(address)
        except OSError:
            print("Usher is not running here; `make run` starts it.", file=sys.stderr)
            return 1
        connection.sendall(f"{shlex.join(words)}\n".encode())
        line = FAILED
        for line in map(str.strip, connection.makefile()):
            if line not in {OK, FAILED}:
                say(line)
    return 0 if line == OK else 1


def _carry_out(platform: Platform, words: list[str], say: Say) -> None:
    match words:
        case ["scale", service, count] if service in SERVICES and count.isdecimal():
            scale(platform, service, int(count), say)
        case ["upgrade", *services] if services and set(services) <= set(SERVICES):
            for service in services:
                upgrade(platform, service, say)
        case ["close"]:
            platform.stop("gateway")
            say("The gateway is closed; `make open` opens it.")
        case ["open"]:
            platform.restart("gateway")
            say("The gateway is open.")
        case ["addresses"]:
            for name in (name for service in SERVICES for name in platform.replicas(service)):
                service, _, number = name.partition(".")
                say(f"{service}=127.0.0.1:{platform.ports[replica_variable(service, int(number or 1))]}")
        case _:
            raise UsageError(f"usage: scale SERVICE REPLICAS | upgrade SERVICE …; the services: {', '.join(SERVICES)}")


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Return the path in a form that is short enough for a socket's address."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
