"""A real Prometheus with the repository's rules scrapes a real platform: each panel has data and alerts fire."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable

import aio_pika
import httpx
import pytest
from chassis.testing import until
from cinema import Cinema
from customer import Refused
from launcher.platform import Platform
from launcher.settings import NO_LIMITS

from .prometheus import Prometheus, watching
from .test_metrics import PANELS

SDK_TRIES = 2
"""STRIPE_RETRIES and the first: only when all of them failed has the call."""
PANEL_QUERIES = {
    f"{panel['title']}: {target['refId']}": target["expr"] for panel in PANELS for target in panel.get("targets", [])
}
NEVER_IN_GOOD_HEALTH = {
    "Sent by the sweeper, job runs that failed: B",
    "Messages pushed a second: B",
}
"""Failed jobs and dropped messages. Other tests compare the metrics' names with the platform's own."""


@pytest.fixture(scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Cinema, Prometheus]]:
    """A platform that tests may break, and the Prometheus that scrapes it."""
    async with (
        Platform(demo=True, environment=NO_LIMITS) as platform,
        httpx.AsyncClient(timeout=30) as http,
        watching(platform, tmp_path_factory.mktemp("prometheus")) as prometheus,
    ):
        yield Cinema(platform, http), prometheus


async def publish(cinema: Cinema, kind: str, body: bytes, queue: str) -> None:
    async with await aio_pika.connect(cinema.platform.env["RABBITMQ_URI"]) as connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(aio_pika.Message(body, type=kind, message_id=kind), queue)


def fires(prometheus: Prometheus, **wanted: dict[str, str]) -> Callable[[], Awaitable[bool]]:
    """Whether each of these alerts fires with at least these labels."""

    async def ask() -> bool:
        firing = await prometheus.firing()
        return all(
            any(labels.items() <= each.items() for each in firing.get(name, ())) for name, labels in wanted.items()
        )

    return ask


async def test_alerts_fire_when_something_is_wrong_and_end_when_it_is_mended(watched: tuple[Cinema, Prometheus]):
    cinema, prometheus = watched
    await publish(cinema, "inventory.seat_map_updated.v1", b"{", "realtime.events")
    await until(fires(prometheus, DeadLetters={"queue": "realtime.events.dead"}))

    await asyncio.to_thread(cinema.platform.stop, "notifier")
    await asyncio.to_thread(cinema.platform.stop, "rabbitmq")
    showtime_id, seats = await cinema.seats(1)
    await cinema.guest().hold(showtime_id, seats)
    await until(
        fires(
            prometheus,
            ServiceDown={"service": "notifier"},
            OutboxStuck={"service": "inventory"},
            ServiceNotReady={"service": "booking"},
        ),
        seconds=120,
    )

    await asyncio.to_thread(cinema.platform.start, "rabbitmq")
    await asyncio.to_thread(cinema.platform.start, "notifier")

    async def only_the_letter() -> bool:
        return set(await prometheus.firing()) == {"DeadLetters"}

    await until(only_the_letter)


@pytest.fixture(scope="module")
async def busy(watched: tuple[Cinema, Prometheus]) -> AsyncIterator[Prometheus]:
    """Meanwhile people buy, lose races and get errors from Stripe, and events arrive out of order."""
    cinema, prometheus = watched
    over = asyncio.Event()

    async def sell() -> None:
        showtime_id, seats = await cinema.seats(100)
        async with (await cinema.person()).watching(showtime_id, lambda _: None):
            while not over.is_set():
                guest, seat = cinema.guest(), seats.pop()
                hold = await guest.hold(showtime_id, [seat])
                with pytest.raises(Refused):
                    await guest.hold(showtime_id, [seat])
                await cinema.fault(
                    "api_error", hold["hold_id"], method="POST", path="/v1/payment_intents", count=SDK_TRIES
                )
                await guest.check_out(hold, "busy@usher.example")
                await until(lambda hold=hold, guest=guest: intent(guest, hold))
                await guest.pay(await guest.create_intent(hold))
                await guest.settled(hold, "confirmed")
                early = {
                    "booking_id": f"{hold['hold_id']}-early",
                    "showtime_id": "early",
                    "seats": [seat],
                    "holder": {},
                }
                await publish(cinema, "booking.expired.v1", json.dumps(early).encode(), "inventory.events")

    async def intent(guest, hold) -> bool:
        try:
            return bool(await guest.create_intent(hold))
        except Refused as refused:
            assert refused.status == 503, refused
            return False

    selling = asyncio.create_task(sell())
    yield prometheus
    over.set()
    await selling


@pytest.mark.parametrize("title", PANEL_QUERIES)
async def test_a_panel_shows_something(busy: Prometheus, title: str):
    expression = PANEL_QUERIES[title].replace("$__rate_interval", "20s")

    async def shown() -> bool:
        return any(not math.isnan(value) for _, value in await busy.query(expression))

    if title in NEVER_IN_GOOD_HEALTH:
        assert await busy.query(expression) == []
    else:
        await until(shown)
