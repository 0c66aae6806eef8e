"""Showtimes: scheduled, moved, cancelled, and never two in one place."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from catalog import store
from catalog.model.problems import ChangedMeanwhile
from catalog.store import Showtime
from chassis.clock import now
from contracts.catalog import MovieChanged, ShowtimeCancelled, ShowtimeRescheduled, ShowtimeScheduled


def last_sunday(month):
    """The night after the coming winter, or summer, on which Europe's clocks change."""
    last = date(now().year + 1, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def moment(text):
    return datetime.fromisoformat(text)


async def test_a_showtime_is_announced_with_all_that_selling_it_takes(house, bus):
    start = house.evening()
    showtime = await house.showtime(start, format="3D", language="en", subtitles="de")
    assert moment(showtime["starts_at"]) == house.at(start)
    assert moment(showtime["ends_at"]) == house.at(start) + timedelta(minutes=15 + 90)
    assert moment(showtime["sales_open_at"]) == house.at(start) - timedelta(days=14)
    assert showtime["sales_close_at"] == showtime["starts_at"]
    assert (showtime["format"], showtime["language"], showtime["subtitles"]) == ("3D", "en", "de")
    assert showtime == (await house.client.get(f"/api/showtimes/{showtime['id']}")).json()
    event = await bus.wait_for(ShowtimeScheduled, lambda e: e.showtime_id == showtime["id"])
    said = event.model_dump(mode="json")
    assert said == {name: showtime[name] for name in said.keys() & showtime.keys()} | {
        "showtime_id": showtime["id"],
        "address": "Ring 1, 10115 Berlin",
    }


async def test_terms_can_be_chosen(house, bus):
    opens = now().replace(microsecond=0) + timedelta(days=1)
    showtime = await house.showtime(
        adverts_minutes=0,
        cleaning_minutes=5,
        sales_open_at=opens.isoformat(),
        sales_close_minutes=-30,
        orphan_rule="strict",
    )
    starts_at = moment(showtime["starts_at"])
    assert moment(showtime["ends_at"]) - starts_at == timedelta(minutes=90)
    assert moment(showtime["sales_open_at"]) == opens
    assert moment(showtime["sales_close_at"]) == starts_at - timedelta(minutes=30)
    assert (showtime["language"], showtime["subtitles"], showtime["format"]) == ("de", None, "2D"), "the film's own"
    event = await bus.wait_for(ShowtimeScheduled, lambda e: e.showtime_id == showtime["id"])
    assert event.orphan_rule == showtime["orphan_rule"] == "strict"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"local_start": "2020-01-01T20:00"}, 409, "showtime_over"),
        ({"local_start": "2027-01-01T20:02"}, 422, "invalid_request"),
        ({"local_start": "2027-01-01T20:00:30"}, 422, "invalid_request"),
        ({"local_start": "2027-01-01T20:00Z"}, 422, "invalid_request"),
        ({"local_start": "2027-01-01T20:00+01:00"}, 422, "invalid_request"),
        ({"local_start": "9999-12-31T20:00"}, 422, "invalid_request"),
        ({"local_start": 1}, 422, "invalid_request"),
        ({"occurrence": "third"}, 422, "invalid_request"),
        ({"movie_id": "none"}, 404, "not_found"),
        ({"auditorium_id": "none"}, 404, "not_found"),
        ({"auditorium_id": "$where"}, 422, "invalid_request"),
        ({"format": "3D!"}, 422, "invalid_request"),
        ({"sales_close_minutes": 106}, 422, "sales_times_invalid"),
        ({"sales_open_at": "2100-01-01T00:00:00Z"}, 422, "sales_times_invalid"),
        ({"orphan_rule": "severe"}, 422, "invalid_request"),
        ({"prices": []}, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_scheduled_is_refused(house, fields, status, code):
    answer = await house.try_showtime(**fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await house.room_taken() == []


async def test_a_film_outside_the_theaters_rooms_is_refused(house, new_house):
    other = await new_house()
    answer = await house.try_showtime(auditorium_id=other.room["id"])
    assert answer.status_code == 403


@pytest.mark.parametrize(("zone", "hour"), [("Europe/Berlin", 2), ("Europe/London", 1)])
async def test_the_night_on_which_the_clocks_go_forward(new_house, zone, hour):
    house, night = await new_house(zone), last_sunday(3)
    skipped = await house.try_showtime(f"{night}T{hour:02}:30")
    assert (skipped.status_code, skipped.json()["code"]) == (422, "local_time_invalid")
    before = await house.showtime(f"{night}T{hour - 1:02}:30", cleaning_minutes=0)
    clash = await house.try_showtime(f"{night}T{hour + 2:02}:10")
    assert clash.status_code == 409, "105 minutes from half past, and an hour is missing: until a quarter past"
    after = await house.showtime(f"{night}T{hour + 2:02}:15")
    assert moment(after["starts_at"]) - moment(before["starts_at"]) == timedelta(minutes=105)
    assert after["local_date"] == (night - timedelta(days=1)).isoformat(), "before 05:00 it is still the day before"


@pytest.mark.parametrize(("zone", "hour"), [("Europe/Berlin", 2), ("Europe/London", 1)])
async def test_the_night_on_which_the_clocks_go_back(new_house, zone, hour):
    house, night = await new_house(zone), last_sunday(10)
    twice = await house.try_showtime(f"{night}T{hour:02}:30")
    assert (twice.status_code, twice.json()["code"]) == (422, "local_time_ambiguous")
    first, second = (moment(text) for text in twice.json()["moments"])
    assert second - first == timedelta(hours=1)
    late = await house.showtime(f"{night}T{hour:02}:30", occurrence="second", cleaning_minutes=0)
    assert (moment(late["starts_at"]), late["occurrence"]) == (second, "second")
    early = await house.try_showtime(f"{night}T{hour:02}:30", occurrence="first")
    assert early.status_code == 409, "105 minutes after the first half past two it is a quarter past three"
    assert (await house.showtime(f"{night}T{hour + 2:02}:15"))["occurrence"] is None


async def test_a_clash_is_named_and_neighbours_may_touch(house):
    start = house.evening(clock="20:00")
    day = start[:10]
    shown = await house.showtime(start)
    free_at = moment(shown["ends_at"]) + timedelta(minutes=20)
    for clock in ("20:00", "18:00", "22:00"):
        refused = await house.try_showtime(f"{day}T{clock}")
        assert (refused.status_code, refused.json()["code"]) == (409, "showtimes_clash")
        assert refused.json()["detail"] == (
            f"Saal 1 is taken by Der Golem from {day} 20:00 until 22:05, with the cleaning."
        )
        (clash,) = refused.json()["clashes"]
        assert (clash["showtime_id"], moment(clash["free_at"])) == (shown["id"], free_at)
    await house.showtime(f"{day}T17:55")
    await house.showtime(f"{day}T22:05")
    await house.showtime(start, auditorium_id=(await second_room(house))["id"])


async def second_room(house):
    answer = await house.call("POST", f"/theaters/{house.theater_id}/auditoriums", {"name": "Saal 2", "text": "A ss"})
    return answer.json()


async def test_of_many_who_schedule_into_one_slot_at_once_one_wins(house, bus):
    clocks = [f"20:{minute:02}" for minute in range(0, 60, 5)] * 2
    answers = await asyncio.gather(*(house.try_showtime(house.evening(clock=clock)) for clock in clocks))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 23
    winner = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    for answer in answers:
        if answer.status_code == 409:
            assert [clash["showtime_id"] for clash in answer.json()["clashes"]] == [winner]
    assert [each["_id"] for each in await house.room_taken()] == [winner]
    await bus.wait_for(ShowtimeScheduled, lambda e: e.showtime_id == winner)
    assert len(bus.events(ShowtimeScheduled, lambda e: e.auditorium_id == house.room["id"])) == 1


async def test_without_the_index_the_same_race_puts_two_films_into_one_auditorium(new_house):
    """What the guard prevents: everything else stays as it is."""
    guard = "auditorium_id_1_slots_1"
    house = await new_house()
    await Showtime.get_pymongo_collection().drop_index(guard)
    try:
        answers = await asyncio.gather(*(house.try_showtime() for _ in range(6)))
        assert [answer.status_code for answer in answers].count(201) > 1
    finally:
        await Showtime.get_pymongo_collection().delete_many({"auditorium_id": house.room["id"]})
        index = next(each for each in Showtime.Settings.indexes if each.document["name"] == guard)
        await Showtime.get_pymongo_collection().create_indexes([index])
    answers = await asyncio.gather(*(house.try_showtime() for _ in range(6)))
    assert [answer.status_code for answer in answers].count(201) == 1


async def test_a_showtime_is_moved_with_its_sales(house, bus):
    showtime = await house.showtime(house.evening(7), sales_close_minutes=-30)
    answer = await house.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": house.evening(9, "17:00")})
    moved = answer.json()
    start = house.at(house.evening(9, "17:00"))
    assert (moment(moved["starts_at"]), moment(moved["ends_at"])) == (start, start + timedelta(minutes=105))
    assert moment(moved["sales_close_at"]) == start - timedelta(minutes=30)
    assert moved["sales_open_at"] == showtime["sales_open_at"]
    assert moved["local_date"] == house.evening(9)[:10]
    event = await bus.wait_for(ShowtimeRescheduled, lambda e: e.showtime_id == showtime["id"])
    assert (event.starts_at, event.ends_at) == (start, start + timedelta(minutes=105))
    assert event.sales_close_at == start - timedelta(minutes=30)
    assert await house.showtime(house.evening(7)), "its old place is free"
    taken = await house.try_showtime(house.evening(9, "17:30"))
    assert taken.json()["clashes"][0]["showtime_id"] == showtime["id"]


async def test_only_the_sales_are_moved(house, bus):
    showtime = await house.showtime()
    opens = now().replace(microsecond=0) + timedelta(days=2)
    change = {"sales_open_at": opens.isoformat(), "sales_close_minutes": 15}
    moved = (await house.call("PATCH", f"/showtimes/{showtime['id']}", change)).json()
    assert moved["starts_at"] == showtime["starts_at"]
    event = await bus.wait_for(ShowtimeRescheduled, lambda e: e.showtime_id == showtime["id"])
    assert (event.sales_open_at, event.sales_close_at) == (opens, event.starts_at + timedelta(minutes=15))
    for wrong in ({"sales_close_minutes": 106}, {"sales_open_at": "2100-01-01T00:00:00Z"}):
        refused = await house.call("PATCH", f"/showtimes/{showtime['id']}", wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "sales_times_invalid")


async def test_moving_it_to_where_it_is_says_nothing(house, bus):
    showtime = await house.showtime()
    for body in ({}, {"local_start": house.evening()}):
        assert (await house.call("PATCH", f"/showtimes/{showtime['id']}", body)).json() == showtime
    version = (await house.room_taken())[0]["version"]
    assert version == 1
    assert bus.events(ShowtimeRescheduled, lambda e: e.showtime_id == showtime["id"]) == []


async def test_it_moves_over_its_own_place_but_not_over_others(house):
    first, second = (
        await house.showtime(house.evening(clock="14:00")),
        await house.showtime(house.evening(clock="18:00")),
    )
    shifted = await house.call("PATCH", f"/showtimes/{first['id']}", {"local_start": house.evening(clock="14:30")})
    assert shifted.status_code == 200
    refused = await house.call("PATCH", f"/showtimes/{first['id']}", {"local_start": house.evening(clock="16:00")})
    assert (refused.status_code, refused.json()["code"]) == (409, "showtimes_clash")
    assert [clash["showtime_id"] for clash in refused.json()["clashes"]] == [second["id"]]
    past = await house.call("PATCH", f"/showtimes/{first['id']}", {"local_start": "2020-01-01T20:00"})
    assert (past.status_code, past.json()["code"]) == (409, "showtime_over")
    assert (await house.client.get(f"/api/showtimes/{first['id']}")).json() == shifted.json()


async def test_of_a_move_and_a_new_showtime_into_one_slot_one_wins(house):
    for day in range(7, 12):
        showtime = await house.showtime(house.evening(day, "10:00"))
        move, new = await asyncio.gather(
            house.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": house.evening(day)}),
            house.try_showtime(house.evening(day, "20:30")),
        )
        assert sorted([move.status_code, new.status_code]) in ([200, 409], [201, 409])
    taken = [slot for each in await house.room_taken() for slot in each["slots"]]
    assert len(taken) == len(set(taken))


async def test_of_two_who_move_it_at_once_one_wins_and_the_other_is_told(house, bus):
    showtime = await house.showtime()
    answers = await asyncio.gather(
        *(
            house.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": house.evening(clock=f"1{hour}:00")})
            for hour in range(6)
        )
    )
    codes = [answer.json().get("code") for answer in answers]
    assert set(codes) <= {None, "changed_meanwhile"}
    await bus.wait_for(ShowtimeRescheduled, lambda e: e.showtime_id == showtime["id"])
    shown = (await house.client.get(f"/api/showtimes/{showtime['id']}")).json()
    assert shown in [answer.json() for answer in answers if answer.status_code == 200]
    assert (await house.room_taken())[0]["version"] == 1 + codes.count(None)


async def test_a_move_of_what_was_read_before_another_move_is_refused(house):
    showtime = await house.showtime()
    before = await store.published(showtime["id"])
    moved = (await house.call("PATCH", f"/showtimes/{showtime['id']}", {"sales_close_minutes": 10})).json()
    for changes in ({"sales_open_at": before.sales_open_at + timedelta(days=1)}, {"local_date": "2027-01-01"}):
        with pytest.raises(ChangedMeanwhile):
            await store.reschedule(before, changes)
    assert (await house.client.get(f"/api/showtimes/{showtime['id']}")).json() == moved


async def begun(showtime):
    """Let time pass: the showtime began a minute ago."""
    shift = now() - moment(showtime["starts_at"]) - timedelta(minutes=1)
    times = {name: moment(showtime[name]) + shift for name in ("starts_at", "ends_at", "sales_close_at")}
    await Showtime.get_pymongo_collection().update_one({"_id": showtime["id"]}, {"$set": times})
    return times


async def test_what_has_begun_is_not_moved_but_can_be_called_off(house, bus):
    showtime = await house.showtime()
    await begun(showtime)
    refused = await house.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": house.evening(9)})
    assert (refused.status_code, refused.json()["code"]) == (409, "showtime_over")
    longer = await house.call("PATCH", f"/showtimes/{showtime['id']}", {"sales_close_minutes": 20})
    assert longer.status_code == 200, "latecomers"
    cancelled = await house.call("POST", f"/showtimes/{showtime['id']}/cancel", {"reason": "technical"})
    assert cancelled.status_code == 200, "the projector may break in the middle"


async def test_what_is_over_stays(house):
    showtime = await house.showtime()
    hours = {"starts_at": 3, "sales_close_at": 3, "ends_at": 1}
    long_ago = {name: now() - timedelta(hours=ago) for name, ago in hours.items()}
    await Showtime.get_pymongo_collection().update_one({"_id": showtime["id"]}, {"$set": long_ago})
    for method, path, body in [
        ("PATCH", "", {"local_start": house.evening(9)}),
        ("POST", "/cancel", {"reason": "other"}),
    ]:
        refused = await house.call(method, f"/showtimes/{showtime['id']}{path}", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "showtime_over")


async def test_a_cancelled_showtime_is_announced_once_and_frees_its_place(house, bus):
    showtime = await house.showtime()
    path = f"/showtimes/{showtime['id']}/cancel"
    answers = await asyncio.gather(*(house.call("POST", path, {"reason": "technical"}) for _ in range(5)))
    assert [answer.json()["state"] for answer in answers] == ["cancelled"] * 5
    again = await house.call("POST", path, {"reason": "other"})
    assert again.json() == answers[0].json()
    event = await bus.wait_for(ShowtimeCancelled, lambda e: e.showtime_id == showtime["id"])
    assert event.reason == "technical"
    assert (await house.client.get(f"/api/showtimes/{showtime['id']}")).json()["state"] == "cancelled"
    listed = (await house.client.get("/api/showtimes", params={"theater_id": house.theater_id})).json()["items"]
    assert listed == []
    await house.showtime()
    moved = await house.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": house.evening(9)})
    assert (moved.status_code, moved.json()["code"]) == (409, "showtime_over")
    assert len(bus.events(ShowtimeCancelled, lambda e: e.showtime_id == showtime["id"])) == 1


async def test_cancelling_takes_a_reason_and_a_showtime(house):
    showtime = await house.showtime()
    for path, body, status in [
        (showtime["id"], {}, 422), (showtime["id"], {"reason": "rain"}, 422), ("none", {"reason": "other"}, 404),
    ]:  # fmt: skip
        assert (await house.call("POST", f"/showtimes/{path}/cancel", body)).status_code == status
    assert (await house.call("PATCH", "/showtimes/none", {})).status_code == 404


async def test_a_repeated_request_with_a_key_schedules_once(house):
    body = {"auditorium_id": house.room["id"], "movie_id": house.movie_id, "local_start": house.evening()}
    headers = house.headers | {"Idempotency-Key": f"schedule-{house.theater_id}"}
    answers = [await house.client.post("/api/showtimes", json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert len(await house.room_taken()) == 1


async def test_a_film_without_a_runtime_cannot_be_scheduled(house, client, signer, bus):
    editor, film = signer.headers("editor", ["movies:write"]), f"/api/movies/{house.movie_id}"
    changed = await client.patch(film, json={"runtime_minutes": None}, headers=editor)
    assert changed.json()["runtime_minutes"] is None
    await bus.wait_for(MovieChanged, lambda event: event.movie_id == house.movie_id and event.runtime_minutes == 0)
    refused = await house.try_showtime()
    assert (refused.status_code, refused.json()["code"]) == (409, "runtime_unknown")
    seen = await house.call("POST", f"/theaters/{house.theater_id}/schedules/preview", house.pattern())
    assert {item["fault"]["code"] for item in seen.json()["items"]} == {"runtime_unknown"}
    await client.patch(film, json={"runtime_minutes": 90}, headers=editor)
    await house.showtime()


async def test_a_film_shows_until_its_last_start(house):
    await house.showtime(house.evening(200))
    movie = await store.live_movie(house.movie_id)
    assert movie.showing_until
    assert movie.showing_until >= house.at(house.evening(200)).astimezone(UTC)
