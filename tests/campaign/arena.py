"""A running platform, what a fault can do to it, and a supervisor that restarts ended processes."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Literal

import httpx
from cinema import Cinema
from launcher.health import NotReadyError
from launcher.platform import Platform
from launcher.ports import SERVICES
from launcher.settings import NO_LIMITS, ROOT

from campaign.mongos import Mongos, mongos

READY_S = 60
SUPERVISED_EVERY_S = 0.25
LINE_LENGTH = 300
NEXT_RELEASE = str(ROOT / "tests/upgrades/next")
SHOWTIMES, AT_ONCE = 80, 4


@dataclass(frozen=True, order=True)
class Shape:
    """The kind of platform that a fault needs. `deadline_s`: of holds and payments; it outlasts the fault."""

    replicas: int = 1
    deadline_s: int = 10
    mongo: Literal["one", "three", "on a small disk"] = "one"

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings of such a platform."""
        deadlines = {"HOLD_SECONDS": self.deadline_s, "PAYMENT_SECONDS": self.deadline_s, "PIN_GRACE_SECONDS": 3}
        copies = {f"{service.upper()}_REPLICAS": self.replicas for service in SERVICES}
        # It also limits how long a killed sender's mail waits for another sender.
        return NO_LIMITS | {name: str(value) for name, value in {**deadlines, **copies, "SMTP_SECONDS": 1}.items()}


@dataclass
class Arena:
    """What faults act on. `fell` has the processes that ended unexpectedly, with their last line; they were restarted.
    `hit` is what a fault has chosen.
    """

    platform: Platform
    cinema: Cinema
    seats: Iterator[tuple[str, list[str]]]
    mongos: Mongos | None = None
    fell: list[str] = field(default_factory=list)
    hit: str = ""
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """A process that is starting looks as if it had ended."""

    def servers(self) -> Mongos:
        """The MongoDB servers, if the shape has its own."""
        if self.mongos is None:
            raise LookupError("this shape has the platform's own MongoDB")
        return self.mongos

    async def kill(self, name: str) -> None:
        """Kill it (kill -9)."""
        await asyncio.to_thread(self.platform.kill, name)

    async def stop(self, name: str) -> None:
        """Stop it (SIGTERM). Returns when the process has ended."""
        await asyncio.to_thread(self.platform.stop, name)

    async def pause(self, name: str) -> None:
        """Suspend it (SIGSTOP). The process answers nothing and keeps its connections."""
        self.platform.pause(name)

    async def resume(self, name: str) -> None:
        """Resume it (SIGCONT)."""
        self.platform.resume(name)

    async def start(self, name: str, *, environment: Mapping[str, str] | None = None, wait: bool = True) -> None:
        """Start a killed or stopped process. With `wait`, returns when it is ready. Raises NotReadyError."""
        async with self._starting:
            await asyncio.to_thread(self.platform.start, name, wait=False, environment=environment)
        if wait:
            await self.ready(name)

    async def upgrade(self, name: str) -> None:
        """Replace the replica by one of the next release. Raises NotReadyError."""
        await self.stop(name)
        commands = self.platform._processes.commands  # pyright: ignore[reportPrivateUsage]
        command, environment = commands[name]
        path = os.pathsep.join(filter(None, (NEXT_RELEASE, environment.get("PYTHONPATH"))))
        commands[name] = (command.replace("-m chassis.serve", "-m next_release"), environment | {"PYTHONPATH": path})
        await self.start(name)

    async def ready(self, *names: str) -> None:
        """Return when the processes are ready, even if others end meanwhile. Raises NotReadyError."""
        deadline = asyncio.get_running_loop().time() + READY_S
        while True:
            try:
                await asyncio.to_thread(self.platform.wait_ready, *names)
            except NotReadyError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(SUPERVISED_EVERY_S)
            else:
                return

    def _last_line(self, name: str) -> str:
        lines = self.platform.log(name).read_text(errors="replace").splitlines()
        return lines[-1][:LINE_LENGTH] if lines else ""

    async def supervise(self) -> None:
        """Restart ended processes, as Docker and Kubernetes do."""
        while True:
            async with self._starting:
                for name in self.platform.unexpected_exits():
                    self.fell.append(f"{name}: {self._last_line(name)}")
                    await asyncio.to_thread(self.platform.start, name, wait=False)
            await asyncio.sleep(SUPERVISED_EVERY_S)


@asynccontextmanager
async def arena(shape: Shape) -> AsyncIterator[Arena]:
    """Run a platform of this shape with the demo's showtimes inside the block."""
    async with AsyncExitStack() as stack:
        servers, environment, only = None, shape.environment, None
        if shape.mongo != "one":
            count = 3 if shape.mongo == "three" else 1
            servers = await stack.enter_async_context(mongos(count, small_disk=shape.mongo == "on a small disk"))
            environment |= {"MONGO_URI": servers.uri}
            only = {"rabbitmq", "mailbox", "stripe", "gateway", *SERVICES}
        # Not in a thread: Ctrl-C during the start must end the started processes.
        platform = stack.enter_context(Platform(demo=True, environment=environment, only=only))
        cinema = Cinema(platform, await stack.enter_async_context(httpx.AsyncClient(timeout=30)))
        place = Arena(platform, cinema, await _seats(cinema), servers)
        watch = asyncio.create_task(place.supervise())
        try:
            yield place
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)


async def _seats(cinema: Cinema) -> Iterator[tuple[str, list[str]]]:
    """Yield one or two unused seats of a few showtimes in turn."""
    halls = [await cinema.seats(None) for _ in range(SHOWTIMES)]
    portions = [[(showtime_id, portion) for portion in _portions(seats)] for showtime_id, seats in halls]
    groups = (portions[first : first + AT_ONCE] for first in range(0, SHOWTIMES, AT_ONCE))
    turns = chain.from_iterable(zip_longest(*group) for group in groups)
    return (portion for turn in turns for portion in turn if portion)


def _portions(seats: list[str]) -> Iterator[list[str]]:
    """Group the seats by two and one in turn."""
    for first in range(0, len(seats), 3):
        yield seats[first : first + 2]
        yield from ([seat] for seat in seats[first + 2 : first + 3])
