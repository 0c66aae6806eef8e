"""The schedule builder: preview, publish at once, all or nothing, whatever crashes."""

import asyncio
from datetime import datetime, timedelta

import pytest
from catalog import store
from catalog.model.problems import ShowtimesClash
from catalog.model.schedule import Pattern
from catalog.store import Schedule, Showtime
from catalog.store.schedules import LEFT_BEHIND_AFTER, schedules
from catalog.store.showtimes import showtimes
from chassis.clock import now
from chassis.ids import new_id
from contracts.catalog import ShowtimeScheduled


async def previewed(house, pattern):
    answer = await house.call("POST", f"/theaters/{house.theater_id}/schedules/preview", pattern)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def planned(house, pattern):
    theater = await store.theater_of(house.theater_id)
    return await store.preview(theater, Pattern.model_validate(pattern))


async def publish(house, pattern, fingerprint, *leave_out):
    body = {"pattern": pattern, "fingerprint": fingerprint, "leave_out": list(leave_out)}
    return await house.call("POST", f"/theaters/{house.theater_id}/schedules", body)


async def test_a_pattern_is_looked_at_and_then_published_at_once(house, bus):
    pattern = house.pattern("14:00", "20:15", days=3)
    preview = await previewed(house, pattern)
    assert [item["number"] for item in preview["items"]] == [1, 2, 3, 4, 5, 6]
    assert preview["faulty"] == []
    assert {item["price_from"]["amount"] for item in preview["items"]} == {1300}
    assert await house.room_taken() == [], "looking changes nothing"
    answer = await publish(house, pattern, preview["fingerprint"])
    assert (answer.status_code, answer.json()["state"], answer.json()["size"]) == (201, "published", 6)
    taken = await house.room_taken()
    assert [each["_id"] for each in taken] == answer.json()["showtime_ids"]
    assert [each["starts_at"] for each in taken] == [
        datetime.fromisoformat(item["starts_at"]) for item in preview["items"]
    ]
    for showtime_id in answer.json()["showtime_ids"]:
        event = await bus.wait_for(ShowtimeScheduled, lambda e, wanted=showtime_id: e.showtime_id == wanted)
        assert event.prices
        assert event.address == "Ring 1, 10115 Berlin"
    shown = await house.call("GET", f"/theaters/{house.theater_id}/schedules/{answer.json()['id']}")
    assert shown.json()["state"] == "published"
    again = await publish(house, pattern, preview["fingerprint"])
    assert (again.status_code, again.json()["code"]) == (409, "schedule_faulty"), "they are in their own way now"


