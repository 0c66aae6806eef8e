"""RabbitMQ and MongoDB fail in the middle of sales and come back."""

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from chassis.testing import until
from cinema import Cinema
from customer import Refused

from .conftest import stands
from .crowd import Crowd

AWAY_S = {"rabbitmq": 3, "mongo": 7}
"""MongoDB is down for longer than its driver waits for a server, so requests and handlers fail."""


@pytest.mark.parametrize("server", ["rabbitmq", "mongo"])
@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_a_server_that_goes_away_for_a_while_costs_nobody_a_seat_or_money(arena, server, way):
    async with Crowd(arena) as crowd:
        await crowd.grows(10)
        await asyncio.to_thread(getattr(arena.platform, way), server)
        await asyncio.sleep(AWAY_S[server])
        await asyncio.to_thread(arena.platform.start, server)
        await crowd.grows(10)
    print(way, server, len(crowd.purchases), "purchases,", len(crowd.paid), "paid,", dict(crowd.failures))
    await stands(arena, crowd)
    assert arena.platform.unexpected_exits() == []


async def test_while_rabbitmq_hangs_no_answer_is_final_and_wrong(race_track):
    """A sale proceeds up to the payment. A showtime that was just planned is "not ready", not "unknown"."""
    cinema: Cinema = race_track
    showtime_id, (seat, *_) = await cinema.seats(1)
    guest = cinema.guest()
    await asyncio.to_thread(cinema.platform.pause, "rabbitmq")
    try:
        planned = await plan_like(cinema, showtime_id)
        for call in (guest.hold(planned, [seat]), cinema.taken(planned)):
            with pytest.raises(Refused) as refused:
                await call
            assert (refused.value.status, refused.value.problem["retry_after"]) == (503, 2)
        hold = await guest.hold(showtime_id, [seat])
        booking = await guest.check_out(hold, "patient@usher.example")
        assert (await guest.booking(hold))["state"] == booking["state"] == "awaiting_payment"
        assert (await guest.pay(await guest.create_intent(hold)))["status"] == "succeeded"
    finally:
        await asyncio.to_thread(cinema.platform.resume, "rabbitmq")
    await guest.settled(hold, "confirmed")

    async def is_ready() -> bool:
        try:
            return bool(await cinema.guest().hold(planned, [seat]))
        except Refused as refused:
            assert refused.status == 503, refused
            return False

    await until(is_ready)


async def plan_like(cinema: Cinema, showtime_id: str) -> str:
    """Plan another showtime of the film in the same auditorium, some weeks later. Returns its id."""
    admin = await cinema.person("admin")
    like = await admin.call("GET", f"/api/showtimes/{showtime_id}")
    start = datetime.fromisoformat(like["starts_at"]).astimezone(ZoneInfo(like["time_zone"])).replace(tzinfo=None)
    copied = {name: like[name] for name in ("auditorium_id", "movie_id", "format", "language", "sales_open_at")}
    later = (start + timedelta(days=45)).isoformat()
    return (await admin.call("POST", "/api/showtimes", json=copied | {"local_start": later}))["id"]
