"""Showtimes are scheduled, rescheduled and cancelled, and never overlap."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from catalog import store
from catalog.model.problems import ChangedMeanwhile
from catalog.store import Showtime
from chassis.clock import now
from contracts.catalog import MovieChanged, ShowtimeCancelled, ShowtimeRescheduled, ShowtimeScheduled


def last_sunday(month):
    """Return the next night on which Europe's clocks change to summer or to winter time."""
    last = date(now().year + 1, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


def moment(text):
    return datetime.fromisoformat(text)


async def test_a_showtimes_event_has_everything_needed_to_sell_it(manager, bus):
    start = manager.evening()
    showtime = await manager.showtime(start, format="3D", language="en", subtitles="de")
    assert moment(showtime["starts_at"]) == manager.at(start)
    assert moment(showtime["ends_at"]) == manager.at(start) + timedelta(minutes=15 + 90)
    assert moment(showtime["sales_open_at"]) == manager.at(start) - timedelta(days=14)
    assert showtime["sales_close_at"] == showtime["starts_at"]
    assert (showtime["format"], showtime["language"], showtime["subtitles"]) == ("3D", "en", "de")
    assert showtime == (await manager.client.get(f"/api/showtimes/{showtime['id']}")).json()
    event = await bus.wait_for(ShowtimeScheduled, lambda e: e.showtime_id == showtime["id"])
    said = event.model_dump(mode="json")
    assert said == {name: showtime[name] for name in said.keys() & showtime.keys()} | {
        "showtime_id": showtime["id"],
        "address": "Ring 1, 10115 Berlin",
        "seller": None,
    }


async def test_terms_can_be_chosen(manager, bus):
    opens = now().replace(microsecond=0) + timedelta(days=1)
    showtime = await manager.showtime(
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
async def test_an_impossible_showtime_is_refused(manager, fields, status, code):
    answer = await manager.try_showtime(**fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await manager.room_taken() == []


async def test_a_showtime_in_another_theaters_auditorium_is_refused(manager, new_manager):
    other = await new_manager()
    answer = await manager.try_showtime(auditorium_id=other.room["id"])
    assert answer.status_code == 403


@pytest.mark.parametrize(("zone", "hour"), [("Europe/Berlin", 2), ("Europe/London", 1)])
async def test_the_night_on_which_the_clocks_go_forward(new_manager, zone, hour):
    manager, night = await new_manager(zone), last_sunday(3)
    skipped = await manager.try_showtime(f"{night}T{hour:02}:30")
    assert (skipped.status_code, skipped.json()["code"]) == (422, "local_time_invalid")
    before = await manager.showtime(f"{night}T{hour - 1:02}:30", cleaning_minutes=0)
    clash = await manager.try_showtime(f"{night}T{hour + 2:02}:10")
    assert clash.status_code == 409, "105 minutes from half past with an hour missing: until a quarter past"
    after = await manager.showtime(f"{night}T{hour + 2:02}:15")
    assert moment(after["starts_at"]) - moment(before["starts_at"]) == timedelta(minutes=105)
    assert after["local_date"] == (night - timedelta(days=1)).isoformat(), "before 05:00 it is still the day before"


@pytest.mark.parametrize(("zone", "hour"), [("Europe/Berlin", 2), ("Europe/London", 1)])
async def test_the_night_on_which_the_clocks_go_back(new_manager, zone, hour):
    manager, night = await new_manager(zone), last_sunday(10)
    twice = await manager.try_showtime(f"{night}T{hour:02}:30")
    assert (twice.status_code, twice.json()["code"]) == (422, "local_time_ambiguous")
    first, second = (moment(text) for text in twice.json()["moments"])
    assert second - first == timedelta(hours=1)
    late = await manager.showtime(f"{night}T{hour:02}:30", occurrence="second", cleaning_minutes=0)
    assert (moment(late["starts_at"]), late["occurrence"]) == (second, "second")
    early = await manager.try_showtime(f"{night}T{hour:02}:30", occurrence="first")
    assert early.status_code == 409, "105 minutes after the first half past two it is a quarter past three"
    assert (await manager.showtime(f"{night}T{hour + 2:02}:15"))["occurrence"] is None


async def test_a_conflict_is_named_and_adjacent_showtimes_are_allowed(manager):
    start = manager.evening(clock="20:00")
    day = start[:10]
    shown = await manager.showtime(start)
    free_at = moment(shown["ends_at"]) + timedelta(minutes=20)
    for clock in ("20:00", "18:00", "22:00"):
        refused = await manager.try_showtime(f"{day}T{clock}")
        assert (refused.status_code, refused.json()["code"]) == (409, "showtimes_clash")
        assert refused.json()["detail"] == (
            f"Saal 1 is taken by Der Golem from {day} 20:00 until 22:05, with the cleaning."
        )
        (clash,) = refused.json()["clashes"]
        assert (clash["showtime_id"], moment(clash["free_at"])) == (shown["id"], free_at)
    await manager.showtime(f"{day}T17:55")
    await manager.showtime(f"{day}T22:05")
    await manager.showtime(start, auditorium_id=(await second_room(manager))["id"])


async def second_room(manager):
    answer = await manager.call(
        "POST", f"/theaters/{manager.theater_id}/auditoriums", {"name": "Saal 2", "text": "A ss"}
    )
    return answer.json()


async def test_of_many_concurrent_showtimes_in_one_slot_one_is_scheduled(manager, bus):
    clocks = [f"20:{minute:02}" for minute in range(0, 60, 5)] * 2
    answers = await asyncio.gather(*(manager.try_showtime(manager.evening(clock=clock)) for clock in clocks))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 23
    winner = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    for answer in answers:
        if answer.status_code == 409:
            assert [clash["showtime_id"] for clash in answer.json()["clashes"]] == [winner]
    assert [each["_id"] for each in await manager.room_taken()] == [winner]
    await bus.wait_for(ShowtimeScheduled, lambda e: e.showtime_id == winner)
    assert len(bus.events(ShowtimeScheduled, lambda e: e.auditorium_id == manager.room["id"])) == 1


async def test_without_the_index_the_same_race_puts_two_films_into_one_auditorium(new_manager):
    """Shows what the guard prevents."""
    guard = "auditorium_id_1_slots_1"
    manager = await new_manager()
    await Showtime.get_pymongo_collection().drop_index(guard)
    try:
        answers = await asyncio.gather(*(manager.try_showtime() for _ in range(6)))
        assert [answer.status_code for answer in answers].count(201) > 1
    finally:
        await Showtime.get_pymongo_collection().delete_many({"auditorium_id": manager.room["id"]})
        index = next(each for each in Showtime.Settings.indexes if each.document["name"] == guard)
        await Showtime.get_pymongo_collection().create_indexes([index])
    answers = await asyncio.gather(*(manager.try_showtime() for _ in range(6)))
    assert [answer.status_code for answer in answers].count(201) == 1


async def test_a_showtime_is_rescheduled_with_its_sales(manager, bus):
    showtime = await manager.showtime(manager.evening(7), sales_close_minutes=-30)
    answer = await manager.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": manager.evening(9, "17:00")})
    moved = answer.json()
    start = manager.at(manager.evening(9, "17:00"))
    assert (moment(moved["starts_at"]), moment(moved["ends_at"])) == (start, start + timedelta(minutes=105))
    assert moment(moved["sales_close_at"]) == start - timedelta(minutes=30)
    assert moved["sales_open_at"] == showtime["sales_open_at"]
    assert moved["local_date"] == manager.evening(9)[:10]
    event = await bus.wait_for(ShowtimeRescheduled, lambda e: e.showtime_id == showtime["id"])
    assert (event.starts_at, event.ends_at) == (start, start + timedelta(minutes=105))
    assert event.sales_close_at == start - timedelta(minutes=30)
    assert await manager.showtime(manager.evening(7)), "its old slots are free"
    taken = await manager.try_showtime(manager.evening(9, "17:30"))
    assert taken.json()["clashes"][0]["showtime_id"] == showtime["id"]


async def test_only_the_sales_times_are_changed(manager, bus):
    showtime = await manager.showtime()
    opens = now().replace(microsecond=0) + timedelta(days=2)
    change = {"sales_open_at": opens.isoformat(), "sales_close_minutes": 15}
    moved = (await manager.call("PATCH", f"/showtimes/{showtime['id']}", change)).json()
    assert moved["starts_at"] == showtime["starts_at"]
    event = await bus.wait_for(ShowtimeRescheduled, lambda e: e.showtime_id == showtime["id"])
    assert (event.sales_open_at, event.sales_close_at) == (opens, event.starts_at + timedelta(minutes=15))
    for wrong in ({"sales_close_minutes": 106}, {"sales_open_at": "2100-01-01T00:00:00Z"}):
        refused = await manager.call("PATCH", f"/showtimes/{showtime['id']}", wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "sales_times_invalid")


async def test_rescheduling_to_the_same_time_publishes_nothing(manager, bus):
    showtime = await manager.showtime()
    for body in ({}, {"local_start": manager.evening()}):
        assert (await manager.call("PATCH", f"/showtimes/{showtime['id']}", body)).json() == showtime
    version = (await manager.room_taken())[0]["version"]
    assert version == 1
    assert bus.events(ShowtimeRescheduled, lambda e: e.showtime_id == showtime["id"]) == []


async def test_it_can_overlap_its_old_slots_but_not_other_showtimes(manager):
    first, second = (
        await manager.showtime(manager.evening(clock="14:00")),
        await manager.showtime(manager.evening(clock="18:00")),
    )
    shifted = await manager.call("PATCH", f"/showtimes/{first['id']}", {"local_start": manager.evening(clock="14:30")})
    assert shifted.status_code == 200
    refused = await manager.call("PATCH", f"/showtimes/{first['id']}", {"local_start": manager.evening(clock="16:00")})
    assert (refused.status_code, refused.json()["code"]) == (409, "showtimes_clash")
    assert [clash["showtime_id"] for clash in refused.json()["clashes"]] == [second["id"]]
    past = await manager.call("PATCH", f"/showtimes/{first['id']}", {"local_start": "2020-01-01T20:00"})
    assert (past.status_code, past.json()["code"]) == (409, "showtime_over")
    assert (await manager.client.get(f"/api/showtimes/{first['id']}")).json() == shifted.json()


async def test_of_a_rescheduled_and_a_new_showtime_in_one_slot_one_wins(manager):
    for day in range(7, 12):
        showtime = await manager.showtime(manager.evening(day, "10:00"))
        move, new = await asyncio.gather(
            manager.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": manager.evening(day)}),
            manager.try_showtime(manager.evening(day, "20:30")),
        )
        assert sorted([move.status_code, new.status_code]) in ([200, 409], [201, 409])
    taken = [slot for each in await manager.room_taken() for slot in each["slots"]]
    assert len(taken) == len(set(taken))


async def test_of_two_concurrent_reschedulings_one_is_refused(manager, bus):
    showtime = await manager.showtime()
    answers = await asyncio.gather(
        *(
            manager.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": manager.evening(clock=f"1{hour}:00")})
            for hour in range(6)
        )
    )
    codes = [answer.json().get("code") for answer in answers]
    assert set(codes) <= {None, "changed_meanwhile"}
    await bus.wait_for(ShowtimeRescheduled, lambda e: e.showtime_id == showtime["id"])
    shown = (await manager.client.get(f"/api/showtimes/{showtime['id']}")).json()
    assert shown in [answer.json() for answer in answers if answer.status_code == 200]
    assert (await manager.room_taken())[0]["version"] == 1 + codes.count(None)


async def test_a_rescheduling_based_on_an_old_version_is_refused(manager):
    showtime = await manager.showtime()
    before = await store.published(showtime["id"])
    moved = (await manager.call("PATCH", f"/showtimes/{showtime['id']}", {"sales_close_minutes": 10})).json()
    for changes in ({"sales_open_at": before.sales_open_at + timedelta(days=1)}, {"local_date": "2027-01-01"}):
        with pytest.raises(ChangedMeanwhile):
            await store.reschedule(before, changes)
    assert (await manager.client.get(f"/api/showtimes/{showtime['id']}")).json() == moved


async def begun(showtime):
    """Change the times, so that the showtime began a minute ago."""
    shift = now() - moment(showtime["starts_at"]) - timedelta(minutes=1)
    times = {name: moment(showtime[name]) + shift for name in ("starts_at", "ends_at", "sales_close_at")}
    await Showtime.get_pymongo_collection().update_one({"_id": showtime["id"]}, {"$set": times})
    return times


async def test_a_showtime_that_has_begun_cannot_be_rescheduled_but_cancelled(manager, bus):
    showtime = await manager.showtime()
    await begun(showtime)
    refused = await manager.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": manager.evening(9)})
    assert (refused.status_code, refused.json()["code"]) == (409, "showtime_over")
    longer = await manager.call("PATCH", f"/showtimes/{showtime['id']}", {"sales_close_minutes": 20})
    assert longer.status_code == 200, "latecomers"
    cancelled = await manager.call("POST", f"/showtimes/{showtime['id']}/cancel", {"reason": "technical"})
    assert cancelled.status_code == 200, "the projector may break in the middle"


async def test_a_showtime_that_is_over_cannot_be_changed(manager):
    showtime = await manager.showtime()
    hours = {"starts_at": 3, "sales_close_at": 3, "ends_at": 1}
    long_ago = {name: now() - timedelta(hours=ago) for name, ago in hours.items()}
    await Showtime.get_pymongo_collection().update_one({"_id": showtime["id"]}, {"$set": long_ago})
    for method, path, body in [
        ("PATCH", "", {"local_start": manager.evening(9)}),
        ("POST", "/cancel", {"reason": "other"}),
    ]:
        refused = await manager.call(method, f"/showtimes/{showtime['id']}{path}", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "showtime_over")


async def test_a_cancellation_is_published_once_and_frees_the_slots(manager, bus):
    showtime = await manager.showtime()
    path = f"/showtimes/{showtime['id']}/cancel"
    answers = await asyncio.gather(*(manager.call("POST", path, {"reason": "technical"}) for _ in range(5)))
    assert [answer.json()["state"] for answer in answers] == ["cancelled"] * 5
    again = await manager.call("POST", path, {"reason": "other"})
    assert again.json() == answers[0].json()
    event = await bus.wait_for(ShowtimeCancelled, lambda e: e.showtime_id == showtime["id"])
    assert event.reason == "technical"
    assert (await manager.client.get(f"/api/showtimes/{showtime['id']}")).json()["state"] == "cancelled"
    listed = (await manager.client.get("/api/showtimes", params={"theater_id": manager.theater_id})).json()["items"]
    assert listed == []
    await manager.showtime()
    moved = await manager.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": manager.evening(9)})
    assert (moved.status_code, moved.json()["code"]) == (409, "showtime_over")
    assert len(bus.events(ShowtimeCancelled, lambda e: e.showtime_id == showtime["id"])) == 1


async def test_cancelling_requires_a_reason_and_a_showtime(manager):
    showtime = await manager.showtime()
    for path, body, status in [
        (showtime["id"], {}, 422), (showtime["id"], {"reason": "rain"}, 422), ("none", {"reason": "other"}, 404),
    ]:  # fmt: skip
        assert (await manager.call("POST", f"/showtimes/{path}/cancel", body)).status_code == status
    assert (await manager.call("PATCH", "/showtimes/none", {})).status_code == 404


async def test_a_repeated_request_with_a_key_schedules_once(manager):
    body = {"auditorium_id": manager.room["id"], "movie_id": manager.movie_id, "local_start": manager.evening()}
    headers = manager.headers | {"Idempotency-Key": f"schedule-{manager.theater_id}"}
    answers = [await manager.client.post("/api/showtimes", json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert len(await manager.room_taken()) == 1


async def test_a_film_without_a_runtime_cannot_be_scheduled(manager, client, signer, bus):
    editor, film = signer.headers("editor", ["movies:write"]), f"/api/movies/{manager.movie_id}"
    changed = await client.patch(film, json={"runtime_minutes": None}, headers=editor)
    assert changed.json()["runtime_minutes"] is None
    await bus.wait_for(MovieChanged, lambda event: event.movie_id == manager.movie_id and event.runtime_minutes == 0)
    refused = await manager.try_showtime()
    assert (refused.status_code, refused.json()["code"]) == (409, "runtime_unknown")
    seen = await manager.call("POST", f"/theaters/{manager.theater_id}/schedules/preview", manager.pattern())
    assert {item["fault"]["code"] for item in seen.json()["items"]} == {"runtime_unknown"}
    await client.patch(film, json={"runtime_minutes": 90}, headers=editor)
    await manager.showtime()


async def test_a_film_is_showing_until_its_last_start(manager):
    await manager.showtime(manager.evening(200))
    movie = await store.live_movie(manager.movie_id)
    assert movie.showing_until
    assert movie.showing_until >= manager.at(manager.evening(200)).astimezone(UTC)
