"""The schedule builder: preview, then publish all or nothing, even after a crash."""

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


async def previewed(manager, pattern):
    answer = await manager.call("POST", f"/theaters/{manager.theater_id}/schedules/preview", pattern)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def planned(manager, pattern):
    theater = await store.theater_of(manager.theater_id)
    return await store.preview(theater, Pattern.model_validate(pattern))


async def publish(manager, pattern, fingerprint, *leave_out):
    body = {"pattern": pattern, "fingerprint": fingerprint, "leave_out": list(leave_out)}
    return await manager.call("POST", f"/theaters/{manager.theater_id}/schedules", body)


async def test_a_pattern_is_previewed_and_then_published(manager, bus):
    pattern = manager.pattern("14:00", "20:15", days=3)
    preview = await previewed(manager, pattern)
    assert [item["number"] for item in preview["items"]] == [1, 2, 3, 4, 5, 6]
    assert preview["faulty"] == []
    assert {item["price_from"]["amount"] for item in preview["items"]} == {1300}
    assert await manager.room_taken() == [], "a preview changes nothing"
    answer = await publish(manager, pattern, preview["fingerprint"])
    assert (answer.status_code, answer.json()["state"], answer.json()["size"]) == (201, "published", 6)
    taken = await manager.room_taken()
    assert [each["_id"] for each in taken] == answer.json()["showtime_ids"]
    assert [each["starts_at"] for each in taken] == [
        datetime.fromisoformat(item["starts_at"]) for item in preview["items"]
    ]
    for showtime_id in answer.json()["showtime_ids"]:
        event = await bus.wait_for(ShowtimeScheduled, lambda e, wanted=showtime_id: e.showtime_id == wanted)
        assert event.prices
        assert event.address == "Ring 1, 10115 Berlin"
    shown = await manager.call("GET", f"/theaters/{manager.theater_id}/schedules/{answer.json()['id']}")
    assert shown.json()["state"] == "published"
    again = await publish(manager, pattern, preview["fingerprint"])
    assert (again.status_code, again.json()["code"]) == (409, "schedule_faulty"), "they conflict with themselves now"


async def test_publishing_again_with_the_same_key_returns_the_same_response(manager):
    pattern = manager.pattern(days=2)
    fingerprint = (await previewed(manager, pattern))["fingerprint"]
    body = {"pattern": pattern, "fingerprint": fingerprint}
    headers = manager.headers | {"Idempotency-Key": f"week-of-{manager.theater_id}"}
    path = f"/api/theaters/{manager.theater_id}/schedules"
    answers = [await manager.client.post(path, json=body, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert len(await manager.room_taken()) == 2


async def test_every_fault_is_reported_at_its_item(manager):
    await manager.showtime(manager.evening(8, "20:00"))
    pattern = manager.pattern("20:15", "21:00", "23:00", days=2)
    preview = await previewed(manager, pattern)
    codes = [item["fault"] and item["fault"]["code"] for item in preview["items"]]
    assert codes == [None, "showtimes_clash", None, "showtimes_clash", "showtimes_clash", None]
    assert preview["faulty"] == [2, 4, 5]
    own = preview["items"][1]["fault"]
    assert "taken by Der Golem" in own["detail"]
    refused = await publish(manager, pattern, preview["fingerprint"], 2)
    assert (refused.status_code, refused.json()["code"]) == (409, "schedule_faulty")
    assert refused.json()["faulty"] == [4, 5]
    published = await publish(manager, pattern, preview["fingerprint"], 2, 4, 5)
    assert (published.status_code, published.json()["size"]) == (201, 3)


async def test_nights_on_which_the_clocks_change_are_reported(manager):
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
        preview = await previewed(manager, manager.pattern("02:30") | days | {"occurrence": occurrence})
        assert [item["fault"] and item["fault"]["code"] for item in preview["items"]] == [None, code]
        assert preview["items"][1]["local_start"] == f"{year}-{month}-{day}T02:30:00", "Saturday night is on Sunday"


async def test_a_schedule_that_differs_from_its_preview_is_not_published(manager):
    pattern = manager.pattern(days=2)
    preview = await previewed(manager, pattern)
    lists = f"/theaters/{manager.theater_id}/price-lists"
    dearer = {
        "name": "dear",
        "prices": {name: {"adult": 9000} for name in ("standard", "vip", "wheelchair", "companion")},
    }
    await manager.call("POST", lists, dearer | {"valid_from": "2026-02-01"})
    refused = await publish(manager, pattern, preview["fingerprint"])
    assert (refused.status_code, refused.json()["code"]) == (409, "schedule_changed")
    assert await manager.room_taken() == []
    assert (await publish(manager, pattern, (await previewed(manager, pattern))["fingerprint"])).status_code == 201


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"showings": []}, 422),
        ({"first_day": "2020-01-01"}, 422),
        ({"showings": [{"auditorium_id": "none", "movie_id": "golem-1920", "starts": "20:00"}]}, 404),
        ({"showings": [{"auditorium_id": "none", "movie_id": "none", "starts": "20:00", "price": 1}]}, 422),
    ],
)
async def test_an_invalid_pattern_is_refused(manager, changes, status):
    answer = await manager.call(
        "POST", f"/theaters/{manager.theater_id}/schedules/preview", manager.pattern() | changes
    )
    assert answer.status_code == status, answer.text


