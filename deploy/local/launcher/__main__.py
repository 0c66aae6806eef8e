"""python -m launcher run | stop | reset: what `make run`, `make stop` and `make reset` do."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import threading
import time
from contextlib import ExitStack
from types import FrameType

from launcher.follow import followed
from launcher.health import NotReadyError
from launcher.platform import Platform, PlatformError
from launcher.ports import PortError, configured_ports
from launcher.settings import RUNTIME, given_settings

DATA = RUNTIME / "data"
# They say much that only somebody who looks for a fault wants to read; it is in their log files.
QUIET = frozenset({"mongo", "rabbitmq"})
DEMO_PASSWORD = "popcorn-and-a-movie"  # noqa: S105 - it is printed for whoever runs the demo


class Stopped(BaseException):
    """Somebody asked the launcher to stop (Ctrl-C or SIGTERM)."""


def run() -> int:
    """Starts the platform and keeps it running until somebody stops it or a process falls. Answers the exit status."""
    began = time.monotonic()
    signal.signal(signal.SIGINT, _raise_stopped)
    signal.signal(signal.SIGTERM, _raise_stopped)
    try:
        given = given_settings()
        platform = Platform(
            ports=configured_ports(given),
            data_dir=DATA,
            environment=given,
            demo=True,
            on_ready=lambda name, seconds: print(f"  {name} is ready ({seconds:.1f} s)", flush=True),
        )
        print("Starting Usher …", flush=True)
        with ExitStack() as stack:
            stack.callback(print, "Everything has stopped.", flush=True)
            stack.enter_context(platform)
            stack.callback(_stopping)
            print(summary(platform, time.monotonic() - began), flush=True)
            stack.enter_context(followed(platform.log(name) for name in platform.names if name not in QUIET))
            return _watch(platform)
    except Stopped:
        return 0
    except (PlatformError, PortError, NotReadyError) as problem:
        print(f"\nUsher could not start: {problem}", file=sys.stderr)
        return 1


def _watch(platform: Platform) -> int:
    pause = threading.Event()
    while not (fallen := platform.fallen()):
        pause.wait(0.5)
    for name in fallen:
        print(f"{name} has ended; its log: {platform.log(name)}", file=sys.stderr)
    return 1


def _raise_stopped(_signal: int, _frame: FrameType | None) -> None:
    _ignore_signals()
    raise Stopped


def _ignore_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _stopping() -> None:
    _ignore_signals()
    print("\nStopping …", flush=True)


def summary(platform: Platform, seconds: float) -> str:
    """The addresses and the demo logins."""
    port = platform.ports
    rabbitmq = f"http://127.0.0.1:{port['RABBITMQ_MANAGEMENT_PORT']}"
    return f"""
Usher is up after {seconds:.0f} s.

  Site        {platform.url}
  API docs    {platform.url}/docs
  Mailbox     http://127.0.0.1:{port["MAILBOX_PORT"]}
  RabbitMQ    {rabbitmq}   login usher / {platform.env["RABBITMQ_PASSWORD"]}
  Logs        {platform.logs_dir}

  Demo logins: customer@usher.example, staff@usher.example, admin@usher.example
  Password:    {DEMO_PASSWORD}

Ctrl-C stops everything and keeps the data; `make reset` empties it.
"""


def stop() -> int:
    """Stops the platform that runs from this checkout, if one does."""
    if (pid := _running_launcher()) is None:
        print("Usher is not running here.")
        return 0
    os.kill(pid, signal.SIGTERM)
    with (DATA / "launcher.pid").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    print("Usher has stopped.")
    return 0


def reset() -> int:
    """Deletes all data of the local platform. Answers 1 when it is running."""
    if _running_launcher() is not None:
        print("Usher is running; stop it first: make stop", file=sys.stderr)
        return 1
    shutil.rmtree(DATA, ignore_errors=True)
    print("The data is gone; the next `make run` starts afresh.")
    return 0


def _running_launcher() -> int | None:
    """The process id of the launcher that holds the data, if there is one."""
    path = DATA / "launcher.pid"
    if not path.exists():
        return None
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read())
    return None


if __name__ == "__main__":
    commands = {"run": run, "stop": stop, "reset": reset}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(f"usage: python -m launcher {' | '.join(commands)}")
    sys.exit(commands[sys.argv[1]]())
