"""Changes of showtimes by the cinema: dry run, commit, confirmation, and the run over the bookings."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from booking import store
from booking.model import BookingBusy, house, impact_of
from booking.saga import Trigger
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import Bus, Signer, until
from contracts.booking import BookingCancelled, BookingRescheduled, HouseChangeActed, HouseChangeApproved
from contracts.catalog import ShowtimeCancelled, ShowtimeChangeRefused

from . import examples
from .conftest import Customer, Staff, problem, raw_bookings

PATH = "/api/bookings/house-changes"
PLANNER = "showtimes:write"


def next_mark(hours: int = 6) -> datetime:
    later = now() + timedelta(hours=hours)
    return later.replace(minute=later.minute // 5 * 5, second=0, microsecond=0)


class Office:
    """A member of staff who changes the customer's showtime."""

    def __init__(self, customer: Customer, headers: dict[str, str]) -> None:
        self.customer, self.headers = customer, headers

    async def call(self, method: str, path: str = "", **options: Any) -> Any:
        return await self.customer.client.request(method, f"{PATH}{path}", headers=self.headers, **options)

    async def dry_run(self, **wanted: Any) -> Any:
        body = {"showtime_id": self.customer.showtime_id, "kind": "cancel", "reason": "technical"} | wanted
        return await self.call("POST", json={name: value for name, value in body.items() if value is not None})

    async def planned(self, **wanted: Any) -> dict[str, Any]:
        answer = await self.dry_run(**wanted)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def move(self, starts_at: datetime) -> dict[str, Any]:
        return await self.planned(kind="move", reason=None, starts_at=starts_at.isoformat())

    async def get(self, change_id: str) -> dict[str, Any]:
        return (await self.call("GET", f"/{change_id}")).json()

    async def wait_for(self, change_id: str, state: str) -> dict[str, Any]:
        async def reached() -> dict[str, Any]:
            change = await self.get(change_id)
            return change if change["state"] == state else {}

        return await until(reached)


@pytest.fixture
def office(customer: Customer, signer: Signer) -> Office:
    return Office(customer, signer.headers("planner-1", [PLANNER]))


