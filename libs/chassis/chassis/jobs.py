"""Periodic work that is safe with several replicas: a lease in MongoDB lets one of them do it at a time.

A lease is a courtesy that saves double work, not a lock: what a job writes is guarded in the write itself. Its times
are MongoDB's, so that a replica whose clock is wrong neither takes it from another nor keeps it for too long.
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
LEASE_S, RENEW_S, LOOK_S = 1.2, 0.75, 0.05
"""Among several replicas, all jobs stand still for less than 1.5 s when the one that did them is killed.

A replica that waits for the lease sleeps until it runs out, but at least LOOK_S.
"""
LONE_LEASE_S, LONE_RENEW_S = 7.0, 5.0
"""How long the lease of a lone replica lasts: a renewal costs some 4 ms of CPU time, most of it MongoDB's."""
SEEN_S = 8.0
"""How long a replica counts after it last looked at the lease; longer than a lone replica takes to see a new one."""
_LEASE = "jobs"
_FIELDS = {
    **dict.fromkeys(("owner", "until"), 1),
    "left_ms": {"$subtract": ["$until", "$$NOW"]},
    "others_left_ms": {"$subtract": ["$others_until", "$$NOW"]},
}
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


def _in(seconds: float) -> dict[str, Any]:
    """The time so many seconds from now, by MongoDB's clock."""
    return {"$add": ["$$NOW", round(seconds * 1000)]}


class Scheduler:
    """Runs a service's jobs until it is stopped; a run under way is finished first."""

    def __init__(self, jobs: list[Job], leases: AsyncCollection[dict[str, Any]]) -> None:
        # A lease that a crash of MongoDB takes back is no harm, so it need not wait for the journal.
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
        """Take the lease at the start, even if another replica has it: that one may have been killed. Then renew it."""
        is_new = True
        while not self._is_stopping:
            had_lease = self._has_lease
            try:
                self._has_lease, pause = await self._look(is_new=is_new)
                is_new = False
            except PyMongoError as error:
                self._has_lease, pause = False, RENEW_S
                log.warning("lease_unknown", reason=type(error).__name__)
            if self._has_lease != had_lease:
                self._wake()
            await self._pause(pause)

    async def _look(self, *, is_new: bool) -> tuple[bool, float]:
        """Take or extend the lease, unless another replica has it. Returns whether it did and when to look again."""
        lease = await self._leases.find_one({"_id": _LEASE}, _FIELDS) or {}
        is_mine = lease.get("owner") == self._owner
        change: dict[str, Any] = {} if is_mine else {"others_until": _in(SEEN_S)}
        if has_lease := is_new or is_mine or lease.get("left_ms", 0) <= 0:
            is_alone = is_mine and lease["others_left_ms"] <= 0
            seconds, pause = (LONE_LEASE_S, LONE_RENEW_S) if is_alone else (LEASE_S, RENEW_S)
            change |= {"owner": self._owner, "until": _in(seconds)}
        else:
            pause = max(lease["left_ms"] / 1000, LOOK_S)
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
                    job.rest()
            except Exception:
                _failures.labels(job.name).inc()
                log.exception("job_failed", job=job.name)
            await self._pause(job.every)

    def _wake(self) -> None:
        """End all pauses: whose turn it is has changed."""
        self._turn.set()
        self._turn = asyncio.Event()

    async def _pause(self, seconds: float) -> None:
        if self._is_stopping:
            return
        pause = seconds * random.uniform(0.9, 1.1)  # noqa: S311 - spreads replicas, guards nothing
        try:
            async with asyncio.timeout(pause):
                await self._turn.wait()
        except TimeoutError:
            return
