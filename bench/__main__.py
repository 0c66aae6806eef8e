"""python -m bench [--quick]: measure, print and save the result in bench/results/."""

import sys
from typing import Any

import uvloop
from launcher.platform import Platform
from launcher.ports import SERVICES

from bench import arrivals, cpu, floor, growth, load, replicas, report, sink
from bench.sink import Sink
from bench.stage import platform_with, set_up

ARRIVALS_A_SECOND = 100


async def measure(platform: Platform, mail: Sink, *, quick: bool) -> dict[str, Any]:
    """Measure everything on one replica of each service. The floor comes last, when only the servers still run."""
    seconds, races = (4.0, 2) if quick else (10.0, 3)
    async with set_up(platform, mail) as stage:
        await load.sagas(stage, await stage.pairs(10), 8, 3)  # to warm up
        pairs = await stage.pairs(60 if quick else 120)
        idle = await load.idle(stage, seconds)
        result: dict[str, Any] = {"yardstick_ms": round(cpu.yardstick(), 2), "idle": idle}
        result["sagas"] = [await load.sagas(stage, pairs, clients, seconds) for clients in (1, 8, 32)]
        result["arrivals"] = await arrivals.bookings(stage, pairs, ARRIVALS_A_SECOND, 6 if quick else 20)
        result["holds"] = await load.holds_alone(stage, pairs, 32, seconds / 2)
        result["races"] = [await load.race(stage, 32, 50) for _ in range(races)]
        result["crowd"] = await load.crowd(stage, 2000)
        result["growth"] = await growth.measure(stage, quick=quick)
        for name in (*SERVICES, "gateway"):
            stage.platform.stop(name)
        for name, is_batched in {"floor": False, "floor_batched": True}.items():
            result[name] = await floor.measure(stage.platform, 32, seconds / 2, is_batched=is_batched)
    return result


def main() -> None:
    """Parse the command line and run."""
    quick = "--quick" in sys.argv[1:]
    began = report.Circumstances.now()
    with sink.running() as mail:
        with platform_with(mail) as platform:
            result = uvloop.run(measure(platform, mail, quick=quick))
        with platform_with(mail, replicas.TWO_OF_EACH) as platform:
            result["replicas"] = uvloop.run(replicas.measure(platform, mail, quick=quick))
    report.keep(report.finished(began, result, quick=quick))


if __name__ == "__main__":
    main()