@pytest.fixture
def second(customer: Customer, signer: Signer) -> Office:
    return Office(customer, signer.headers("planner-2", [PLANNER]))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one ticket needs a second person."""
    monkeypatch.setattr(house, "TICKETS_FOR_ONE", 1)


def is_about(change: dict[str, Any]) -> Callable[[Any], bool]:
    return lambda event: event.change_id == change["id"]


async def test_a_dry_run_counts_what_the_change_affects(customer: Customer, guest: Customer, office: Office):
    await customer.buy_tickets()
    guest.showtime_id = customer.showtime_id
    guest.new_hold()
    assert (await guest.check_out(locale="de-AT")).status_code == 201
    impact = (await office.planned())["impact"]
    money = [{"kind": "card", "currency": "EUR", "amount": examples.TOTAL}]
    assert impact == {
        "bookings": 1,
        "tickets": 2,
        "checkouts": 1,
        "guests": 0,
        "checked_in": 0,
        "unreachable": 0,
        "money": money,
        "mails": [{"locale": "en", "count": 1}],
    }
    await guest.bus.publish(guest.sold())
    await guest.wait_for_state("confirmed")
    checked_in = {"lines.0.checked_in_at": now()}
    await raw_bookings().update_one({"_id": guest.id}, {"$set": checked_in | {"email": None}})
    change = await office.planned()
    assert (change["state"], change["needs_second_person"], change["rows"]) == ("dry_run", False, {})
    impact = change["impact"]
    counts = {
        name: impact[name] for name in ("bookings", "tickets", "checkouts", "guests", "checked_in", "unreachable")
    }
    assert list(counts.values()) == [2, 4, 0, 1, 1, 1]
    assert impact["money"] == [money[0] | {"amount": 2 * examples.TOTAL}]
    assert (await customer.get_booking())["state"] == "confirmed", "a dry run changes nothing"


async def test_a_dry_run_has_a_sample_of_the_mail(customer: Customer, office: Office):
    await customer.add_showtime()
    starts_at = next_mark()
    moved = BookingRescheduled.model_validate((await office.move(starts_at))["mail"]["rescheduled"])
    assert (moved.screening.starts_at, moved.choice_until) == (starts_at, starts_at)
    change = await office.planned()
    cancelled = BookingCancelled.model_validate(change["mail"]["showtime_cancelled"])
    assert (cancelled.reason, cancelled.refund_amount, cancelled.currency) == ("showtime_cancelled", 1800, "EUR")
    assert (await office.get(change["id"]))["mail"] is None
    assert await raw_bookings().count_documents({"showtime_id": customer.showtime_id}) == 0, "nobody has this booking"


def test_the_impact_does_not_depend_on_the_order_of_the_bookings() -> None:
    one = examples.in_state(examples.State.CONFIRMED)
    assert one
    other = one.model_copy(update={"id": "b2", "locale": "de"})
    assert impact_of([one, other]) == impact_of([other, one])
    assert impact_of([one, other]).digest != impact_of([one]).digest
    part = other.model_copy(
        update={"lines": [other.lines[0].model_copy(update={"status": "cancelled"}), other.lines[1]]}
    )
    assert impact_of([one, part]).digest != impact_of([one, other]).digest


async def test_a_committed_change_is_published_once_and_audited(customer: Customer, office: Office, bus: Bus):
    await customer.buy_tickets()
    starts_at = next_mark()
    change = await office.move(starts_at)
    answers = await asyncio.gather(*(office.call("POST", f"/{change['id']}/commit") for _ in range(3)))
    assert {(each.status_code, each.json()["state"]) for each in answers} == {(200, "approved")}
    approved = await bus.wait_for(HouseChangeApproved, is_about(change))
    assert (approved.kind, approved.starts_at, approved.reason) == ("move", starts_at, None)
    act = await bus.wait_for(HouseChangeActed, is_about(change))
    assert (act.action, act.actor_id, act.showtime_id) == (
        "showtime_change_requested", "planner-1", customer.showtime_id,
    )  # fmt: skip
    assert len(bus.events(HouseChangeApproved, is_about(change))) == 1

    refused = {"change_id": change["id"], "showtime_id": customer.showtime_id, "code": "showtimes_clash"}
    await bus.publish(ShowtimeChangeRefused(**refused, detail="Saal 1 is taken."))
    shown = await office.wait_for(change["id"], "refused")
    assert (shown["code"], shown["detail"]) == ("showtimes_clash", "Saal 1 is taken.")


async def test_many_tickets_need_a_second_person(
    customer: Customer, office: Office, second: Office, bus: Bus, few: None
):
    await customer.buy_tickets()
    change = await office.planned()
    assert change["needs_second_person"]
    path = f"/{change['id']}"
    assert (await second.call("POST", f"{path}/confirm")).json()["state"] == "dry_run", "nobody has committed it"
    assert (await office.call("POST", f"{path}/commit")).json()["state"] == "awaiting_confirmation"
    assert problem(await office.call("POST", f"{path}/confirm")) == (403, "second_person_required")
    assert (await second.call("POST", f"{path}/commit")).json()["state"] == "awaiting_confirmation"
    assert bus.events(HouseChangeApproved, is_about(change)) == []
    confirmed = (await second.call("POST", f"{path}/confirm")).json()
    assert (confirmed["state"], confirmed["requested_by"], confirmed["confirmed_by"]) == (
        "approved", "planner-1", "planner-2",
    )  # fmt: skip
    approved = await bus.wait_for(HouseChangeApproved, is_about(change))
    assert (approved.kind, approved.reason) == ("cancel", "technical")
    acts = {(act.action, act.actor_id) for act in bus.events(HouseChangeActed, is_about(change))}
    assert ("showtime_change_requested", "planner-1") in acts


async def test_the_person_who_made_the_dry_run_cannot_confirm_it(
    customer: Customer, office: Office, second: Office, few: None
):
    await customer.buy_tickets()
    path = f"/{(await office.planned())['id']}"
    assert (await second.call("POST", f"{path}/commit")).json()["requested_by"] == "planner-2"
    for each in (office, second):
        assert problem(await each.call("POST", f"{path}/confirm")) == (403, "second_person_required")


async def test_changed_facts_return_a_new_dry_run(
    customer: Customer, guest: Customer, office: Office, second: Office, few: None
):
    await customer.buy_tickets()
    guest.showtime_id = customer.showtime_id
    guest.new_hold()
    old = await office.planned()
    await guest.check_out()
    await guest.bus.publish(guest.sold())
    await guest.wait_for_state("confirmed")
    refused = await office.call("POST", f"/{old['id']}/commit")
    assert problem(refused) == (409, "dry_run_changed")
    new = refused.json()["dry_run"]
    assert (new["impact"]["bookings"], new["state"]) == (2, "dry_run")
    assert (await office.get(old["id"]))["state"] == "superseded"
    assert (await office.call("POST", f"/{old['id']}/commit")).json()["state"] == "superseded"

    assert (await office.call("POST", f"/{new['id']}/commit")).json()["state"] == "awaiting_confirmation"
    await raw_bookings().update_one({"_id": guest.id}, {"$set": {"lines.0.status": "cancelled"}})
    refused = await second.call("POST", f"/{new['id']}/confirm")
    assert (problem(refused), refused.json()["dry_run"]["impact"]["tickets"]) == ((409, "dry_run_changed"), 3)
    listed = (await office.call("GET", params={"showtime_id": customer.showtime_id, "limit": 2})).json()
    assert [each["state"] for each in listed["items"]] == ["dry_run", "superseded"]
    rest = {"showtime_id": customer.showtime_id, "limit": 2, "cursor": listed["next_cursor"]}
    assert [each["id"] for each in (await office.call("GET", params=rest)).json()["items"]] == [old["id"]]


async def test_wrong_changes_are_refused(customer: Customer, office: Office, staff: Staff, signer: Signer):
    await customer.add_showtime()
    odd = next_mark() + timedelta(minutes=1)
    for wrong in (
        {"reason": None}, {"reason": "rain"}, {"starts_at": next_mark().isoformat()}, {"kind": "move"},
        {"kind": "move", "reason": None, "starts_at": odd.isoformat()}, {"kind": "swap"}, {"showtime_id": "x" * 65},
        {"kind": "move", "reason": None, "starts_at": "0001-01-01T00:00:00+14:00"}, {"more": 1},
    ):  # fmt: skip
        assert (await office.dry_run(**wrong)).status_code == 422, wrong
    present = next_mark(2)
    at = {"$set": {"screening.starts_at": present}}
    await store.Showtime.get_pymongo_collection().update_one({"_id": customer.showtime_id}, at)
    for start in (present, next_mark(-1)):
        refused = await office.dry_run(kind="move", reason=None, starts_at=start.isoformat())
        assert problem(refused) == (409, "change_impossible")
    assert problem(await office.dry_run(showtime_id="missing")) == (404, "house_change_unknown")
    change = await office.planned()
    for path in ("/missing", f"/{change['id']}"):
        elsewhere = Office(customer, staff(PLANNER, theaters=("t2",)))
        assert problem(await elsewhere.call("GET", path)) == (404, "house_change_unknown")
        assert problem(await elsewhere.call("POST", f"{path}/commit")) == (404, "house_change_unknown")
    assert problem(await Office(customer, staff(PLANNER, theaters=("t2",))).dry_run()) == (403, "forbidden")
    assert problem(await Office(customer, customer.headers).dry_run()) == (403, "forbidden")
    assert problem(await Office(customer, {}).dry_run()) == (401, "unauthenticated")


class Killed(BaseException):
    """The process ends here."""


class Crowd:
    """Bookings with tickets for one showtime."""

    def __init__(self, customer: Customer, office: Office) -> None:
        self.customer, self.office = customer, office

    async def buy(self, count: int) -> list[str]:
        """Copy one real booking: each with its own id and reference."""
        await self.customer.buy_tickets()
        original = await raw_bookings().find_one({"_id": self.customer.id})
        copies = [
            original | {"_id": f"{self.customer.id}-{n}", "reference": f"{new_id()[-8:]}{n}", "outbox": []}
            for n in range(count - 1)
        ]
        await raw_bookings().insert_many(copies)
        return [self.customer.id, *(copy["_id"] for copy in copies)]

    async def rows(self, change_id: str, **search: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await self.office.call("GET", f"/{change_id}/rows", params={"limit": 7} | search | cursor)).json()
            found += page["items"]
            if not page["next_cursor"]:
                return found
            cursor = {"cursor": page["next_cursor"]}


@pytest.fixture
def crowd(customer: Customer, office: Office) -> Crowd:
    return Crowd(customer, office)


async def test_a_run_has_a_row_for_each_booking(crowd: Crowd, office: Office, bus: Bus):
    ids = await crowd.buy(20)
    unreachable = {"email": None, "sealed_email": None, "holder": {"user_id": "erased-x"}}
    await raw_bookings().update_one({"_id": ids[3]}, {"$set": unreachable})
    change = await office.planned()
    await office.call("POST", f"/{change['id']}/commit")
    cancelled = {"showtime_id": crowd.customer.showtime_id, "reason": "technical", "change_id": change["id"]}
    await bus.publish(ShowtimeCancelled.model_validate(cancelled))
    done = await office.wait_for(change["id"], "done")
    assert done["rows"] == {"done": 19, "needs_person": 1}
    rows = await crowd.rows(change["id"])
    assert [row["booking_id"] for row in rows] == sorted(ids)
    assert [(row["booking_id"], row["reason"]) for row in await crowd.rows(change["id"], state="needs_person")] == [
        (ids[3], "no_address")
    ]
    states = await raw_bookings().distinct("state", {"showtime_id": crowd.customer.showtime_id})
    assert states == ["refunding"]
    late = await office.call("POST", f"/{change['id']}/resume")
    assert (late.status_code, late.json()["state"]) == (202, "done")
    again = await office.call("GET", f"?showtime_id={crowd.customer.showtime_id}")
    assert [each["rows"] for each in again.json()["items"] if each["id"] == change["id"]] == [done["rows"]]


async def test_a_booking_that_fails_does_not_stop_the_others_and_is_tried_again(
    crowd: Crowd, office: Office, bus: Bus, state: Any, monkeypatch: pytest.MonkeyPatch
):
    ids = await crowd.buy(5)
    advance = state.manager.advance

    async def fails_once(booking_id: str, trigger: Trigger, **options: Any) -> Any:
        if booking_id == ids[2]:
            raise BookingBusy(retry_after=1)
        return await advance(booking_id, trigger, **options)

    monkeypatch.setattr(state.manager, "advance", fails_once)
    starts_at = next_mark(30)
    await bus.publish(examples.rescheduled(crowd.customer.showtime_id, starts_at))

    async def failed() -> dict[str, Any]:
        changes = (await office.call("GET", params={"showtime_id": crowd.customer.showtime_id})).json()["items"]
        return next((change for change in changes if change["rows"] == {"done": 4, "failed": 1}), {})

    change = await until(failed)
    assert (change["state"], change["kind"], change["impact"]) == ("running", "move", None), "it had no dry run"
    [row] = await crowd.rows(change["id"], state="failed")
    assert (row["booking_id"], row["reason"]) == (ids[2], "BookingBusy")
    monkeypatch.setattr(state.manager, "advance", advance)
    await office.call("POST", f"/{change['id']}/resume")
    assert (await office.wait_for(change["id"], "done"))["rows"] == {"done": 5}
    for booking_id in ids:
        told = bus.events(BookingRescheduled, lambda event, booking_id=booking_id: event.booking_id == booking_id)
        assert len({event.moves for event in told}) == 1


async def test_a_run_that_was_killed_goes_on_where_it_stopped(
    crowd: Crowd, office: Office, state: Any, monkeypatch: pytest.MonkeyPatch
):
    ids = await crowd.buy(24)
    change = await office.planned()
    await office.call("POST", f"/{change['id']}/commit")
    event = ShowtimeCancelled(showtime_id=crowd.customer.showtime_id, reason="technical", change_id=change["id"])
    await state.showtimes.cancel(event, "unused")
    advance, seen = state.manager.advance, list[str]()

    async def killed_later(booking_id: str, trigger: Trigger, **options: Any) -> Any:
        seen.append(booking_id)
        if len(seen) == 20:
            raise Killed
        return await advance(booking_id, trigger, **options)

    monkeypatch.setattr(state.manager, "advance", killed_later)
    with pytest.raises(Killed):
        await state.showtimes.cascade(crowd.customer.showtime_id)
    rows = (await office.get(change["id"]))["rows"]
    assert rows == {"done": 16, "pending": 8}, "the rows of complete groups are settled"
    seen.clear()
    monkeypatch.setattr(state.manager, "advance", advance)
    assert await state.showtimes.cascade(crowd.customer.showtime_id)
    assert (await office.get(change["id"]))["rows"] == {"done": len(ids)}
    left = {"showtime_id": crowd.customer.showtime_id, "state": {"$ne": "refunding"}}
    assert await raw_bookings().count_documents(left) == 0
