"""Who gets the seats when payment, cancellation, expiry and other buyers arrive in any order."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from .stage import NewStage, Stage, steps

HELD, SOLD = {"A1": "ada held", "A2": "ada held"}, {"A1": "ada sold", "A2": "ada sold"}
BENS = {"A2": "ben held", "A3": "ben held"}
ORDERS: list[tuple[str, dict[str, str], list[str]]] = [
    # the usual order, and events that overtake each other
    ("ada pin, ada pay", SOLD, ["sold"]),
    ("ada pay, ada pin", SOLD, ["sold"]),
    ("ada pin, ada time_passes, sweep, ada pay", SOLD, ["sold"]),
    # a hold that has expired when the checkout's event arrives
    ("ada time_passes, ada pin", HELD, []),
    ("ada time_passes, sweep, ada pin", HELD, []),
    ("ada release, ada pin, ada pay", SOLD, ["refused", "sold"]),
    ("ada time_passes, ben hold, ada pin", BENS, ["refused"]),
    ("ada time_passes, ben hold, sweep, ada pin", BENS, ["refused"]),
    ("ada time_passes, ben hold, ben release, ada pin", HELD, []),
    ("ada time_passes, ben hold, ada pin, ben release, ada pin", {}, ["refused"]),
    ("ada time_passes, ben hold, ada pin, ben release, ada pay", SOLD, ["refused", "sold"]),
    # payment after the expiry, with and without another buyer
    ("ada time_passes, ada pay", SOLD, ["sold"]),
    ("ada time_passes, sweep, ada pay", SOLD, ["sold"]),
    ("ada time_passes, ben hold, ada pay", BENS, ["rejected"]),
    ("ada time_passes, ben hold, ada pay, ben release, ada pay", {}, ["rejected", "rejected"]),
    ("ada time_passes, ben hold, ada pay, ada pin", BENS, ["rejected"]),
    ("ada time_passes, ben hold, ben time_passes, ada pay, ben pay", SOLD, ["sold"]),
    # booking.expired before and after payment and checkout
    ("ada pin, ada expire", {}, []),
    ("ada pin, ada expire, ada pay", SOLD, ["sold"]),
    ("ada pin, ada pay, ada expire", SOLD, ["sold"]),
    ("ada pin, ada expire, ben hold, ada pay", BENS, ["rejected"]),
    ("ada expire, ada pin", {}, []),
    ("ada expire, ada pin, ada pay", SOLD, ["sold"]),
    ("ada expire, ada pay, ada pin", SOLD, ["sold"]),
    # booking.cancelled before and after payment and checkout
    ("ada pin, ada cancel", {}, []),
    ("ada pin, ada cancel, ada pay", {}, ["rejected"]),
    ("ada pin, ada pay, ada cancel", {}, ["sold"]),
    ("ada pin, ada pay, ada cancel, ada pay", {}, ["sold", "rejected"]),
    ("ada pin, ada pay, ada cancel, ben hold, ada pay", BENS, ["sold", "rejected"]),
    ("ada pin, ada pay, ada cancel, ben hold, ada cancel", BENS, ["sold"]),
    ("ada cancel, ada pin", {}, []),
    ("ada time_passes, sweep, ada cancel, ada pay", {}, ["rejected"]),
    ("ada expire, ada cancel, ada pay", {}, ["rejected"]),
    ("ada pin, ada pay, ada cancel, ada expire, ada pin", {}, ["sold"]),
    # a cancelled showtime
    ("close_showtime, ada pin", {}, ["refused"]),
    ("ada pin, close_showtime", HELD, []),
    ("ada pin, close_showtime, ada pay", {}, ["rejected"]),
    ("ada pin, close_showtime, ada expire, ada pay", {}, ["rejected"]),
    ("ada pin, ada pay, close_showtime, ada pay", SOLD, ["sold"]),
    ("ada pin, ada pay, close_showtime, ada cancel", {}, ["sold"]),
]


@pytest.mark.parametrize("text, owners, answers", ORDERS, ids=[order[0] for order in ORDERS])
async def test_every_order(new_stage: NewStage, text: str, owners: dict[str, str], answers: list[str]):
    stage = await new_stage()
    for step in steps(f"ada hold, {text}"):
        await stage.run(step)
    assert (await stage.owners(), stage.answers("ada")) == (owners, answers)


@pytest.mark.parametrize("text, owners, answers", ORDERS, ids=[order[0] for order in ORDERS])
async def test_every_order_with_each_step_twice(
    new_stage: NewStage, text: str, owners: dict[str, str], answers: list[str]
):
    """Only a rejection is published again, so that every payment is refunded; everything else happens once."""
    stage = await new_stage()
    for step in steps(f"ada hold, {text}"):
        await stage.run(step)
        await stage.run(step)
    assert await stage.owners() == owners
    twice = [answer for each in answers for answer in [each] * (2 if each == "rejected" else 1)]
    assert stage.answers("ada") == twice


async def test_seats_of_an_expired_hold_that_is_pinned_are_broadcast_again(new_stage: NewStage):
    """Clients have seen them as free in a seat map."""
    stage = await new_stage()
    for step in steps("ada hold, ada time_passes, ada pin"):
        await stage.run(step)
    assert stage.committed.broadcaster.enqueued[stage.showtime_id] == [["A1", "A2"]] * 2


Meanwhile = Callable[[Callable[[], Awaitable[object]]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """A function that runs something between the next read of a decision and its write."""
    from inventory.store import checkout  # noqa: PLC0415 - its settings come from inventory_env

    read = checkout.read

    def put(happens: Callable[[], Awaitable[object]]) -> None:
        async def read_then(showtime_id: str) -> Any:
            monkeypatch.setattr(checkout, "read", read)
            found = await read(showtime_id)
            await happens()
            return found

        monkeypatch.setattr(checkout, "read", read_then)

    return put


class Race(NamedTuple):
    """`happens` runs between the read and the write of ada's step `decides`; `answers` are ada's answers afterwards,
    and `without` those without the guard.
    """

    before: str
    decides: str
    happens: str
    guard: str
    without: list[str]
    answers: list[str]
    owners: dict[str, str]


RACES = [
    Race("ada time_passes, sweep", "pay", "ben hold", "seats_are_free", ["sold"], ["rejected"], BENS),
    Race("ada time_passes, sweep", "pay", "ada cancel", "is_not_ended", ["sold"], ["rejected"], {}),
    Race("ada time_passes, sweep", "pay", "ada pay", "owner_is_unchanged", ["sold", "sold"], ["sold"], SOLD),
    Race("ada pin", "expire", "ada pay", "owner_is_unchanged", ["sold"], ["sold"], SOLD),
    Race("ada time_passes, sweep", "pin", "ben hold", "seats_are_free", [], ["refused"], BENS),
    Race("ada time_passes, sweep", "pin", "ada pay", "seats_are_free", ["sold"], ["sold"], SOLD),
    Race("ada time_passes, sweep", "pin", "ada expire", "is_not_closed", [], [], {}),
    Race("ada time_passes, sweep", "pin", "ada cancel", "is_not_ended", [], [], {}),
]


async def run_race(race: Race, stage: Stage, meanwhile: Meanwhile) -> tuple[dict[str, str], list[str]]:
    """Run the race; return the owners of the seats and ada's answers."""
    for step in steps(f"ada hold, {race.before}"):
        await stage.run(step)
    [other] = steps(race.happens)
    meanwhile(lambda: stage.run(other))
    await stage.run((race.decides, "ada"))
    return await stage.owners(), stage.answers("ada")


@pytest.mark.parametrize("race", RACES, ids=lambda race: f"{race.decides} against {race.happens}")
async def test_without_its_guard_a_race_goes_wrong(
    race: Race, new_stage: NewStage, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
):
    from inventory.store import guards  # noqa: PLC0415 - its settings come from inventory_env

    monkeypatch.setattr(guards, race.guard, lambda *_: {})
    owners, answers = await run_race(race, await new_stage(), meanwhile)
    assert answers == race.without
    assert (owners, answers) != (race.owners, race.answers)


@pytest.mark.parametrize("race", RACES, ids=lambda race: f"{race.decides} against {race.happens}")
async def test_with_its_guard_it_goes_right(race: Race, new_stage: NewStage, meanwhile: Meanwhile):
    assert await run_race(race, await new_stage(), meanwhile) == (race.owners, race.answers)