async def test_publishing_again_with_the_same_key_gives_the_same_answer(house):
    pattern = house.pattern(days=2)
    fingerprint = (await previewed(house, pattern))["fingerprint"]
    body = {"pattern": pattern, "fingerprint": fingerprint}
    headers = house.headers | {"Idempotency-Key": f"week-of-{house.theater_id}"}
    path = f"/api/theaters/{house.theater_id}/schedules"
    answers = [await house.client.post(path, json=body, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert len(await house.room_taken()) == 2


async def test_every_fault_is_shown_at_its_place(house):
    await house.showtime(house.evening(8, "20:00"))
    pattern = house.pattern("20:15", "21:00", "23:00", days=2)
    preview = await previewed(house, pattern)
    codes = [item["fault"] and item["fault"]["code"] for item in preview["items"]]
    assert codes == [None, "showtimes_clash", None, "showtimes_clash", "showtimes_clash", None]
    assert preview["faulty"] == [2, 4, 5]
    own = preview["items"][1]["fault"]
    assert "taken by Der Golem" in own["detail"]
    refused = await publish(house, pattern, preview["fingerprint"], 2)
    assert (refused.status_code, refused.json()["code"]) == (409, "schedule_faulty")
    assert refused.json()["faulty"] == [4, 5]
    published = await publish(house, pattern, preview["fingerprint"], 2, 4, 5)
    assert (published.status_code, published.json()["size"]) == (201, 3)


async def test_nights_on_which_the_clocks_change_are_shown(house):
    year = now().year + 1
    spring = next(day for day in range(31, 24, -1) if datetime(year, 3, day).weekday() == 6)  # noqa: DTZ001 - a date
    autumn = next(day for day in range(31, 24, -1) if datetime(year, 10, day).weekday() == 6)  # noqa: DTZ001 - a date
    for month, day, code, occurrence in [
        ("03", spring, "local_time_invalid", None),
        ("03", spring, "local_time_invalid", "first"),
        ("10", autumn, "local_time_ambiguous", None),
        ("10", autumn, None, "second"),
    ]:
        days = {"first_day": f"{year}-{month}-{day - 2}", "last_day": f"{year}-{month}-{day - 1}"}
        preview = await previewed(house, house.pattern("02:30") | days | {"occurrence": occurrence})
        assert [item["fault"] and item["fault"]["code"] for item in preview["items"]] == [None, code]
        assert preview["items"][1]["local_start"] == f"{year}-{month}-{day}T02:30:00", "Saturday night is on Sunday"


async def test_what_is_not_as_it_was_looked_at_is_not_published(house):
    pattern = house.pattern(days=2)
    preview = await previewed(house, pattern)
    lists = f"/theaters/{house.theater_id}/price-lists"
    dearer = {
        "name": "dear",
        "prices": {name: {"adult": 9000} for name in ("standard", "vip", "wheelchair", "companion")},
    }
    await house.call("POST", lists, dearer | {"valid_from": "2026-02-01"})
    refused = await publish(house, pattern, preview["fingerprint"])
    assert (refused.status_code, refused.json()["code"]) == (409, "schedule_changed")
    assert await house.room_taken() == []
    assert (await publish(house, pattern, (await previewed(house, pattern))["fingerprint"])).status_code == 201


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"showings": []}, 422),
        ({"first_day": "2020-01-01"}, 422),
        ({"showings": [{"auditorium_id": "none", "movie_id": "golem-1920", "starts": "20:00"}]}, 404),
        ({"showings": [{"auditorium_id": "none", "movie_id": "none", "starts": "20:00", "price": 1}]}, 422),
    ],
)
async def test_a_pattern_that_cannot_be_is_refused(house, changes, status):
    answer = await house.call("POST", f"/theaters/{house.theater_id}/schedules/preview", house.pattern() | changes)
    assert answer.status_code == status, answer.text


async def test_of_many_schedules_for_the_same_slots_at_once_one_is_published_whole(house, bus):
    pattern = house.pattern("14:00", "17:00", "20:15", days=4)
    fingerprint = (await previewed(house, pattern))["fingerprint"]
    answers = await asyncio.gather(*(publish(house, pattern, fingerprint) for _ in range(6)))
    winners = [answer for answer in answers if answer.status_code == 201]
    assert len(winners) <= 1, "two that collide may both give way, never both stay"
    codes = {answer.json()["code"] for answer in answers if answer.status_code != 201}
    assert codes <= {"showtimes_clash", "schedule_faulty", "schedule_changed"}
    taken = await house.room_taken()
    assert len(taken) in {0, 12}
    assert len(taken) == 12 * len(winners)
    assert {each["state"] for each in taken} <= {"scheduled"}, "no draft stays behind"
    if winners:
        await bus.wait_for(ShowtimeScheduled, lambda e: e.showtime_id == winners[0].json()["showtime_ids"][-1])
    else:
        fingerprint = (await previewed(house, pattern))["fingerprint"]
        assert (await publish(house, pattern, fingerprint)).status_code == 201


