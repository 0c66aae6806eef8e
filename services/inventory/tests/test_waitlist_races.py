"""Races of the waitlist, each with its guard and without it, and the rules of an offer's deadline."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chassis.clock import now
from chassis.ids import new_id
from contracts.booking import Screening
from contracts.catalog import Price
from contracts.types import Holder

from .conftest import ROWS, ShowtimeClient, scheduled
from .stage import GUEST
from .test_couches import auditorium

FREED = ("B4", "B5")
Showtime = Any
"""An inventory.model.WaitingShowtime."""


class Waiting:
    """A full showtime with its waitlist, whose rounds run only as a step of a test."""

    def __init__(self, showtime: ShowtimeClient) -> None:
        self.showtime, self.id = showtime, showtime.showtime_id

    async def join(self, name: str, size: int = 2, **wishes: Any) -> str:
        from inventory import model, settings, store  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.main import replica  # noqa: PLC0415

        moment = now()
        party = model.WaitingParty(
            id=new_id(),
            email=f"{name}@usher.example",
            locale="en",
            joined_at=moment,
            turn=moment,
            **(self._wishes(name, size) | wishes),
        )
        return (await store.join_waitlist(replica, self.id, party, settings.get().limits)).party.id

    def _wishes(self, name: str, size: int) -> dict[str, Any]:
        holder = Holder(secret_hash=name.ljust(64, "0"))
        return {"holder": holder, "smallest": size, "largest": size, "together": True}

    async def free(self, *seats: str) -> None:
        """Drop the seats from the hold that has them."""
        from inventory import settings, store  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.main import replica  # noqa: PLC0415

        row = next(each for each in (await store.read(self.id)).holds if set(seats) <= set(each.seats))
        await store.change_hold(replica, row.id, lambda _: True, settings.get().limits, add=[], drop=seats)

    async def round(self) -> None:
        from inventory.main import replica  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.store import run_round  # noqa: PLC0415

        await run_round(replica, self.id)

    async def leave(self, entry_id: str) -> None:
        from inventory import model, store  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.main import replica  # noqa: PLC0415

        try:
            await store.leave_waitlist(replica, self.id, lambda party: party.id == entry_id)
        except model.NotWaiting:
            return

    async def buy(self, *seats: str) -> bool:
        """Somebody who does not wait asks for the seats."""
        from inventory import model, settings, store  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.main import replica  # noqa: PLC0415

        try:
            await store.hold(replica, self.id, model.HoldOwner(GUEST), seats, settings.get().limits)
        except model.SeatsTaken:
            return False
        return True

    async def read(self) -> Showtime:
        from inventory.store.documents import waiting_showtimes  # noqa: PLC0415 - settings come from inventory_env

        return await waiting_showtimes.get(self.id)


@pytest.fixture
async def waiting(showtime: ShowtimeClient, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    from inventory import store  # noqa: PLC0415 - its settings come from inventory_env

    async def none(_: datetime) -> list[str]:
        return []

    monkeypatch.setattr(store, "with_due_rounds", none)
    for row in ROWS:
        await showtime.held(*[f"{row}{n}" for n in range(1, 11)])
    return Waiting(showtime)


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_a_sale_between_the_freeing_and_the_offer(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch, is_guarded: bool
):
    """Without the condition in the freeing write, the seats are on sale before anybody who waits gets them."""
    from inventory.store import guards  # noqa: PLC0415 - its settings come from inventory_env

    entry = await waiting.join("ada")
    if not is_guarded:
        monkeypatch.setattr(guards, "has_no_waitlist", dict)
    await waiting.free(*FREED)
    assert await waiting.buy(*FREED) is not is_guarded
    await waiting.round()
    party = next(each for each in (await waiting.read()).waitlist if each.id == entry)
    assert (party.hold_id is not None) is is_guarded


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_an_expired_hold_is_not_for_sale_before_its_release(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch, is_guarded: bool
):
    from inventory import store  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.store import guards, showtimes  # noqa: PLC0415

    async def none(_: datetime) -> list[str]:
        return []

    monkeypatch.setattr(store, "with_expired_holds", none)
    await waiting.join("ada")
    past = now() - timedelta(seconds=1)
    row = next(each for each in (await waiting.read()).holds if "B4" in each.seats)
    await showtimes.update(
        {"_id": waiting.id, "holds.id": row.id},
        {"$set": {"holds.$.expires_at": past} | {f"taken.{seat}.until": past for seat in row.seats}},
    )
    if not is_guarded:
        monkeypatch.setattr(guards, "has_no_waitlist", dict)
    assert await waiting.buy(*FREED) is not is_guarded


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_two_replicas_offer_the_same_seats_at_once(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch, is_guarded: bool
):
    """Without the guard, one party gets two offers of the same seats, and one of the holds is worth nothing."""
    from inventory.store import guards, waitlist  # noqa: PLC0415 - its settings come from inventory_env

    await waiting.join("ada")
    await waiting.join("ben")
    await waiting.free(*FREED)
    both = asyncio.Barrier(2)
    read, reads = waitlist.read_waiting, 0

    async def read_together(showtime_id: str) -> Any:
        nonlocal reads
        found, reads = await read(showtime_id), reads + 1
        if reads <= 2:
            await both.wait()
        return found

    monkeypatch.setattr(waitlist, "read_waiting", read_together)
    if not is_guarded:
        monkeypatch.setattr(guards, "round_still_fits", lambda *_: {})
    await asyncio.gather(waiting.round(), waiting.round())
    offers = [hold for hold in (await waiting.read()).holds if hold.is_offer]
    assert len(offers) == (1 if is_guarded else 2)


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_a_party_that_leaves_while_a_round_runs(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch, is_guarded: bool
):
    """Without the guard, the round brings the party back and holds seats for it."""
    from inventory.store import guards, waitlist  # noqa: PLC0415 - its settings come from inventory_env

    entry = await waiting.join("ada")
    await waiting.free(*FREED)
    read, reads = waitlist.read_waiting, 0

    async def read_and_leave(showtime_id: str) -> Any:
        nonlocal reads
        found, reads = await read(showtime_id), reads + 1
        if reads == 1:
            await waiting.leave(entry)
        return found

    monkeypatch.setattr(waitlist, "read_waiting", read_and_leave)
    if not is_guarded:
        monkeypatch.setattr(guards, "round_still_fits", lambda *_: {})
    await waiting.round()
    showtime = await waiting.read()
    assert bool(showtime.waitlist) is not is_guarded
    assert [hold.seats for hold in showtime.holds if hold.is_offer] == ([] if is_guarded else [list(FREED)])
    if is_guarded:
        assert showtime.waitlist_at is None
        assert showtime.taken.keys().isdisjoint(FREED)


@pytest.mark.parametrize("is_narrow", [True, False])
async def test_a_round_gets_its_turn_beside_sales_of_other_seats(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch, is_narrow: bool
):
    """Somebody buys a single seat between each read and write of the round, which waits for two seats side by side."""
    from inventory import model  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.store import guards, waitlist  # noqa: PLC0415
    from inventory.store.documents import ShowtimeDocument  # noqa: PLC0415

    singles = [f"{row}{n}" for row in "ACD" for n in (1, 3, 5, 7, 9)]
    for row in "ACD":
        await waiting.free(*[seat for seat in singles if seat.startswith(row)])
    await waiting.join("ada")
    await waiting.free(*FREED)
    read, versions = waitlist.read_waiting, list[int]()

    async def read_and_sell(showtime_id: str) -> Any:
        row = await ShowtimeDocument.get_pymongo_collection().find_one({"_id": showtime_id})
        assert row
        versions.append(row["version"])
        found = await read(showtime_id)
        assert await waiting.buy(singles.pop())
        return found

    monkeypatch.setattr(waitlist, "read_waiting", read_and_sell)
    if not is_narrow:
        monkeypatch.setattr(guards, "round_still_fits", lambda *_: {"version": versions[-1]})
    if is_narrow:
        await waiting.round()
        assert [hold.seats for hold in (await waiting.read()).holds if hold.is_offer] == [list(FREED)]
        assert len(singles) == 14
    else:
        with pytest.raises(model.ShowtimeBusy):
            await waiting.round()


async def test_an_ordinary_read_leaves_the_waitlist_out(waiting: Waiting, monkeypatch: pytest.MonkeyPatch):
    """Each release and most sales read the showtime; a long waitlist is ten times as large as the rest."""
    from inventory import store  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.store import showtimes  # noqa: PLC0415

    await waiting.join("ada")
    read, rows = showtimes.row, list[Any]()

    async def recorded(*args: Any) -> Any:
        rows.append(await read(*args))
        return rows[-1]

    monkeypatch.setattr(showtimes, "row", recorded)
    assert (await store.read(waiting.id)).waitlist_at
    assert [row.keys() & {"holds", "waitlist", "outbox"} for row in rows] == [{"holds"}]


async def test_who_has_several_places_leaves_them_all(waiting: Waiting):
    from inventory import store  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.main import replica  # noqa: PLC0415

    user_id, other = new_id(), await waiting.join("ben", 3)
    for name in ("ada", "bea"):
        await waiting.join(name, holder=Holder(user_id=user_id))
    await waiting.free(*FREED)
    await waiting.free("C4", "C5")
    await waiting.round()
    assert sorted(hold.seats for hold in (await waiting.read()).holds if hold.is_offer) == [list(FREED), ["C4", "C5"]]
    await store.erase_waiting(replica, user_id)
    showtime = await waiting.read()
    assert [party.id for party in showtime.waitlist] == [other]
    assert not [hold for hold in showtime.holds if hold.is_offer]


def test_a_round_lets_others_have_their_turn_after_each_search(inventory_env: None, monkeypatch: pytest.MonkeyPatch):
    from inventory.model import MARK, SeatEntry, ShowtimeDetails, WaitingParty, WaitingShowtime, waitlist  # noqa: PLC0415

    searches, search = list[int](), waitlist.best_available

    def counted(auditorium: Any, states: Any, party: Any) -> Any:
        searches.append(party.size)
        return search(auditorium, states, party)

    monkeypatch.setattr(waitlist, "best_available", counted)
    start = AT_NOON + timedelta(hours=9)
    screening = Screening.model_validate(scheduled("s", "l", starts_at=start).model_dump())
    prices = [Price(category="standard", ticket_type="adult", amount=1250)]
    parties = [
        WaitingParty(
            id=f"p{n}",
            holder=GUEST,
            email=f"p{n}@usher.example",
            locale="en",
            smallest=2,
            largest=2 + n,
            together=True,
            joined_at=AT_NOON,
            turn=AT_NOON,
        )
        for n in range(4)
    ]
    hall = auditorium("s.s.s.s.s")
    showtime = WaitingShowtime(
        id="s",
        layout_id="l",
        auditorium_id="a",
        theater_id="t",
        starts_at=start,
        timed_at=AT_NOON,
        sales_open_at=AT_NOON,
        sales_close_at=start,
        waitlist_at=AT_NOON,
        waitlist=parties,
        taken={seat: SeatEntry(by=MARK, state="held") for seat in hall.positions},
    )
    details = ShowtimeDetails(id="s", screening=screening, currency="EUR", prices=prices)
    steps, turns = waitlist.plan_round(showtime, hall, details, AT_NOON, ["h"]), 0
    with pytest.raises(StopIteration) as end:
        while True:
            next(steps)
            turns += 1
            assert len(searches) == turns
    assert turns == 1 + 2 + 3 + 4
    assert (end.value.value.offers, len(end.value.value.on_sale)) == ([], 5)


async def test_a_replica_that_dies_between_the_freeing_and_the_offer(waiting: Waiting):
    """The mark and the due time are in the write that frees the seats: any replica's next job finds them."""
    from inventory.store.waitlist import with_due_rounds  # noqa: PLC0415 - its settings come from inventory_env

    await waiting.join("ada")
    await waiting.round()
    assert waiting.id not in await with_due_rounds(now())
    await waiting.free(*FREED)
    assert waiting.id in await with_due_rounds(now())
    await waiting.round()
    assert [hold.seats for hold in (await waiting.read()).holds if hold.is_offer] == [list(FREED)]
    assert waiting.id not in await with_due_rounds(now())


