"""Choices of seats that the cinema avoids, and parties that must split."""

import re
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from chassis.testing import until
from cinema import Cinema
from customer import Json, Refused
from playwright.async_api import expect


async def seat_map(cinema: Cinema, showtime_id: str) -> Json | None:
    """Return the seats of a showtime; None until inventory knows it."""
    try:
        return await cinema.guest().call("GET", f"/api/showtimes/{showtime_id}/seats")
    except Refused:
        return None


async def strict_showtime(cinema: Cinema) -> Json:
    """Return the seats of a new showtime where no single seat may be left alone."""
    admin = await cinema.person("admin")
    showtime_id, _ = await cinema.seats(1)
    like = await admin.call("GET", f"/api/showtimes/{showtime_id}")
    start = datetime.fromisoformat(like["starts_at"]).astimezone(ZoneInfo(like["time_zone"])).replace(tzinfo=None)
    made = await admin.call(
        "POST",
        "/api/showtimes",
        json={
            **{name: like[name] for name in ("auditorium_id", "movie_id", "format", "language", "sales_open_at")},
            "local_start": (start + timedelta(days=45)).isoformat(),
            "orphan_rule": "strict",
        },
    )
    seating = await until(lambda: seat_map(cinema, made["id"]))
    assert seating
    return seating


def beside_the_first(seats: list[Json]) -> tuple[str, str]:
    """Return a seat at the end of a row and its neighbor, with two more of their kind behind them."""
    for first, second, third, fourth in zip(seats, seats[1:], seats[2:], seats[3:], strict=False):
        here = [first, second, third, fourth]
        is_end = not any(seat["y"] == first["y"] and seat["x"] == first["x"] - 1 for seat in seats)
        is_together = all(b["x"] - a["x"] == 1 and b["y"] == a["y"] for a, b in pairwise(here))
        if is_end and is_together and {seat["category"] for seat in here} == {first["category"]}:
            return first["seat_id"], second["seat_id"]
    raise AssertionError("no row begins with four alike")


async def test_a_choice_that_leaves_a_seat_alone_is_refused_and_others_are_offered(visit, cinema, device):
    seating = await strict_showtime(cinema)
    alone, beside = beside_the_first(seating["layout"]["seats"])
    visitor = await visit(device)
    await visitor.open_seats(seating["showtime_id"])
    await visitor.party(1)
    await visitor.pick(beside)
    refusal = visitor.page.get_by_role("alert").filter(has_text="Your choice would leave a single seat free.")
    await expect(refusal).to_be_visible()
    await expect(visitor.seat(beside)).to_have_attribute("data-state", "free")
    await refusal.get_by_role("button", name="instead").click()
    await expect(visitor.page.get_by_role("timer")).to_be_visible()
    await expect(visitor.page.locator('[data-seat][data-state="own"]')).to_have_count(1)
    await expect(refusal).to_have_count(0)
    # A choice that leaves no single seat is allowed, even with the protected seat.
    await visitor.button(re.compile("^Remove")).click()
    await visitor.pick(alone)
    await expect(visitor.seat(alone)).to_have_attribute("data-state", "own")


async def test_a_party_that_cannot_sit_together_is_told_so(visit, cinema, device):
    visitor, admin = await visit(device), await cinema.person("admin")
    showtime_id, _ = await cinema.seats(1)
    seats = (await cinema.guest().call("GET", f"/api/showtimes/{showtime_id}/seats"))["layout"]["seats"]
    taken = await cinema.taken(showtime_id)
    every_other = [seat["seat_id"] for seat in seats if int(seat["x"]) % 2 and seat["seat_id"] not in taken]
    await admin.call("POST", f"/api/showtimes/{showtime_id}/blocks", json={"seats": every_other, "reason": "repair"})
    await visitor.open_seats(showtime_id)
    await visitor.party(3)
    await visitor.button("Best 3 seats").click()
    await expect(visitor.page.get_by_text("3 adjacent seats are no longer available")).to_be_visible()
    await expect(visitor.page.locator('[data-seat][data-state="own"]')).to_have_count(3)
