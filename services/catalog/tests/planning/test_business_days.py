"""A night belongs to one business day: in lists, in prices, and for showtimes of earlier versions."""

from datetime import date, timedelta

import pytest
from catalog import migrations
from catalog.store import Showtime
from chassis.clock import now

from .conftest import PRICE_LIST


def next_friday() -> date:
    """A Friday at least a week ahead."""
    day = now().date() + timedelta(days=7)
    return day + timedelta(days=(4 - day.weekday()) % 7)


@pytest.fixture
def friday() -> date:
    return next_friday()


async def listed(manager, day):
    """The ids of the film's showtimes on a business day, by the day that heads them."""
    answer = await manager.client.get(
        f"/api/movies/{manager.movie_id}/showtimes",
        params={"theater_id": manager.theater_id, "date": str(day), "days": 14},
    )
    (theater,) = answer.json()["items"] or [{"days": []}]
    return {each["local_date"]: [showtime["id"] for showtime in each["showtimes"]] for each in theater["days"]}


async def test_fridays_list_ends_with_the_showtime_after_midnight(manager, friday):
    saturday = friday + timedelta(days=1)
    evening, night = await manager.showtime(f"{friday}T21:00"), await manager.showtime(f"{saturday}T00:15")
    morning = await manager.showtime(f"{saturday}T05:00")
    assert await listed(manager, friday) == {str(friday): [evening["id"], night["id"]]}
    assert await listed(manager, saturday) == {str(saturday): [morning["id"]]}
    rows = (await manager.call("GET", f"/showtimes?theater_id={manager.theater_id}")).json()["items"]
    assert [each["local_date"] for each in rows] == [str(friday), str(friday), str(saturday)]
    where = {"theater_id": manager.theater_id, "date": str(saturday), "daypart": "night"}
    assert (await manager.client.get("/api/movies", params=where)).json()["items"] == []


async def test_prices_and_their_validity_follow_the_business_day(manager, friday):
    saturday = friday + timedelta(days=1)
    weekend = PRICE_LIST | {
        "name": "weekend",
        "valid_from": str(friday),
        "valid_until": str(saturday),
        "surcharges": [
            {
                "name": "late",
                "amount": 250,
                "weekdays": ["fri", "sat"],
                "starts_from": "22:00",
                "starts_before": "02:00",
            }
        ],
        "booking_fee": 0,
    }
    assert (await manager.call("POST", f"/theaters/{manager.theater_id}/price-lists", weekend)).status_code == 201
    for days, amount in {0: 1300, 1: 1450, 2: 1450, 3: 1300}.items():
        start = f"{friday + timedelta(days=days)}T00:30"
        shown = await manager.client.get(f"/api/theaters/{manager.theater_id}/prices", params={"at": start})
        assert shown.json()["prices"][0]["amount"] == amount, start
        assert (await manager.showtime(start))["price_from"]["amount"] == amount, start


async def test_a_theater_sets_the_start_of_its_day(manager, friday):
    saturday = friday + timedelta(days=1)
    night = await manager.showtime(f"{saturday}T00:15")
    assert (manager.theater["day_starts"], night["local_date"]) == ("05:00", str(friday))
    changed = await manager.call("PATCH", f"/theaters/{manager.theater_id}", {"day_starts": "00:00"})
    assert (changed.status_code, changed.json()["day_starts"]) == (200, "00:00")
    later = await manager.showtime(f"{saturday}T02:20")
    assert later["local_date"] == str(saturday)
    assert await listed(manager, friday) == {str(friday): [night["id"]]}, "as it was scheduled"
    moved = await manager.call("PATCH", f"/showtimes/{night['id']}", {"local_start": f"{saturday}T00:10"})
    assert moved.json()["local_date"] == str(saturday)
    refused = await manager.call("PATCH", f"/theaters/{manager.theater_id}", {"day_starts": "13:00"})
    assert (refused.status_code, refused.json()["errors"][0]["loc"]) == (422, ["body", "day_starts"])


async def test_future_showtimes_of_earlier_versions_are_assigned_to_their_business_day(manager, friday):
    saturday, showtimes = friday + timedelta(days=1), Showtime.get_pymongo_collection()
    night, morning = await manager.showtime(f"{saturday}T00:15"), await manager.showtime(f"{saturday}T09:00")
    await migrations.assign_business_days(showtimes.database)
    old = {"$set": {"local_date": str(saturday)}, "$unset": {"occurrence": ""}}
    await showtimes.update_many({"theater_id": manager.theater_id}, old)
    assert await migrations.assign_business_days(showtimes.database) == 1
    assert await migrations.assign_business_days(showtimes.database) == 0
    assert await listed(manager, friday) == {str(friday): [night["id"]]}
    assert await listed(manager, saturday) == {str(saturday): [morning["id"]]}
