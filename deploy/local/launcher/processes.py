"""The processes of one platform: starts, watches and ends the commands of a Procfile."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.process import Popen

from launcher.ports import replica_variable, replicas
from launcher.settings import process_environment

# Erlang's helper processes and nginx's workers end a moment later than their parent.
STOP_SECONDS = 15.0
PAUSE_SECONDS = 0.02
MARK = "USHER_DATA"


def read_procfile(path: Path, environment: Mapping[str, str]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return command and environment by name, in the file's order. The second replica of `booking` is `booking.2`."""
    copies = replicas(environment)
    processes: dict[str, tuple[str, dict[str, str]]] = {}
    for name, command in parse_procfile(path.read_text()).processes.items():
        own = process_environment(name, environment)
        processes[name] = (command, own)
        for number in range(2, copies.get(name, 1) + 1):
            port = environment[replica_variable(name, number)]
            processes[f"{name}.{number}"] = (command, {**own, replica_variable(name, 1): port})
    return processes


class Processes:
    """Runs each command in its own session, with its output in `<logs>/<name>.log`."""

    def __init__(self, commands: Mapping[str, tuple[str, dict[str, str]]], logs: Path) -> None:
        self.commands = dict(commands)
        self.logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: set[int] = set()
        self._may_end: set[str] = set()

    def log(self, name: str) -> Path:
        """Return the file with the process's output."""
        return self.logs / f"{name}.log"

    def start(self, name: str, *, may_end: bool = False) -> None:
        """Start a process. Raises RuntimeError when it is running.

        `may_end`: its end is not unexpected until `must_run` is called.
        """
        if self.is_running(name):
            raise RuntimeError(f"{name} is running already")
        command, environment = self.commands[name]
        (self._may_end.add if may_end else self._may_end.discard)(name)
        with self.log(name).open("ab") as log:
            process = Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log)
        self._running[name] = process
        self._sessions.add(process.pid)

    def must_run(self, name: str) -> None:
        """From now on the end of the process is unexpected."""
        self._may_end.discard(name)

    def forget(self, name: str) -> None:
        """Remove a process that has ended."""
        del self.commands[name]
        self._running.pop(name, None)

    def is_running(self, name: str) -> bool:
        """Whether the process was started and has not ended."""
        return name in self._running and self._running[name].poll() is None

    def pid(self, name: str) -> int:
        """Return the process id, even after the process has ended."""
        return self._running[name].pid

    def ask_to_stop(self, name: str) -> None:
        """Send SIGTERM without waiting."""
        self._may_end.add(name)
        if self._running[name].poll() is None:
            self._running[name].terminate()

    def stop(self, name: str) -> None:
        """Send SIGTERM, and SIGKILL if the process runs after STOP_SECONDS. Returns when it has ended."""
        self.ask_to_stop(name)
        try:
            self._running[name].wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill(name)

    def kill(self, name: str) -> None:
        """Kill the process and its children (SIGKILL). Returns when they have ended."""
        self._may_end.add(name)
        process = self._running[name]
        end_all(lambda: session_members({process.pid}))
        process.wait()

    def stop_all(self, first: set[str]) -> None:
        """Stop the processes in `first`, then the others, then their remaining children."""
        for group in (first, set(self._running) - first):
            names = [name for name in self._running if name in group]
            for name in names:
                self.ask_to_stop(name)
            for name in names:
                self.stop(name)
        self.kill_all()

    def kill_all(self) -> None:
        """Kill all processes and their children (SIGKILL)."""
        end_all(lambda: session_members(self._sessions))
        for process in self._running.values():
            process.wait()

    def unexpected_exits(self) -> list[str]:
        """Return the names of processes that ended without being stopped."""
        return [
            name
            for name, process in list(self._running.items())  # another thread may start a replica meanwhile
            if name not in self._may_end and process.poll() is not None
        ]


def session_members(sessions: set[int]) -> set[int]:
    """Return the ids of the running processes of these sessions."""
    return {pid for pid, session, _ in _process_table() if session in sessions}


def marked_processes(data: Path) -> set[int]:
    """Return the ids of the running processes, except this one, of the platform with this data folder."""
    mark = f"{MARK}={data}\0".encode()
    # nginx overwrites its environment with its title, which contains its arguments.
    title, argument = b"nginx: master process", f"-p {data}/gateway ".encode()
    found = set()
    for pid, _, folder in _process_table():
        command = _read(folder / "cmdline")
        if mark in _read(folder / "environ") or (command.startswith(title) and argument in command):
            found.add(pid)
    return found - {os.getpid()}


def end_marked(data: Path) -> None:
    """Kill all processes of the platform with this data folder and their children (SIGKILL)."""
    # nginx's workers have no mark, but they are in the session of the master, which has one.
    leaders = marked_processes(data) & {session for _, session, _ in _process_table()}
    end_all(lambda: marked_processes(data) | session_members(leaders))


def end_all(find: Callable[[], set[int]]) -> None:
    """Kill the processes that `find` returns until it returns none. Raises RuntimeError when some do not end."""
    pause = threading.Event()
    for _ in range(int(STOP_SECONDS / PAUSE_SECONDS)):
        if not (pids := find()):
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        pause.wait(PAUSE_SECONDS)
    raise RuntimeError(f"these processes do not end: {sorted(find())}")


def _process_table() -> list[tuple[int, int, Path]]:
    """Return process id, session id and /proc folder of every process that is not a zombie."""
    table = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # After the name in parentheses: state, parent, process group, session.
            fields = _read(folder / "stat").rpartition(b")")[2].split()
            if fields and fields[0] not in (b"Z", b"X"):
                table.append((int(folder.name), int(fields[3]), folder))
    return table


def _read(file: Path) -> bytes:
    """Return the content; empty for a process that has ended or belongs to another user."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
