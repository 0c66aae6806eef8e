"""python -m bench [--quick]: measure, print, and keep the result in bench/results/."""

import sys
from typing import Any

import uvloop
from launcher.platform import Platform

from bench import cpu, floor, growth, load, report
from bench.stage import ENVIRONMENT, set_up

SERVICES = ("identity", "catalog", "inventory", "booking", "payment", "notifier", "realtime", "gateway")


async def measure(platform: Platform, *, quick: bool) -> dict[str, Any]:
    """Everything, on one platform; the floor last, when its services have ended and only the servers run."""
    seconds, races = (4.0, 2) if quick else (12.0, 5)
    async with set_up(platform) as stage:
        await load.sagas(stage, await stage.pairs(10), 8, 3)  # to warm up
        pairs = await stage.pairs(60 if quick else 120)
        idle = await load.idle(stage, seconds)
        result: dict[str, Any] = {"yardstick_ms": round(cpu.yardstick(), 2), "idle": idle}
        result["sagas"] = [await load.sagas(stage, pairs, clients, seconds) for clients in (1, 8, 32)]
        result["holds"] = await load.holds_alone(stage, pairs, 32, seconds / 2)
        result["races"] = [await load.race(stage, 32, 50) for _ in range(races)]
        result["crowd"] = await load.crowd(stage, 2000)
        result["growth"] = await growth.measure(stage, quick=quick)
        for name in SERVICES:
            stage.platform.stop(name)
        result["floor"] = await floor.measure(stage.platform, 32, seconds)
    return result


def main() -> None:
    """The command."""
    quick = "--quick" in sys.argv[1:]
    began = report.Circumstances.now()
    with Platform(environment=ENVIRONMENT) as platform:
        result = uvloop.run(measure(platform, quick=quick))
    report.keep(report.finished(began, result, quick=quick))


if __name__ == "__main__":
    main()
