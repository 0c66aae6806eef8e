"""Periodic work that is safe with several replicas: a lease in MongoDB lets one of them run it at a time.

A lease is a courtesy that saves double work, not a lock: what a job writes is guarded in the write itself.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import Counter
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from chassis.clock import now
from chassis.ids import new_id

log = structlog.get_logger()
LEASE_S = 4.0
"""A job stands still for at most one and a half leases when the replica that ran it is killed."""
_failures = Counter("usher_job_failures_total", "Job runs that ended with an error", ["name"])


@dataclass(frozen=True)
class Job:
    """`run` is called about every `every` seconds, by one replica at a time; `rest` in those that do not have the turn.

    So a gauge that `run` sets can be taken back by the replica that measures no longer.
    """

    name: str
    every: float
    run: Callable[[], Awaitable[None]]
    rest: Callable[[], None] = lambda: None


class Scheduler:
    """Runs a service's jobs until it is stopped; a run under way is finished first."""

    def __init__(self, jobs: list[Job], leases: AsyncCollection[dict[str, Any]]) -> None:
        self._jobs, self._leases, self._owner = jobs, leases, new_id()
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Scheduler":
        self._tasks = [asyncio.create_task(self._repeat(job)) for job in self._jobs]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        await self._leases.delete_many({"owner": self._owner})

    async def _repeat(self, job: Job) -> None:
        lease_s = max(LEASE_S, 2.5 * job.every)  # so that it never runs out between two runs
        leased_until = 0.0
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            try:
                if leased_until - clock() < lease_s / 2:
                    leased_until = clock() + lease_s if await self._lease(job, lease_s) else 0.0
                if leased_until:
                    await job.run()
                else:
                    job.rest()
            except Exception:
                _failures.labels(job.name).inc()
                log.exception("job_failed", job=job.name)
            await self._pause(job.every if leased_until else LEASE_S / 2)

    async def _pause(self, seconds: float) -> None:
        pause = seconds * random.uniform(0.9, 1.1)  # noqa: S311 - spreads replicas, guards nothing
        try:
            async with asyncio.timeout(pause):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _lease(self, job: Job, seconds: float) -> bool:
        """Take or extend the lease; False when another replica has it."""
        moment = now()
        try:
            await self._leases.update_one(
                {"_id": job.name, "$or": [{"owner": self._owner}, {"until": {"$lte": moment}}]},
                {"$set": {"owner": self._owner, "until": moment + timedelta(seconds=seconds)}},
                upsert=True,
            )
        except DuplicateKeyError:
            return False
        return True
