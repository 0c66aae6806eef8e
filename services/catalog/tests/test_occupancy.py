"""How full a showtime is, from inventory's events in whatever order they come."""

import asyncio
from datetime import timedelta
from itertools import count

import pytest
from catalog import store
from catalog.model.occupancy import FORGET_ENDED_HOLD_AFTER, availability, claim_of
from catalog.store import occupancy
from chassis.clock import now
from chassis.testing import until
from contracts.inventory import HoldChanged, SeatsBlocked, SeatsHeld, SeatsReleased, SeatsSold, SeatsUnblocked
from contracts.types import Holder, Seat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import WriteError

pytestmark = pytest.mark.usefixtures("client")
NAMES = [f"F{number}" for number in range(1, 11)]
START = now()
numbers = count(1)


def seats(many):
    return [Seat(seat_id=f"F{number}", row="F", number=number, category="standard") for number in range(1, many + 1)]


def held(showtime, many, hold="h"):
    return SeatsHeld(
        hold_id=hold, showtime_id=showtime, seats=seats(many), holder=Holder(user_id="u"), expires_at=START
    )


def changed(showtime, many, revision, hold="h"):
    return HoldChanged(
        hold_id=hold, showtime_id=showtime, revision=revision, seats=seats(many), added=[], dropped=[], expires_at=START
    )


def sold(showtime, many, hold="h"):
    return SeatsSold(hold_id=hold, showtime_id=showtime, seats=NAMES[:many])


def released(showtime, reason, hold="h"):
    return SeatsReleased(hold_id=hold, showtime_id=showtime, seats=NAMES[:1], reason=reason)


ANY = "any"
LIVES = {
    "held": ([held(ANY, 3)], (3, 0)),
    "changed": ([held(ANY, 3), changed(ANY, 2, 1), changed(ANY, 4, 2)], (4, 0)),
    "lapsed": ([held(ANY, 3), released(ANY, "lapsed")], (0, 0)),
    "sold": ([held(ANY, 3), sold(ANY, 3)], (3, 3)),
    "refunded": ([held(ANY, 3), sold(ANY, 3), released(ANY, "cancelled")], (0, 0)),
    "paid late": ([held(ANY, 3), released(ANY, "lapsed"), sold(ANY, 3)], (3, 3)),
    "paid late and refunded": (
        [held(ANY, 2), released(ANY, "lapsed"), sold(ANY, 2), released(ANY, "cancelled")],
        (0, 0),
    ),
    "blocked": ([SeatsBlocked(showtime_id=ANY, block_id="b", seats=NAMES * 5, reason="lamp")], (50, 0)),
    "unblocked": (
        [
            SeatsBlocked(showtime_id=ANY, block_id="b", seats=NAMES, reason="lamp"),
            SeatsUnblocked(showtime_id=ANY, block_id="b", seats=NAMES),
        ],
        (0, 0),
    ),
}


