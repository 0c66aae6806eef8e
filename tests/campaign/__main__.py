"""`python -m campaign`: run the faults, print and save the table. The exit status is 1 if an aim is missed."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import facts
from invariants import at_rest, violations
from launcher.settings import RUNTIME

from bench.report import RESULTS, Circumstances
from campaign.arena import Arena, arena
from campaign.customers import BUYERS, Crowd
from campaign.faults import QUICK, Fault, every_fault
from campaign.outcome import EXCUSED_AFTER_S, Outcome, Window
from campaign.report import keep, markdown, summary

RATE = 7.0
BEFORE_S, AFTER_S = 3.0, 2.0
RECOVERY_S = 30.0
REST_S = 60.0
ERROR_LENGTH = 400
ROWS_OF_A_PLATFORM = 12
"""Reading all of a platform's sales takes longer with each row."""


async def run(faults: list[Fault], rate: float, done: Callable[[list[Outcome]], None]) -> list[Outcome]:
    """Run the faults in turn. The next one gets the same platform if it needs the same shape and nothing is left over.

    `done` is called after each fault with the outcomes so far.
    """
    outcomes: list[Outcome] = []
    async with AsyncExitStack() as stack:
        place, shape, rows = None, None, 0
        for number, fault in enumerate(faults):
            is_used_up = rows == ROWS_OF_A_PLATFORM or (number > 0 and faults[number - 1].is_last)
            if place is None or shape != fault.shape or is_used_up or not outcomes[-1].is_clean:
                place, shape, rows = None, fault.shape, 0
                await stack.aclose()
                try:
                    place = await stack.enter_async_context(arena(fault.shape))
                except Exception as error:  # this is the row's result; the other rows still run
                    outcomes.append(_not_run(fault, error))
            if place:
                outcomes.append(await _row(place, fault, rate, seed=number))
                rows += 1
            print(f"{number + 1}/{len(faults)} {summary(outcomes[-1])}", flush=True)
            done(outcomes)
    return outcomes


def _not_run(fault: Fault, error: Exception) -> Outcome:
    return Outcome(fault.name, fault.shape.replicas, error=f"the platform did not start: {_short(error)}")


def _short(error: Exception) -> str:
    return repr(error)[:ERROR_LENGTH]


async def _row(place: Arena, fault: Fault, rate: float, seed: int) -> Outcome:
    place.fell.clear()
    errors: list[str] = []
    async with Crowd(place.cinema, place.seats, rate, seed) as crowd:
        await asyncio.sleep(BEFORE_S)
        crowd.minds = BUYERS  # all others must be done by the end of the row
        began = time.monotonic()
        try:
            await fault.inject(place)
            await asyncio.sleep(fault.lasts_s)
            await fault.heal(place)
        except Exception as error:  # any error is the row's result; the other rows still run
            errors.append(f"the fault could not be run or undone: {_short(error)}")
        back = time.monotonic()
        await _recovered(crowd, back)
    window = Window(began, back + EXCUSED_AFTER_S) if fault.is_outage else None
    stuck, broken = list[str](), list[str]()
    try:
        try:
            now = await at_rest(place.platform.env, REST_S)
        except AssertionError as unrest:
            stuck = str(unrest).splitlines()[1:]
            now = await facts.read(place.platform.env)
        broken = [*map(str, violations(now)), *crowd.broken_promises(now)]
    except Exception as error:
        errors.append(f"the platform could not be read: {_short(error)}")
    return Outcome(
        fault=fault.name,
        replicas=fault.shape.replicas,
        customers=crowd.arrived,
        confirmed=crowd.confirmed,
        failures=crowd.requests.kinds(),
        unexcused=crowd.requests.unexcused(window),
        told_to_wait=crowd.requests.told_to_wait,
        gave_up=crowd.gave_up,
        wrong=crowd.wrong,
        violations=broken,
        stuck=stuck,
        down_s=back - began,
        first_success_s=crowd.requests.first_success_s(back),
        clean_second_s=crowd.requests.clean_second_s(back),
        slowest_s=crowd.requests.slowest_s(),
        fell=list(place.fell),
        error="; ".join(errors),
    )


async def _recovered(crowd: Crowd, back: float) -> None:
    """Return AFTER_S after requests succeed again, but at most RECOVERY_S after `back`."""
    while time.monotonic() < back + RECOVERY_S and crowd.requests.clean_second_s(back) is None:
        await asyncio.sleep(0.1)
    await asyncio.sleep(AFTER_S)


def main() -> int:
    """Parse the command line and run. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="make campaign", description=__doc__)
    parser.add_argument(
        "--only", default="", help="only faults whose name contains one of these words: inventory,mongo"
    )
    parser.add_argument("--replicas", type=int, help="only those with so many replicas of each service")
    parser.add_argument("--rate", type=float, default=RATE, help=f"customers a second ({RATE:.0f})")
    parser.add_argument("--quick", action="store_true", help="only one fault of each kind")
    parser.add_argument("--list", action="store_true", help="print the faults and run none")
    asked = parser.parse_args()
    faults = sorted(every_fault(), key=lambda fault: fault.shape)
    chosen = [
        fault
        for fault in faults
        if any(word in fault.name for word in asked.only.split(","))
        and (not asked.quick or fault.name in QUICK)
        and asked.replicas in (None, fault.shape.replicas)
    ]
    if asked.list:
        print(*(f"{fault.name} ({fault.shape.replicas})" for fault in chosen), sep="\n")
        return 0
    began = Circumstances.now()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # running processes are ended, as on Ctrl-C
    folder = RESULTS if len(chosen) == len(faults) else RUNTIME
    outcomes = asyncio.run(run(chosen, asked.rate, lambda so_far: keep(began, so_far, folder)))
    print(markdown(began, outcomes))
    return 1 if any(outcome.misses for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
