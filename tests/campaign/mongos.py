"""The campaign's MongoDB servers: a replica set of three, or one server on a small disk."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from launcher.health import ALREADY_INITIALIZED
from launcher.ports import LOOPBACK, free_ports
from launcher.processes import MARK, Processes, end_marked, session_members
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

READY_S = 120
SMALL_DISK_MB = 600
OPTIONS = "--bind_ip 127.0.0.1 --nounixsocket --replSet usher --oplogSize 64 --wiredTigerCacheSizeGB 0.5"


class Mongos:
    """The running servers, by name, and their replica set."""

    def __init__(self, processes: Processes, ports: dict[str, int], folder: Path) -> None:
        self.processes, self.folder, self._ports = processes, folder, ports
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in ports.values())
        self.uri = f"mongodb://{hosts}/?replicaSet=usher"

    async def primary(self) -> str:
        """Wait for a primary and return its name. Raises TimeoutError."""
        async with asyncio.timeout(READY_S):
            while True:
                for name in self._ports:
                    try:
                        if (await self._ask(name, "hello")).get("isWritablePrimary"):
                            return name
                    except PyMongoError:
                        continue  # it is down or has just started
                await asyncio.sleep(0.1)

    async def form(self) -> None:
        """Form one replica set of the servers. Raises TimeoutError."""
        members = [{"_id": n, "host": f"{LOOPBACK}:{port}"} for n, port in enumerate(self._ports.values())]
        async with asyncio.timeout(READY_S):
            while True:
                try:
                    await self._ask(next(iter(self._ports)), "replSetInitiate", {"_id": "usher", "members": members})
                    break
                except OperationFailure as failure:
                    if failure.code == ALREADY_INITIALIZED:  # the response to an earlier attempt was lost
                        break
                    await asyncio.sleep(0.2)  # the others have not started yet
                except PyMongoError:
                    await asyncio.sleep(0.2)
        await self.primary()

    def kill(self, name: str) -> None:
        """Kill it (kill -9)."""
        self.processes.kill(name)

    def pause(self, name: str) -> None:
        """Suspend it (SIGSTOP)."""
        self._signal(name, signal.SIGSTOP)

    def mend(self, name: str) -> None:
        """Start the killed server, or resume the suspended one."""
        if self.processes.is_running(name):
            self._signal(name, signal.SIGCONT)
        else:
            self.processes.start(name)

    def restart_exited(self) -> None:
        """Restart the servers that have exited."""
        for name in self.processes.unexpected_exits():
            self.processes.start(name)

    def fill_disk(self) -> None:
        """Fill the disk completely."""
        with (self.folder / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(1 << 20))
            except OSError as error:
                print(f"  {error.strerror}: {self.folder}")

    def empty_disk(self) -> None:
        """Free the space again."""
        (self.folder / "filler").unlink()

    def _signal(self, name: str, number: signal.Signals) -> None:
        for pid in session_members({self.processes.pid(name)}):
            os.kill(pid, number)

    async def _ask(self, name: str, command: str, value: Any = 1) -> dict[str, Any]:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            LOOPBACK, self._ports[name], directConnection=True, serverSelectionTimeoutMS=300, socketTimeoutMS=5000
        )
        async with client:
            return await client.admin.command(command, value)


@asynccontextmanager
async def mongos(count: int, *, small_disk: bool = False) -> AsyncIterator[Mongos]:
    """Run this many servers on free ports as one replica set. A small disk needs root's right to mount."""
    with TemporaryDirectory(prefix="usher-campaign-") as temporary, _disk(Path(temporary), small=small_disk) as folder:
        ports = {f"mongo.{n}": free_ports()["MONGO_PORT"] for n in range(1, count + 1)}
        environment = {**os.environ, MARK: str(folder)}
        commands = {}
        for name, port in ports.items():
            (folder / name).mkdir()
            commands[name] = (f"exec mongod --dbpath {folder / name} --port {port} {OPTIONS}", environment)
        processes = Processes(commands, Path(temporary))
        try:
            for name in commands:
                processes.start(name)
            servers = Mongos(processes, ports, folder)
            await servers.form()
            yield servers
        finally:
            processes.kill_all()
            end_marked(folder)


@contextmanager
def _disk(temporary: Path, *, small: bool) -> Iterator[Path]:
    folder = temporary / "data"
    folder.mkdir()
    if not small:
        yield folder
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_MB}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
