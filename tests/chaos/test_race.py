"""Two hundred people want the same forty seats: with inventory's guards, and then without them."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import facts
import httpx
from chassis.testing import until
from cinema import Cinema
from customer import Json, Refused
from invariants import at_rest, violations
from launcher.ports import replica_variable

CLIENTS, SEATS = 200, 40


async def race(cinema: Cinema) -> tuple[list[Json], list[Refused], list[str]]:
    """Let everybody hold and pay for a seat at the same time. Returns the holds, the refusals and the seats."""
    showtime_id, seats = await cinema.seats(SEATS)
    dice = random.Random(7)  # noqa: S311 - a dice, not a secret
    wanted = [*seats, *(dice.choice(seats) for _ in range(CLIENTS - SEATS))]
    dice.shuffle(wanted)
    begin = asyncio.Event()

    async def one(seat: str) -> Json | Refused:
        guest = cinema.guest()
        await begin.wait()
        try:
            hold = await guest.hold(showtime_id, [seat])
        except Refused as refused:
            return refused
        await guest.check_out(hold, "racer@usher.example")
        await guest.pay(await guest.create_intent(hold))
        await guest.settled(hold, "confirmed", "refunded")
        return hold

    running = [asyncio.create_task(one(seat)) for seat in wanted]
    begin.set()
    answers = await asyncio.gather(*running)
    holds = [answer for answer in answers if not isinstance(answer, Refused)]
    return holds, [answer for answer in answers if isinstance(answer, Refused)], seats


async def test_two_hundred_people_and_forty_seats(race_track):
    holds, refusals, seats = await race(race_track)
    sold = Counter(seat["seat_id"] for hold in holds for seat in hold["seats"])
    assert sold == dict.fromkeys(seats, 1)
    assert len(refusals) == CLIENTS - SEATS
    for refusal in refusals:
        assert (refusal.status, refusal.problem["code"]) == (409, "seats_taken")
        assert set(refusal.problem["seats"]) <= set(seats)
    now = await at_rest(race_track.platform.env)
    assert violations(now) == []
    assert all(now.bookings[hold["hold_id"]]["state"] == "confirmed" for hold in holds)


@asynccontextmanager
async def without_guards(cinema: Cinema) -> AsyncIterator[None]:
    """Replace each of the platform's replicas of inventory by an unguarded one."""
    replicas = [name for name in cinema.platform.names if name.partition(".")[0] == "inventory"]
    env = cinema.platform.env | {"PYTHONPATH": str(Path(__file__).parent)}
    async with AsyncExitStack() as stack:
        for number, name in enumerate(replicas, start=1):
            cinema.platform.kill(name)
            log = stack.enter_context(cinema.platform.log(f"unguarded.{number}").open("wb"))
            command = ("uvicorn", "unguarded:app", "--port", env[replica_variable("inventory", number)])
            process = await asyncio.create_subprocess_exec(*command, env=env, stdout=log, stderr=log)
            stack.push_async_callback(asyncio.to_thread, cinema.platform.start, name)
            stack.push_async_callback(process.wait)
            stack.callback(process.kill)
        for number, _ in enumerate(replicas, start=1):
            await until(partial(is_ready, cinema, env[replica_variable("inventory", number)]))
        yield


async def is_ready(cinema: Cinema, port: str) -> bool:
    """Whether the service at the port accepts requests. The platform knows only the processes that it has started."""
    try:
        return (await cinema.http.get(f"http://127.0.0.1:{port}/readyz")).is_success
    except httpx.TransportError:
        return False


async def test_without_the_guards_the_same_race_sells_seats_twice(race_track):
    async with without_guards(race_track):
        holds, _, _ = await race(race_track)
        now = await facts.read(race_track.platform.env)
    sold_twice = [found.text for found in violations(now) if found.rule == "seats" and "was sold" in found.text]
    assert len(holds) > SEATS
    assert sold_twice
    print(f"{len(holds)} holds of {SEATS} seats; {len(sold_twice)} seats were sold twice, the first: {sold_twice[0]}")
