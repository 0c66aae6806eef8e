"""Jobs of several replicas: one of them runs them, and another takes over when it is gone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from chassis import jobs
from chassis.clock import now
from chassis.ids import new_id
from chassis.jobs import LEASE_S, RENEW_S, Job, Scheduler
from chassis.testing import until
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection


@dataclass
class Replica:
    """One of several replicas with the same job. `every`: seconds."""

    leases: AsyncCollection[dict[str, Any]]
    every: float = 0.02
    runs: int = 0
    rests: int = 0

    async def run(self) -> None:
        self.runs += 1

    def stand_by(self) -> None:
        self.rests += 1

    def scheduler(self) -> Scheduler:
        return Scheduler([Job("shared", every=self.every, run=self.run, stand_by=self.stand_by)], self.leases)

    async def has_run(self) -> bool:
        return self.runs > 0


@pytest.fixture
async def leases(mongo_uri: str) -> AsyncIterator[AsyncCollection[dict[str, Any]]]:
    async with AsyncMongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as mongo:
        database = mongo[f"jobs_{new_id()}"]
        yield database.leases
        await mongo.drop_database(database.name)


def kill(scheduler: Scheduler) -> None:
    """Stop a scheduler without releasing its lease."""
    for task in scheduler._tasks:
        task.cancel()


async def lease_left(leases: AsyncCollection[dict[str, Any]]) -> timedelta:
    lease = await leases.find_one()
    assert lease
    return lease["until"] - now()


async def rests_again(replica: Replica) -> None:
    rests = replica.rests

    async def has_rested() -> bool:
        return replica.rests > rests

    await until(has_rested)


async def runs_again(replica: Replica) -> None:
    runs = replica.runs

    async def has_run() -> bool:
        return replica.runs > runs

    await until(has_run)


async def test_a_stopping_replica_releases_the_lease(leases):
    first, second = Replica(leases), Replica(leases)
    async with first.scheduler():
        await until(first.has_run)
        async with second.scheduler():
            await until(second.has_run)
            await rests_again(first)
            runs, rests = first.runs, second.rests
            await asyncio.sleep(2 * LEASE_S)
            assert (first.runs, second.rests) == (runs, rests)
        await runs_again(first)


async def test_the_jobs_of_a_killed_replica_are_taken_over_even_if_they_run_rarely(leases):
    waiting, killed = Replica(leases, every=3600), Replica(leases, every=3600)
    async with waiting.scheduler():
        await until(waiting.has_run)
        scheduler = await killed.scheduler().__aenter__()
        await rests_again(waiting)
        kill(scheduler)
        await runs_again(waiting)


async def test_a_single_replica_renews_rarely_and_its_successor_does_not_wait(leases, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs, "SEEN_S", 0.0)
    monkeypatch.setattr(jobs, "LONE_LEASE_S", 3600)
    alone, successor = Replica(leases), Replica(leases)
    killed = await alone.scheduler().__aenter__()
    await until(alone.has_run)

    async def is_alone() -> bool:
        return await lease_left(leases) > timedelta(minutes=50)

    await until(is_alone)
    kill(killed)
    async with successor.scheduler():
        await until(successor.has_run)


async def test_with_another_replica_a_lease_is_short(leases):
    first, second = Replica(leases), Replica(leases)
    async with first.scheduler():
        await until(first.has_run)
        async with second.scheduler():
            await until(second.has_run)
            await asyncio.sleep(2 * RENEW_S)
            assert await lease_left(leases) <= timedelta(seconds=LEASE_S)


async def test_a_replica_that_lost_its_lease_runs_no_jobs(leases):
    slow = Replica(leases)
    async with slow.scheduler():
        await until(slow.has_run)
        await leases.update_one({}, {"$set": {"owner": "another", "until": now() + timedelta(hours=1)}})
        await rests_again(slow)
