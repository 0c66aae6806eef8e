"""A whole platform with its own ports and data, for `make run`, the tests and the measurements.

with Platform(demo=True) as usher:
    httpx.get(f"{usher.url}/api/movies")
    usher.kill("booking")
    usher.start("booking")
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import IO, Self

from launcher import gateway
from launcher.files import prepare, write_gateway
from launcher.health import NotReadyError, wait_until_ready
from launcher.ports import SERVICES, check_free, free_ports, replica_port, replica_variable
from launcher.processes import Processes, end_marked, read_procfile, session_members
from launcher.settings import ROOT, platform_environment, process_environment

# They end last, because the services still write to them while they stop.
SERVERS = frozenset({"mongo", "rabbitmq", "mailbox", "stripe"})
DEMO_LOADERS = ("identity.demo", "catalog.demo")
MIGRATE = "chassis.migrate"
RIGHTS = "chassis.rights"
LOG_LINES_SHOWN = 15


class PlatformError(Exception):
    """The platform cannot start; the text tells a person why."""


class Platform:
    """The processes of the Procfile on loopback. They run inside the block; nothing is left after it.

    `ports`: variable to port, by default those of `free_ports()`. `data_dir`: kept if given, else a temporary folder.
    `environment`: settings that take precedence, e.g. `INVENTORY_REPLICAS` or the gateway's limits
    (`settings.NO_LIMITS`). `only`: names of the processes to start, all by default. `demo`: load the demo data.
    `on_ready`: called with the name and the seconds of each process when it is ready.
    """

    def __init__(
        self,
        *,
        ports: Mapping[str, int] | None = None,
        data_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        only: Collection[str] | None = None,
        demo: bool = False,
        on_ready: Callable[[str, float], None] | None = None,
    ) -> None:
        given = dict(environment or {})
        self.ports = dict(ports or free_ports(given))
        self._keeps_data = data_dir is not None
        self.data_dir = (data_dir or Path(tempfile.gettempdir(), f"usher-{secrets.token_hex(6)}")).resolve()
        self._given = given
        self.env = platform_environment(self.ports, self.data_dir, given)
        self.logs_dir = self.data_dir / "logs"
        self.url = f"http://127.0.0.1:{self.ports['GATEWAY_PORT']}"
        commands = read_procfile(ROOT / "Procfile", self.env)
        wanted = {name: command for name, command in commands.items() if only is None or name.partition(".")[0] in only}
        self._processes = Processes(wanted, self.logs_dir)
        self._demo = demo
        self._on_ready = on_ready or (lambda _name, _seconds: None)
        self._lock: IO[str] | None = None
        self._migrating: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self.is_closing = False

    @property
    def names(self) -> list[str]:
        """The processes, in the Procfile's order."""
        return list(self._processes.commands)

    def __enter__(self) -> Self:
        """Start everything and wait until it is ready.

        Raises PlatformError or PortError if it cannot start here, and NotReadyError if a process fails.
        """
        self._claim_data()
        try:
            check_free(self.ports)
            has_data = (self.data_dir / "mongo").exists()
            prepare(self.data_dir, self.env)
            for name in self.names:
                self.log(name).write_bytes(b"")
                self._processes.start(name)
            services = [name for name in SERVICES if name in self.names]
            if has_data and services and "mongo" in self.names:
                # Services start meanwhile; a service whose database is behind waits. A new database needs no migration.
                self._migrating = self._run(MIGRATE, *services)
            self.wait_ready(*self.names)
            if self._migrating:
                self._finish(MIGRATE, self._migrating)
            if self._demo:
                self.load_demo()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._close)

    def log(self, name: str) -> Path:
        """Return the file with the process's output."""
        return self._processes.log(name)

    def pid(self, name: str) -> int:
        """Return the process's id."""
        return self._processes.pid(name)

    def pids(self, name: str) -> set[int]:
        """Return the ids of the process and of its children (e.g. nginx's workers)."""
        return session_members({self.pid(name)})

    def start(self, name: str, *, wait: bool = True, environment: Mapping[str, str] | None = None) -> None:
        """Start a stopped or killed process. With `wait`, returns when it is ready.

        `environment`: additional variables of this process, until its next start.
        """
        command, usual = self._processes.commands[name]
        self._processes.commands[name] = (command, {**usual, **(environment or {})})
        try:
            self._processes.start(name)
        finally:
            self._processes.commands[name] = (command, usual)
        if wait:
            self.wait_ready(name)

    def stop(self, name: str) -> None:
        """Stop one process as an orderly restart does (SIGTERM)."""
        self._processes.stop(name)

    def kill(self, name: str) -> None:
        """kill -9."""
        self._processes.kill(name)

    def pause(self, name: str) -> None:
        """Suspend the process and its children (SIGSTOP) until `resume`."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Resume a paused process (SIGCONT)."""
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> None:
        for pid in self.pids(name):
            os.kill(pid, number)

    def unexpected_exits(self) -> list[str]:
        """Return the processes that ended unexpectedly, and the migrations if they failed."""
        has_failed = self._migrating is not None and self._migrating.poll()
        return [*([MIGRATE] if has_failed else []), *self._processes.unexpected_exits()]

    def wait_ready(self, *names: str) -> None:
        """Wait for processes at the same time. Raises NotReadyError for the first one that fails."""

        given_up = threading.Event()

        def ended(name: str) -> list[str]:
            return self.unexpected_exits() if self._processes.is_running(name) else [name]

        def wait(name: str) -> None:
            environment = self.env | self._processes.commands[name][1]
            self._on_ready(name, wait_until_ready(name, environment, lambda: ended(name), given_up))

        with ThreadPoolExecutor(len(names)) as pool:
            try:
                for done in as_completed([pool.submit(wait, name) for name in names]):
                    done.result()
            except NotReadyError as error:
                raise NotReadyError(error.name, self._with_log(error.name, str(error))) from None
            finally:
                given_up.set()

    def replicas(self, service: str) -> list[str]:
        """Return the names of the service's processes, in the order of their numbers."""
        names = [name for name in self.names if name.partition(".")[0] == service]
        return sorted(names, key=_number)

    def add_replica(self, service: str) -> str:
        """Start one more replica. Returns its name when it is ready and the gateway uses it.

        Raises NotReadyError or PortError and changes nothing then.
        """
        number = len(self.replicas(service)) + 1
        name, variable = f"{service}.{number}", replica_variable(service, number)
        port = replica_port(self.ports, self._given, service, number)
        check_free({variable: port})
        self._set_replicas(service, number, {**self.ports, variable: port})
        self._processes.commands[name] = read_procfile(ROOT / "Procfile", self.env)[name]
        self.log(name).touch()
        try:
            self.restart(name)
        except NotReadyError:
            self._remove(service, name)
            raise
        self._reload_gateway()
        return name

    def remove_replica(self, service: str) -> str:
        """Stop the replica with the highest number when the gateway no longer uses it. Returns its name."""
        name = self.replicas(service)[-1]
        self._remove(service, name, before=self._reload_gateway)
        return name

    def restart(self, name: str) -> None:
        """Restart the process in an orderly way. Returns when it is ready.

        Raises NotReadyError if it does not become ready; it is stopped then and the others keep running.
        """
        if self._processes.is_running(name):
            self.stop(name)
        with self._starting:
            if self.is_closing:
                raise NotReadyError(name, "Usher is stopping")
            self._processes.start(name, may_end=True)
        try:
            self.wait_ready(name)
        except NotReadyError:
            self._processes.kill(name)
            raise
        self._processes.must_run(name)

    def _remove(self, service: str, name: str, before: Callable[[], None] = lambda: None) -> None:
        ports = {key: port for key, port in self.ports.items() if key != replica_variable(service, _number(name))}
        self._set_replicas(service, _number(name) - 1, ports)
        before()
        if self._processes.is_running(name):
            self._processes.stop(name)
        with self._starting:
            if not self.is_closing:
                self._processes.forget(name)

    def _set_replicas(self, service: str, count: int, ports: dict[str, int]) -> None:
        self._given[f"{service.upper()}_REPLICAS"] = str(count)
        self.ports = ports
        self.env = platform_environment(ports, self.data_dir, self._given)

    def _reload_gateway(self) -> None:
        write_gateway(self.data_dir, self.env)
        if "gateway" in self.names and self._processes.is_running("gateway"):
            gateway.reload(self.pid("gateway"), self.log("gateway"))

    def migrate(self, service: str) -> None:
        """Prepare the servers for the service's next version. Raises NotReadyError if that fails."""
        if {"mongo", "rabbitmq"} <= set(self.names):
            self._finish(RIGHTS, self._run(RIGHTS))
        self._finish(MIGRATE, self._run(MIGRATE, service))

    def load_demo(self) -> None:
        """Load the demo data; existing data stays. Raises NotReadyError if a loader fails."""
        running = {
            module: self._run(module, environment=process_environment(module.partition(".")[0], self.env))
            for module in DEMO_LOADERS
        }
        for module, process in running.items():
            self._finish(module, process)

    def _run(
        self, module: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command that runs to its end, by default as the operator. Its output: `<logs>/<module>.log`."""
        command = [sys.executable, "-m", module, *arguments]
        with self.log(module).open("wb") as log:
            return subprocess.Popen(command, env=environment or self.env, stdout=log, stderr=subprocess.STDOUT)

    def _finish(self, module: str, process: subprocess.Popen[bytes]) -> None:
        """Wait for the command's end. Raises NotReadyError if it failed."""
        if process.wait() != 0:
            raise NotReadyError(module, self._with_log(module, f"{module} has failed"))

    def _with_log(self, name: str, problem: str) -> str:
        end = self.log(name).read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return "\n".join([f"{problem}. Its log is {self.log(name)} and ends so:", *(f"    {line}" for line in end)])

    def _claim_data(self) -> None:
        """Check that no other platform uses the data, and end the processes that a killed launcher left running."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = (self.data_dir / "launcher.pid").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise PlatformError("Usher is running here already; `make stop` stops it.") from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        end_marked(self.data_dir)

    def _close(self) -> None:
        with self._starting:  # nothing starts after this
            self.is_closing = True
        if self._keeps_data:
            self._processes.stop_all(first=set(self.names) - SERVERS)
        else:
            self._processes.kill_all()
        end_marked(self.data_dir)
        if self._lock:
            self._lock.close()
        if not self._keeps_data:
            shutil.rmtree(self.data_dir)


def _number(name: str) -> int:
    """Return 1 for `booking`, 2 for `booking.2`."""
    return int(name.partition(".")[2] or 1)
