"""The audit log: every action has its line, and no line changes."""

from datetime import timedelta

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from contracts.booking import HouseChangeActed, StaffActed
from contracts.identity import ActRecorded
from identity import store

from .staff import AUDIT, PEOPLE, Someone, audited, someone


@pytest.fixture
async def admin(client) -> Someone:
    return await someone(client, "admin", name="Ada Admin")


@pytest.fixture
async def history(client, admin):
    """A person after four actions, and their lines, the newest first."""
    grace = await someone(client)
    path = f"{PEOPLE}/{grace.user_id}"
    await admin.act("PUT", f"{path}/roles", json={"roles": ["box_office"]})
    await admin.act("POST", f"{path}/deactivate")
    await admin.act("POST", f"{path}/reactivate")
    await admin.act("DELETE", f"{path}/sessions")

    async def complete():
        page = await admin.act("GET", AUDIT, params={"user_id": grace.user_id})
        return page["items"] if len(page["items"]) == 4 else None

    return grace, await until(complete)


async def test_the_log_records_who_did_what_to_whom_and_when(admin, history):
    grace, lines = history
    assert [line["action"] for line in lines] == ["signed_out", "reactivated", "deactivated", "roles_changed"]
    assert {line["actor_name"] for line in lines} == {"Ada Admin"}
    assert {line["user_name"] for line in lines} == {"Grace Hopper"}
    assert lines[-1]["before"] == {"roles": ["customer"], "theaters": []}
    assert lines[-1]["after"] == {"roles": ["box_office"], "theaters": []}
    assert lines == sorted(lines, key=lambda line: line["acted_at"], reverse=True)
    assert grace.email not in str(lines)


async def test_the_log_is_filtered_and_paged(admin, history):
    grace, lines = history

    async def read(**params):
        page = await admin.act("GET", AUDIT, params={"user_id": grace.user_id} | params)
        return [line["action"] for line in page["items"]], page["next_cursor"]

    assert await read(action="deactivated") == (["deactivated"], None)
    assert await read(actor_id=grace.user_id) == ([], None)
    assert (await read(actor_id=admin.user_id))[0] == [line["action"] for line in lines]
    first, cursor = await read(limit=3)
    assert (first + (await read(cursor=cursor))[0], cursor is None) == ([line["action"] for line in lines], False)
    hour = timedelta(hours=1)
    assert len((await read(since=(now() - hour).isoformat(), before=(now() + hour).isoformat()))[0]) == 4
    assert await read(since=(now() + hour).isoformat()) == ([], None)
    assert await read(before=(now() - hour).isoformat()) == ([], None)
    middle = lines[1]["acted_at"]
    assert len((await read(since=middle))[0]) in {2, 3}, "moments are those of the ids, to the millisecond"


@pytest.mark.parametrize(
    "params",
    [
        {"user_id": "a b"},
        {"actor_id": "x" * 65},
        {"action": "Nonsense!"},
        {"since": "yesterday"},
        {"since": "2026-11-21T10:00:00"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"before": "9999-12-31T23:59:59-14:00"},
        {"cursor": "%00"},
        {"limit": 0},
        {"limit": 101},
        {"who": "me"},
    ],
)
async def test_an_invalid_filter_is_refused(admin, params):
    assert (await admin.ask("GET", AUDIT, params=params)).status_code == 422


async def test_extreme_times_are_accepted(admin):
    for moment in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"):
        assert (await admin.ask("GET", AUDIT, params={"since": moment})).status_code == 200
        assert (await admin.ask("GET", AUDIT, params={"before": moment})).status_code == 200


async def test_an_action_that_is_delivered_twice_has_one_line(client, bus):
    act = ActRecorded(act_id=new_id(), action="deactivated", user_id=new_id(), acted_at=now())
    for _ in range(3):
        await bus.publish(act)
    later = ActRecorded(act_id=new_id(), action="deactivated", user_id=new_id(), acted_at=now())
    await bus.publish(later)
    await audited("deactivated", later.user_id)
    assert await store.AuditEntry.find({"user_id": act.user_id}).count() == 1


async def test_a_stored_line_is_not_changed_by_another_with_its_id(client, bus):
    first = ActRecorded(act_id=new_id(), action="deactivated", user_id=new_id(), acted_at=now())
    await bus.publish(first)
    await audited("deactivated", first.user_id)
    await bus.publish(first.model_copy(update={"action": "reactivated"}))
    last = ActRecorded(act_id=new_id(), action="deactivated", user_id=new_id(), acted_at=now())
    await bus.publish(last)
    await audited("deactivated", last.user_id)
    assert (await audited("deactivated", first.user_id)).id == first.act_id


async def test_no_address_of_the_api_changes_the_log(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    methods = {path: set(operations) for path, operations in paths.items() if "audit" in path}
    assert methods == {AUDIT: {"get"}}


async def test_viewing_people_is_recorded(client, admin):
    grace = await someone(client)
    await admin.act("GET", f"{PEOPLE}/{grace.user_id}")
    await admin.act("GET", f"{PEOPLE}/{grace.user_id}/sessions")
    await admin.act("GET", PEOPLE)
    lines = (await admin.act("GET", AUDIT, params={"actor_id": admin.user_id}))["items"]
    assert [line["action"] for line in lines] == ["people_listed", "sessions_viewed", "person_viewed"]
    assert [line["user_id"] for line in lines] == [None, grace.user_id, grace.user_id]


@pytest.mark.parametrize("where", [{}, {"user_id": "a"}, {"actor_id": "a"}, {"action": "a"}])
async def test_the_log_is_read_by_an_index(client, where):
    log = store.AuditEntry.get_pymongo_collection()
    plan = await log.find(where).sort("_id", -1).limit(50).explain()
    assert not {"COLLSCAN", "SORT"} & set(str(plan["queryPlanner"]["winningPlan"]).split("'"))


async def test_what_staff_do_to_a_booking_has_its_line(admin, bus):
    """Also for a guest's booking, which concerns no person."""
    acts = [
        StaffActed(
            act_id=new_id(),
            action="tickets_cancelled",
            actor_id=admin.user_id,
            booking_id="b1",
            user_id=user_id,
            acted_at=now(),
        )
        for user_id in (admin.user_id, None)
    ]
    for act in (*acts, acts[0]):
        await bus.publish(act)

    async def complete():
        page = await admin.act("GET", AUDIT, params={"actor_id": admin.user_id, "action": "tickets_cancelled"})
        return page["items"] if len(page["items"]) == 2 else None

    lines = await until(complete)
    assert lines
    assert {(line["act_id"], line["booking_id"], line["user_id"]) for line in lines} == {
        (act.act_id, "b1", act.user_id) for act in acts
    }


async def test_a_change_of_a_showtime_has_its_line(admin, bus):
    acted = {"act_id": new_id(), "action": "showtime_change_confirmed", "actor_id": admin.user_id, "acted_at": now()}
    act = HouseChangeActed(**acted, change_id="c1", showtime_id="s1")
    for _ in range(2):
        await bus.publish(act)

    async def entered():
        wanted = {"actor_id": admin.user_id, "action": act.action}
        return (await admin.act("GET", AUDIT, params=wanted))["items"]

    [line] = await until(entered)
    assert (line["act_id"], line["showtime_id"], line["booking_id"]) == (act.act_id, "s1", None)
