"""Periodic jobs. With several replicas, a lease in MongoDB decides which one of them runs the jobs.

The lease only saves duplicate work; it is not a lock, because every job guards its own writes. Lease times come from
MongoDB's clock, so a replica with a wrong clock neither takes over a valid lease nor holds an expired one.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import Counter
from pymongo import WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError, PyMongoError

from chassis.ids import new_id

log = structlog.get_logger()
LEASE_S, RENEW_S, CHECK_S = 1.2, 0.75, 0.05
"""How long a lease lasts with several replicas: if its owner is killed, the jobs pause for less than 1.5 s.

A waiting replica sleeps until the lease expires, but at least CHECK_S.
"""
LONE_LEASE_S, LONE_RENEW_S = 7.0, 5.0
"""How long the lease of a single replica lasts. A renewal costs about 4 ms of CPU time, mostly in MongoDB."""
SEEN_S = 8.0
"""How long a replica counts as alive after its last check of the lease. Longer than a single replica needs to notice
another one.
"""
_LEASE = "jobs"
_FIELDS = {
    **dict.fromkeys(("owner", "until"), 1),
    "left_ms": {"$subtract": ["$until", "$$NOW"]},
    "others_left_ms": {"$subtract": ["$others_until", "$$NOW"]},
}
_failures = Counter("usher_job_failures_total", "Job runs that ended with an error", ["name"])


@dataclass(frozen=True)
class Job:
    """`run` is called about every `every` seconds by the replica with the lease, `stand_by` by the other replicas.

    `stand_by` can reset a gauge that `run` has set, after another replica has taken over.
    """

    name: str
    every: float
    run: Callable[[], Awaitable[None]]
    stand_by: Callable[[], None] = lambda: None


def _in(seconds: float) -> dict[str, Any]:
    """Return an expression for the time in that many seconds by MongoDB's clock."""
    return {"$add": ["$$NOW", round(seconds * 1000)]}


class Scheduler:
    """Runs a service's jobs until the service stops. A run that has started is finished first."""

    def __init__(self, jobs: list[Job], leases: AsyncCollection[dict[str, Any]]) -> None:
        # Losing the lease in a crash of MongoDB is harmless, so the write need not wait for the journal.
        self._jobs, self._leases = jobs, leases.with_options(write_concern=WriteConcern(w=1))
        self._owner, self._has_lease, self._is_stopping = new_id(), False, False
        self._turn = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Scheduler":
        if self._jobs:
            self._tasks = [asyncio.create_task(each) for each in (self._keep_lease(), *map(self._repeat, self._jobs))]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_stopping = True
        self._wake()
        await asyncio.gather(*self._tasks)
        await self._leases.delete_one({"_id": _LEASE, "owner": self._owner})

    async def _keep_lease(self) -> None:
        """Take the lease at the start even if another replica has it, since that one may be dead. Then renew it."""
        is_new = True
        while not self._is_stopping:
            had_lease = self._has_lease
            try:
                self._has_lease, pause = await self._check(is_new=is_new)
                is_new = False
            except PyMongoError as error:
                self._has_lease, pause = False, RENEW_S
                log.warning("lease_unknown", reason=type(error).__name__)
            if self._has_lease != had_lease:
                self._wake()
            await self._pause(pause)

    async def _check(self, *, is_new: bool) -> tuple[bool, float]:
        """Take or extend the lease, unless another replica has it. Returns its success and when to check again."""
        lease = await self._leases.find_one({"_id": _LEASE}, _FIELDS) or {}
        is_mine = lease.get("owner") == self._owner
        change: dict[str, Any] = {} if is_mine else {"others_until": _in(SEEN_S)}
        if has_lease := is_new or is_mine or lease.get("left_ms", 0) <= 0:
            is_alone = is_mine and lease["others_left_ms"] <= 0
            seconds, pause = (LONE_LEASE_S, LONE_RENEW_S) if is_alone else (LEASE_S, RENEW_S)
            change |= {"owner": self._owner, "until": _in(seconds)}
        else:
            pause = max(lease["left_ms"] / 1000, CHECK_S)
        try:
            await self._leases.update_one(
                {"_id": _LEASE, "owner": lease.get("owner"), "until": lease.get("until")},
                [{"$set": change}],
                upsert=True,
            )
        except DuplicateKeyError:  # another replica was faster
            return False, RENEW_S
        return has_lease, pause

    async def _repeat(self, job: Job) -> None:
        while not self._is_stopping:
            try:
                if self._has_lease:
                    await job.run()
                else:
                    job.stand_by()
            except Exception:
                _failures.labels(job.name).inc()
                log.exception("job_failed", job=job.name)
            await self._pause(job.every)

    def _wake(self) -> None:
        """End the pauses of all jobs, because the lease has changed hands."""
        self._turn.set()
        self._turn = asyncio.Event()

    async def _pause(self, seconds: float) -> None:
        if self._is_stopping:
            return
        pause = seconds * random.uniform(0.9, 1.1)  # noqa: S311 - spreads replicas, not a secret
        try:
            async with asyncio.timeout(pause):
                await self._turn.wait()
        except TimeoutError:
            return
