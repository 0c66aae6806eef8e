"""python -m launcher run | stop | reset | scale | upgrade | dev | open | drain: what `make run`, `make stop`, … do.

python -m launcher env COMMAND …: any command with the local platform's environment.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from launcher import control, dev, drain
from launcher.follow import followed
from launcher.health import NotReadyError
from launcher.platform import Platform, PlatformError
from launcher.ports import PortError, configured_ports
from launcher.settings import RUNTIME, given_settings, platform_environment

DATA = Path(os.environ.get("USHER_DATA_DIR") or RUNTIME / "data").resolve()
# Their output is long and only useful for finding faults; it is in their log files.
QUIET = frozenset({"mongo", "rabbitmq"})
DEMO_PASSWORD = "popcorn-and-a-movie"  # noqa: S105 - it is printed for the demo's users


class Stopped(BaseException):
    """The launcher was asked to stop (Ctrl-C or SIGTERM)."""


def run() -> int:
    """Run the platform until it is stopped or a process ends unexpectedly. Returns the exit status."""
    began = time.monotonic()
    try:
        given = given_settings()
        platform = Platform(
            ports=configured_ports(given),
            data_dir=DATA,
            environment=given,
            demo=True,
            on_ready=lambda name, seconds: print(f"  {name} is ready ({seconds:.1f} s)", flush=True),
        )
        _stop_on_signals(platform)
        print("Starting Usher …", flush=True)
        with platform:
            print(summary(platform, time.monotonic() - began), flush=True)
            logs = lambda: [platform.log(name) for name in platform.names if name not in QUIET]  # noqa: E731
            with control.served(platform), followed(logs):
                _wait_for_a_fall(platform)
        status = 1
    except Stopped:
        status = 0
    except (PlatformError, PortError, NotReadyError) as problem:
        print(f"\nUsher could not start: {problem}", file=sys.stderr)
        return 1
    print("Everything has stopped.", flush=True)
    return status


def _wait_for_a_fall(platform: Platform) -> None:
    pause = threading.Event()
    while not (exited := platform.unexpected_exits()):
        pause.wait(0.5)
    for name in exited:
        print(f"\n{name} has ended, so everything stops. Its log: {platform.log(name)}", file=sys.stderr, flush=True)


def _stop_on_signals(platform: Platform) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        if not platform.is_closing:  # a second Ctrl-C must not interrupt the cleanup
            platform.is_closing = True
            print("\nStopping …", flush=True)
            raise Stopped

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


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
    """Stop the platform that runs from this checkout, if there is one."""
    if (pid := _running_launcher()) is None:
        print("Usher is not running here.")
        return 0
    os.kill(pid, signal.SIGTERM)
    with (DATA / "launcher.pid").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    print("Usher has stopped.")
    return 0


def reset() -> int:
    """Delete all data of the local platform. Returns 1 if it is running."""
    if _running_launcher() is not None:
        print("Usher is running; stop it first: make stop", file=sys.stderr)
        return 1
    shutil.rmtree(DATA, ignore_errors=True)
    print("The data is gone; the next `make run` starts afresh.")
    return 0


def env(*command: str) -> int:
    """Execute the command in the environment of the local platform's processes."""
    given = given_settings()
    os.execvpe(command[0], command, platform_environment(configured_ports(given), DATA, given))  # noqa: S606 - no shell


def close_and_drain(*arguments: str) -> int:
    """Close the gateway and wait until the running platform has no unfinished work. Returns drain's exit status."""
    addresses: list[str] = []
    if control.ask(DATA, "close") != 0 or control.ask(DATA, "addresses", say=addresses.append) != 0:
        return 1
    given = given_settings()
    ports = configured_ports(given)
    environment = platform_environment(ports, DATA, given)
    return drain.main([*arguments, f"127.0.0.1:{ports['RABBITMQ_MANAGEMENT_PORT']}", *addresses], environment)


def _running_launcher() -> int | None:
    """Return the process id of the launcher that uses the data, if there is one."""
    path = DATA / "launcher.pid"
    if not path.exists():
        return None
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read())
    return None


def main(arguments: list[str]) -> int:
    """Run a command and return the exit status. Raises SystemExit for an unknown command."""
    match arguments:
        case ["run"]:
            status = run()
        case ["stop"]:
            status = stop()
        case ["reset"]:
            status = reset()
        case ["env", _, *_]:
            status = env(*arguments[1:])
        case ["scale" | "upgrade" | "open", *_]:
            status = control.ask(DATA, *arguments)
        case ["dev", service]:
            status = dev.restart_on_change(DATA, service, dev.folders(service))
        case ["drain", *options]:
            status = close_and_drain(*options)
        case _:
            sys.exit(
                "usage: python -m launcher run | stop | reset | scale SERVICE REPLICAS | upgrade SERVICE …"
                " | dev SERVICE | open | drain [OPTIONS] | env COMMAND …"
            )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