async def test_of_concurrent_schedules_for_the_same_slots_one_is_published_completely(manager, bus):
    pattern = manager.pattern("14:00", "17:00", "20:15", days=4)
    fingerprint = (await previewed(manager, pattern))["fingerprint"]
    answers = await asyncio.gather(*(publish(manager, pattern, fingerprint) for _ in range(6)))
    winners = [answer for answer in answers if answer.status_code == 201]
    assert len(winners) <= 1, "two that collide may both fail, but never both succeed"
    codes = {answer.json()["code"] for answer in answers if answer.status_code != 201}
    assert codes <= {"showtimes_clash", "schedule_faulty", "schedule_changed"}
    taken = await manager.room_taken()
    assert len(taken) in {0, 12}
    assert len(taken) == 12 * len(winners)
    assert {each["state"] for each in taken} <= {"scheduled"}, "no drafts are left"
    if winners:
        await bus.wait_for(ShowtimeScheduled, lambda e: e.showtime_id == winners[0].json()["showtime_ids"][-1])
    else:
        fingerprint = (await previewed(manager, pattern))["fingerprint"]
        assert (await publish(manager, pattern, fingerprint)).status_code == 201


async def test_a_schedule_that_conflicts_with_a_new_showtime_is_refused_completely(manager):
    """Another showtime is scheduled between the check and the writes."""
    theater = await store.theater_of(manager.theater_id)
    items = await store.preview(theater, Pattern.model_validate(manager.pattern("14:00", "20:15", days=3)))
    other = await manager.showtime(manager.evening(8, "20:30"))
    with pytest.raises(ShowtimesClash) as clash:
        await store.publish(manager.theater_id, [item.showtime for item in items if item.showtime], "admin-1")
    assert [each["showtime_id"] for each in clash.value.members["clashes"]] == [other["id"]]
    assert [each["_id"] for each in await manager.room_taken()] == [other["id"]]
    assert await Schedule.find(Schedule.theater_id == manager.theater_id, Schedule.state == "given_up").count() == 1


async def drafted(manager, state, *, began=LEFT_BEHIND_AFTER + timedelta(seconds=5)):
    """A schedule with its drafts, as after a crash."""
    items = await planned(manager, manager.pattern(days=4))
    about = {"theater_id": manager.theater_id, "size": 4, "published_by": "admin-1", "begun_at": now() - began}
    schedule = Schedule(id=new_id(), state=state, **about)
    await schedules.insert(schedule)
    for item in items:
        assert item.showtime is not None
        draft = item.showtime.model_copy(update={"state": "draft", "schedule_id": schedule.id})
        await showtimes.insert(draft)
    return schedule.id


async def state_of(manager, schedule_id):
    return (await manager.call("GET", f"/theaters/{manager.theater_id}/schedules/{schedule_id}")).json()["state"]


async def test_drafts_are_in_no_list_and_occupy_their_slots(manager):
    await drafted(manager, "reserving", began=timedelta(0))
    await store.resume()
    drafts = await manager.room_taken()
    assert [each["state"] for each in drafts] == ["draft"] * 4, "a running publication is not touched"
    listed = (await manager.client.get("/api/showtimes", params={"theater_id": manager.theater_id})).json()
    assert listed["items"] == []
    assert (await manager.client.get(f"/api/showtimes/{drafts[0]['_id']}")).status_code == 404
    assert (await manager.call("POST", f"/showtimes/{drafts[0]['_id']}/cancel", {"reason": "other"})).status_code == 404
    assert (await manager.try_showtime()).status_code == 409


async def test_after_a_crash_an_undecided_schedule_is_rolled_back(manager, bus):
    schedule_id = await drafted(manager, "reserving")
    await store.resume()
    assert await state_of(manager, schedule_id) == "given_up"
    assert await manager.room_taken() == []
    assert bus.events(ShowtimeScheduled, lambda e: e.auditorium_id == manager.room["id"]) == []


async def test_after_a_crash_a_decided_schedule_is_published(manager, bus):
    schedule_id = await drafted(manager, "publishing")
    first = (await manager.room_taken())[0]
    await Showtime.get_pymongo_collection().update_one({"_id": first["_id"]}, {"$set": {"state": "scheduled"}})
    await asyncio.gather(*(store.resume() for _ in range(3)))
    assert await state_of(manager, schedule_id) == "published"
    taken = await manager.room_taken()
    assert [each["state"] for each in taken] == ["scheduled"] * 4
    for each in taken[1:]:
        await bus.wait_for(ShowtimeScheduled, lambda e, wanted=each["_id"]: e.showtime_id == wanted)
    assert len(bus.events(ShowtimeScheduled, lambda e: e.auditorium_id == manager.room["id"])) == 3, "each once"


async def test_drafts_inserted_after_the_rollback_are_deleted(manager):
    """The process that inserted them was suspended for too long."""
    await drafted(manager, "given_up", began=timedelta(0))
    await store.resume()
    assert await manager.room_taken() == []


async def test_a_schedule_belongs_to_its_theater(manager, new_manager):
    schedule_id = await drafted(manager, "published")
    other = await new_manager()
    assert (await other.call("GET", f"/theaters/{other.theater_id}/schedules/{schedule_id}")).status_code == 404
    await Showtime.get_pymongo_collection().delete_many({"schedule_id": schedule_id})
