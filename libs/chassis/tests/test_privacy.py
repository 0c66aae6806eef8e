"""Personal data of the toy service: erased repeatedly, exported in parts."""

from datetime import timedelta

import pytest
from chassis import privacy
from chassis.clock import now
from chassis.ids import new_id
from chassis.messaging.consumer import MAX_EVENT_BYTES
from chassis.privacy import Answer, Erasure
from chassis.testing import until
from contracts.identity import ExportRequested, UserDeleted

pytestmark = pytest.mark.usefixtures("client")


async def erased(toy, user_id: str, times: int = 1):
    async def enough():
        return toy.erasures.count(user_id) >= times

    await until(enough)


async def test_repeated_deletions_erase_a_persons_data_each_time(bus, toy):
    user_id = new_id()
    toy.people[user_id] = ["hello"]
    for _ in range(3):
        await bus.publish(UserDeleted(user_id=user_id))
    await erased(toy, user_id, 3)
    assert user_id not in toy.people
    assert await Erasure.find({"_id": user_id}).count() == 1


async def test_data_that_arrive_after_a_deletion_are_erased_at_growing_intervals(bus, toy, monkeypatch):
    monkeypatch.setattr(privacy, "FIRST_AGAIN", timedelta(0))
    user_id = new_id()
    await bus.publish(UserDeleted(user_id=user_id))
    await erased(toy, user_id)
    toy.people[user_id] = ["an event that was on its way"]
    await erased(toy, user_id, 2)
    assert user_id not in toy.people
    kept = await Erasure.get(user_id)
    assert kept is not None
    kept.asked_at = now() - timedelta(days=3)
    await kept.replace()
    await erased(toy, user_id, 3)

    async def is_postponed():
        later = await Erasure.get(user_id)
        return later and later.due_at >= now() + timedelta(days=2, hours=23)

    await until(is_postponed)


async def test_a_failing_erasure_does_not_delay_others_and_is_repeated(bus, toy, monkeypatch):
    monkeypatch.setattr(privacy, "FIRST_AGAIN", timedelta(0))
    first, second = new_id(), new_id()
    toy.people[first] = toy.people[second] = ["hello"]
    toy.erasing_fails.append(ZeroDivisionError())
    await bus.publish(UserDeleted(user_id=first))
    await bus.publish(UserDeleted(user_id=second))

    async def gone():
        return not {first, second} & toy.people.keys()

    await until(gone)


async def test_mongodb_deletes_old_erasures(toy):
    indexes = await Erasure.get_pymongo_collection().index_information()
    assert indexes["asked_at_1"]["expireAfterSeconds"] == 30 * 24 * 3600


async def answers(bus, toy, export_id: str):
    def mine(event):
        return event.export_id == export_id

    await bus.wait_for(toy.ToyData, lambda event: mine(event) and event.is_last)
    return sorted(bus.events(toy.ToyData, mine), key=lambda event: event.part)


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (1, [1]), (20, [20]), (21, [20, 1]), (100, [20] * 5)])
async def test_an_export_has_parts_and_the_last_one_is_marked(bus, toy, count, sizes):
    user_id, export_id = new_id(), new_id()
    toy.people[user_id] = [f"number {n}" for n in range(count)]
    await bus.publish(ExportRequested(export_id=export_id, user_id=user_id))
    said = await answers(bus, toy, export_id)
    assert [len(each.items) for each in said] == sizes
    assert [each.part for each in said] == list(range(len(sizes)))
    assert [each.is_last for each in said] == [False] * (len(sizes) - 1) + [True]
    assert [item["text"] for each in said for item in each.items] == toy.people[user_id]
    assert all(item["at"] == "2026-11-21T00:00:00Z" for each in said for item in each.items)


async def test_a_repeated_export_request_is_answered_once(bus, toy):
    user_id, export_id, later = new_id(), new_id(), new_id()
    toy.people[user_id] = ["hello"] * 25
    for asked in (export_id, export_id, later):
        await bus.publish(ExportRequested(export_id=asked, user_id=user_id))
    await answers(bus, toy, later)
    assert len(await answers(bus, toy, export_id)) == 2


async def test_no_personal_data_remain_of_a_published_answer(bus, toy):
    user_id, export_id = new_id(), new_id()
    toy.people[user_id] = ["something personal"]
    await bus.publish(ExportRequested(export_id=export_id, user_id=user_id))
    await answers(bus, toy, export_id)

    async def emptied():
        kept = await Answer.get_pymongo_collection().find_one({"_id": f"{export_id}.0"})
        return kept and "personal" not in str(kept)

    await until(emptied)


def test_the_largest_part_fits_into_an_event():
    largest_booking = 15_000  # ten tickets with their seats, prices and history
    assert privacy.PART_ITEMS * largest_booking < MAX_EVENT_BYTES / 2


async def test_only_erasures_that_are_due_are_repeated(toy):
    await Erasure(id=(later := new_id()), asked_at=now(), due_at=now() + timedelta(hours=1)).insert()
    await toy.privacy.erase_again()
    assert later not in toy.erasures
