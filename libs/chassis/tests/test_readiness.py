"""Readiness probes while a server hangs, and with a wrong clock."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.observability import readiness
from chassis.observability.readiness import Shared
from chassis.testing import replica_of, servers, until

HERE = {"PYTHONPATH": str(Path(__file__).parent)}


@pytest.fixture(scope="module")
async def probed(service_env: None) -> AsyncIterator[httpx.AsyncClient]:
    async with replica_of("echo", **HERE) as (_, http):
        yield http


def gauge(metrics: httpx.Response, name: str) -> float:
    [line] = [line for line in metrics.text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


async def is_ready(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).is_success


async def test_probes_do_not_wait_for_a_mongodb_that_hangs(probed: httpx.AsyncClient, mongo_uri: str):
    with servers.hung(mongo_uri):
        await until(lambda: has_noticed(probed, "mongodb"))
        waits = asyncio.create_task(probed.post("/api/echo", params={"text": new_id()}))
        probes = await asyncio.gather(*(probed.get(path) for path in ("/readyz", "/metrics") for _ in range(3)))
        assert not waits.done()
        assert [probe.status_code for probe in probes] == 3 * [503] + 3 * [200]
        assert gauge(probes[-1], 'usher_ready{check="mongodb"}') == 0
        assert (await waits).status_code == 503
    await until(lambda: is_ready(probed))


async def has_noticed(http: httpx.AsyncClient, check: str) -> bool:
    return not (await http.get("/readyz")).json()[check]


async def test_probes_do_not_wait_for_a_rabbitmq_that_hangs(probed: httpx.AsyncClient, rabbitmq_uri: str):
    with servers.hung(rabbitmq_uri):
        for path in ("/readyz", "/metrics"):
            assert (await probed.get(path)).status_code in {200, 503}
    await until(lambda: is_ready(probed))


@pytest.mark.parametrize(("ahead_s", "is_fine"), [(-90, False), (90, False), (30, True)])
async def test_a_clock_that_is_more_than_a_minute_wrong_is_not_ready(service_env: None, ahead_s: int, is_fine: bool):
    async with replica_of("echo", "/healthz", **HERE, CLOCK_AHEAD_S=str(ahead_s)) as (_, http):

        async def agrees() -> bool:
            answer = await http.get("/readyz")
            expected = {"mongodb": True, "rabbitmq": True, "clock": is_fine}
            return answer.json() == expected and answer.status_code == (200 if is_fine else 503)

        await until(agrees)
        metrics = await http.get("/metrics")
        told = datetime.fromisoformat((await http.get("/api/time")).json())
        assert abs(told - now()) < timedelta(seconds=10), "the process follows MongoDB's clock"
    # The round trip is subtracted, which may be long on a busy machine.
    assert abs(ahead_s) - 10 < gauge(metrics, "usher_clock_skew_seconds") < abs(ahead_s) + 1
    assert gauge(metrics, 'usher_ready{check="clock"}') == is_fine


class Counted:
    """A check that counts its runs and waits until the test lets it end."""

    def __init__(self) -> None:
        self.runs, self.may_end = 0, asyncio.Event()

    async def __call__(self) -> bool:
        self.runs += 1
        await self.may_end.wait()
        return True


async def test_probes_at_the_same_time_share_one_check():
    check = Counted()
    check.may_end.set()
    shared = Shared(check)
    assert await asyncio.gather(*(shared.passes() for _ in range(20))) == 20 * [True]
    assert check.runs == 1


async def test_a_check_that_takes_too_long_fails_until_it_ends_and_is_not_started_twice(monkeypatch):
    monkeypatch.setattr(readiness, "PATIENCE_S", 0.01)
    check = Counted()
    shared = Shared(check)
    assert not await shared.passes()
    assert not await shared.passes()
    assert check.runs == 1
    check.may_end.set()
    await until(shared.passes)
    assert check.runs == 1


async def test_a_result_is_used_only_while_it_is_fresh(monkeypatch):
    monkeypatch.setattr(readiness, "FRESH_S", 0.0)
    check = Counted()
    check.may_end.set()
    shared = Shared(check)
    assert await shared.passes()
    assert await shared.passes()
    assert check.runs == 2