async def test_a_schedule_that_meets_a_new_showtime_is_refused_whole_and_names_it(house):
    """Somebody schedules between the look and the writes."""
    theater = await store.theater_of(house.theater_id)
    items = await store.preview(theater, Pattern.model_validate(house.pattern("14:00", "20:15", days=3)))
    other = await house.showtime(house.evening(8, "20:30"))
    with pytest.raises(ShowtimesClash) as clash:
        await store.publish(house.theater_id, [item.showtime for item in items if item.showtime], "admin-1")
    assert [each["showtime_id"] for each in clash.value.members["clashes"]] == [other["id"]]
    assert [each["_id"] for each in await house.room_taken()] == [other["id"]]
    assert await Schedule.find(Schedule.theater_id == house.theater_id, Schedule.state == "given_up").count() == 1


async def drafted(house, state, *, began=LEFT_BEHIND_AFTER + timedelta(seconds=5)):
    """A schedule as a crash leaves it, with its drafts."""
    items = await planned(house, house.pattern(days=4))
    about = {"theater_id": house.theater_id, "size": 4, "published_by": "admin-1", "begun_at": now() - began}
    schedule = Schedule(id=new_id(), state=state, **about)
    await schedules.insert(schedule)
    for item in items:
        assert item.showtime is not None
        draft = item.showtime.model_copy(update={"state": "draft", "schedule_id": schedule.id})
        await showtimes.insert(draft)
    return schedule.id


async def state_of(house, schedule_id):
    return (await house.call("GET", f"/theaters/{house.theater_id}/schedules/{schedule_id}")).json()["state"]


async def test_drafts_are_on_no_list_and_keep_their_place(house):
    await drafted(house, "reserving", began=timedelta(0))
    await store.resume()
    drafts = await house.room_taken()
    assert [each["state"] for each in drafts] == ["draft"] * 4, "what is under way is left alone"
    listed = (await house.client.get("/api/showtimes", params={"theater_id": house.theater_id})).json()
    assert listed["items"] == []
    assert (await house.client.get(f"/api/showtimes/{drafts[0]['_id']}")).status_code == 404
    assert (await house.call("POST", f"/showtimes/{drafts[0]['_id']}/cancel", {"reason": "other"})).status_code == 404
    assert (await house.try_showtime()).status_code == 409


async def test_what_a_crash_left_undecided_is_given_up(house, bus):
    schedule_id = await drafted(house, "reserving")
    await store.resume()
    assert await state_of(house, schedule_id) == "given_up"
    assert await house.room_taken() == []
    assert bus.events(ShowtimeScheduled, lambda e: e.auditorium_id == house.room["id"]) == []


async def test_what_was_decided_is_published_after_a_crash(house, bus):
    schedule_id = await drafted(house, "publishing")
    first = (await house.room_taken())[0]
    await Showtime.get_pymongo_collection().update_one({"_id": first["_id"]}, {"$set": {"state": "scheduled"}})
    await asyncio.gather(*(store.resume() for _ in range(3)))
    assert await state_of(house, schedule_id) == "published"
    taken = await house.room_taken()
    assert [each["state"] for each in taken] == ["scheduled"] * 4
    for each in taken[1:]:
        await bus.wait_for(ShowtimeScheduled, lambda e, wanted=each["_id"]: e.showtime_id == wanted)
    assert len(bus.events(ShowtimeScheduled, lambda e: e.auditorium_id == house.room["id"])) == 3, "each once"


async def test_drafts_that_come_after_it_was_given_up_are_dropped(house):
    """The process that entered them slept through its time."""
    await drafted(house, "given_up", began=timedelta(0))
    await store.resume()
    assert await house.room_taken() == []


async def test_a_schedule_is_its_theaters_own(house, new_house):
    schedule_id = await drafted(house, "published")
    other = await new_house()
    assert (await other.call("GET", f"/theaters/{other.theater_id}/schedules/{schedule_id}")).status_code == 404
    await Showtime.get_pymongo_collection().delete_many({"schedule_id": schedule_id})