async def test_at_once_joins_leaves_rounds_and_sales_leave_no_mark(waiting: Waiting):
    """Each offer is a hold of its own seats, and no party has two."""
    entries = [await waiting.join(name, size) for name, size in (("ada", 2), ("ben", 1), ("cleo", 3))]

    async def many(*steps: Any) -> None:
        for step in steps:
            await step
            await asyncio.sleep(0)

    await asyncio.gather(
        many(waiting.free("B4", "B5"), waiting.free("C1", "C2", "C3"), waiting.free("D9")),
        many(waiting.round(), waiting.round(), waiting.leave(entries[0]), waiting.round()),
        many(waiting.round(), waiting.buy("B4"), waiting.buy("C1"), waiting.round()),
    )
    await waiting.round()
    showtime = await waiting.read()
    assert "waitlist" not in {entry.by for entry in showtime.taken.values()}
    offers = {hold.id: hold.seats for hold in showtime.holds if hold.is_offer}
    assert {party.hold_id for party in showtime.waitlist if party.hold_id} == offers.keys()
    for hold_id, seats in offers.items():
        assert showtime.seats_of(hold_id) == seats


AT_NIGHT, AT_NOON = datetime(2026, 11, 21, 22, 30, tzinfo=UTC), datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "starts_in", "lasts"),
    [
        (AT_NOON, 300, 20),
        (AT_NOON, 121, 20),
        (AT_NOON, 120, 5),
        (AT_NOON, 35, 5),
        (AT_NIGHT, 24 * 60, 8 * 60 + 50),  # 23:30 in Berlin until 08:20
        (AT_NIGHT, 180, 20),  # a showtime of the same night
        (AT_NIGHT, 9 * 60 + 10, 8 * 60 + 40),  # until the waitlist closes
    ],
)
def test_how_long_an_offer_lasts(inventory_env: None, moment: datetime, starts_in: int, lasts: int):
    from inventory.model import Showtime, offer_deadline  # noqa: PLC0415 - its settings come from inventory_env

    starts_at = moment + timedelta(minutes=starts_in)
    showtime = Showtime(
        id="s",
        layout_id="l",
        auditorium_id="a",
        theater_id="t",
        starts_at=starts_at,
        timed_at=moment,
        sales_open_at=moment,
        sales_close_at=starts_at,
    )
    assert offer_deadline(moment, showtime, "Europe/Berlin") == moment + timedelta(minutes=lasts)
