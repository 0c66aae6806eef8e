"""`make trace`: a booking's spans as a tree, from a platform with tracing."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cinema import Cinema
from launcher.platform import Platform
from launcher.settings import NO_LIMITS

TOOL = Path(__file__).parents[2] / "tools/trace.py"


@pytest.fixture(scope="module")
async def traced_cinema() -> AsyncIterator[Cinema]:
    environment = NO_LIMITS | {"OTEL_TRACES_EXPORTER": "console"}
    async with Platform(demo=True, environment=environment) as platform, httpx.AsyncClient(timeout=30) as http:
        yield Cinema(platform, http)


def trace(cinema: Cinema, booking: str) -> tuple[int, str]:
    command = [sys.executable, str(TOOL), booking, "--logs", str(cinema.platform.logs_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def drawn(cinema: Cinema, booking: str) -> str:
    """Wait for the tree and return it without branches and with single spaces."""
    status, shown = trace(cinema, booking)
    return "\n".join(" ".join(re.sub("[│├└─]", "", line).split()) for line in shown.splitlines()) if status == 0 else ""


async def test_a_sale_is_shown_through_all_services_in_order(traced_cinema: Cinema):
    guest = traced_cinema.guest()
    showtime_id, seats = await traced_cinema.seats(2)
    await guest.hold(showtime_id, seats[1:])
    hold = await guest.buy(showtime_id, seats[:1], "traced@example.org")
    booking = await guest.settled(hold, "confirmed")
    steps = (
        "POST /api/showtimes/{showtime_id}/holds 201",
        "inventory write showtimes",
        "POST /api/bookings 201",
        "booking write bookings",
        "publish booking.payment_requested.v1",
        "POST /api/payments/create-intent 200",
        "stripe create_intent",
        "POST /api/payments/webhook 200",
        "publish payment.succeeded.v1",
        "publish inventory.seats_sold.v1",
        "publish booking.confirmed.v1",
        "mail confirmation",
    )
    async with asyncio.timeout(60):
        while not all(step in (shown := drawn(traced_cinema, booking["reference"])) for step in steps):
            await asyncio.sleep(0.2)
    head, *lines = shown.splitlines()
    assert head.startswith(f"Booking {booking['id']}: ")
    assert shown.count("\ntrace ") >= 4, "hold, checkout, payment, webhook"
    assert all(service in head for service in ("inventory", "booking", "payment", "notifier", "realtime"))
    places = [next(i for i, line in enumerate(lines) if step in line) for step in steps]
    assert places == sorted(places)
    assert shown.count("/holds 201") == 1, "the other hold is not of this booking"
    assert drawn(traced_cinema, booking["id"]) == shown


async def test_a_change_of_mind_is_shown_with_what_it_wrote(traced_cinema: Cinema):
    guest = traced_cinema.guest()
    showtime_id, seats = await traced_cinema.seats(2)
    hold = await guest.hold(showtime_id, seats[:1])
    place, secret = f"/api/holds/{hold['hold_id']}", hold["secret"]
    await guest.call("PATCH", place, json={"add": seats[1:]}, secret=secret)
    await guest.call("POST", f"{place}/renew", secret=secret)
    await guest.call("DELETE", place, secret=secret)
    steps = ("PATCH /api/holds/{hold_id} 200", "POST /api/holds/{hold_id}/renew 200", "DELETE /api/holds/{hold_id} 204")
    async with asyncio.timeout(60):
        while steps[-1] not in (shown := drawn(traced_cinema, hold["hold_id"])):
            await asyncio.sleep(0.2)
    for step in steps:
        tree = shown.partition(step)[2].partition("\ntrace ")[0]
        assert "write showtimes" in tree, shown


async def test_what_nobody_booked_is_not_shown(traced_cinema: Cinema):
    status, shown = trace(traced_cinema, "no-such-booking")
    assert status == 1
    assert "No span is about no-such-booking" in shown


async def test_without_tracing_the_tool_says_how_to_turn_it_on(cinema: Cinema):
    status, shown = trace(cinema, "whatever")
    assert status == 1
    assert "OTEL_TRACES_EXPORTER=console make run" in shown