@pytest.fixture(autouse=True, scope="module")
def _at_once():
    """What takes a second in the service takes less here; that it goes together stays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(occupancy, "LINGER_S", 0.05)
        yield


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(LIVES)), data=st.data())
async def test_events_in_any_order_and_repeated_come_to_the_same(name, data):
    events, expected = LIVES[name]
    said = [(event, START + timedelta(seconds=second)) for second, event in enumerate(events)]
    repeated = data.draw(st.permutations(said + data.draw(st.lists(st.sampled_from(said), max_size=3))))
    showtime = f"show-{next(numbers)}"
    written = data.draw(st.integers(0, len(repeated)), label="how many are written before the others come")
    for part in (repeated[:written], repeated[written:]):
        await asyncio.gather(*(store.mark_seats(showtime, *claim_of(event, at), at) for event, at in part))
    assert await store.occupancy_of([showtime]) == {showtime: expected}


async def test_the_events_of_many_holds_add_up_on_the_way_through_the_broker(bus):
    showtime = f"show-{next(numbers)}"
    for number in range(30):
        hold = f"hold-{number}"
        await bus.say(held(showtime, 2, hold))
        if number % 3 == 0:
            await bus.say(sold(showtime, 2, hold), time=now() + timedelta(seconds=1))
        if number % 3 == 1:
            await bus.say(released(showtime, "released", hold), time=now() + timedelta(seconds=1))

    async def all_counted():
        return await store.occupancy_of([showtime]) == {showtime: (40, 20)}

    await until(all_counted)


async def test_what_is_said_of_a_showtime_within_a_moment_is_one_write_and_acknowledged_after_it(bus):
    showtime, database = f"show-{next(numbers)}", store.Occupancy.get_pymongo_collection().database
    await database.command("profile", 2)
    marks = [
        asyncio.create_task(store.mark_seats(showtime, *claim_of(held(showtime, 2, f"h{number}"), START), START))
        for number in range(50)
    ]
    await asyncio.sleep(0)
    assert await store.occupancy_of([showtime]) == {}
    assert not any(mark.done() for mark in marks)
    await asyncio.gather(*marks)
    await database.command("profile", 0)
    assert await store.occupancy_of([showtime]) == {showtime: (100, 0)}
    wrote = await database["system.profile"].count_documents({"op": "update", "command.q._id": showtime})
    await database["system.profile"].drop()
    assert wrote == 1


async def test_what_is_said_of_many_showtimes_within_a_moment_is_one_command():
    showtimes = [f"show-{next(numbers)}" for _ in range(50)]
    before = await update_commands()
    await asyncio.gather(*(store.mark_seats(each, *claim_of(held(each, 2), START), START) for each in showtimes))
    # Some room for what the service writes for itself meanwhile.
    assert await update_commands() - before < len(showtimes) / 2
    assert await store.occupancy_of(showtimes) == dict.fromkeys(showtimes, (2, 0))


async def update_commands() -> int:
    """How many of them the server has carried out so far."""
    client = store.Occupancy.get_pymongo_collection().database.client
    return (await client.admin.command("serverStatus"))["metrics"]["commands"]["update"]["total"]


async def test_a_write_that_fails_fails_for_all_who_wait_for_it_and_can_be_repeated():
    showtime, broken = f"show-{next(numbers)}", f"show-{next(numbers)}"
    occupancies = store.Occupancy.get_pymongo_collection()
    await occupancies.insert_one({"_id": broken, "claims": {"x": {"held": "no list"}}})
    marks = [
        store.mark_seats(each, *claim_of(held(each, 2, hold), START), START)
        for each, hold in ((broken, "a"), (broken, "b"), (showtime, "c"))
    ]
    first, second, other = await asyncio.gather(*marks, return_exceptions=True)
    assert isinstance(first, WriteError)
    assert isinstance(second, WriteError)
    assert other is None, "another showtime's write is not harmed"
    await occupancies.delete_one({"_id": broken})
    await store.mark_seats(broken, *claim_of(held(broken, 2, "a"), START), START)
    assert await store.occupancy_of([broken, showtime]) == {broken: (2, 0), showtime: (2, 0)}


async def test_who_gives_up_waiting_leaves_the_others_theirs():
    showtime = f"show-{next(numbers)}"
    impatient, patient = (
        asyncio.create_task(store.mark_seats(showtime, *claim_of(held(showtime, 2, hold), START), START))
        for hold in ("a", "b")
    )
    await asyncio.sleep(0)
    impatient.cancel()
    await patient
    assert await store.occupancy_of([showtime]) == {showtime: (4, 0)}


async def test_what_is_long_over_is_let_go_but_sales_are_not():
    showtime, long_ago = f"show-{next(numbers)}", START - FORGET_ENDED_HOLD_AFTER - timedelta(minutes=1)

    async def mark(event, said_at):
        await store.mark_seats(showtime, *claim_of(event, said_at), said_at)

    await mark(held(showtime, 2, "lapsed"), long_ago)
    await mark(released(showtime, "lapsed", "lapsed"), long_ago)
    await mark(sold(showtime, 2, "refunded"), long_ago)
    await mark(released(showtime, "cancelled", "refunded"), long_ago + timedelta(seconds=1))
    await mark(held(showtime, 1, "fresh"), START)
    kept = await store.Occupancy.get_pymongo_collection().find_one({"_id": showtime})
    assert kept and set(kept["claims"]) == {"refunded", "fresh"}
    await mark(sold(showtime, 2, "refunded"), long_ago)
    assert await store.occupancy_of([showtime, "unknown"]) == {showtime: (1, 0)}


def test_bands():
    bands = {taken: availability(taken, 100) for taken in (0, 49, 50, 89, 90, 99, 100, 101)}
    assert bands == {
        0: "plenty", 49: "plenty", 50: "filling", 89: "filling", 90: "few_left", 99: "few_left", 100: "sold_out",
        101: "sold_out",
    }  # fmt: skip
