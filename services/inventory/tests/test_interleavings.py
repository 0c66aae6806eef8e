"""Random orders of buyers' steps, sequential and concurrent."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest
from chassis.clock import now
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from .stage import SEATS, NewStage, Stage, Step, steps


class Rules:
    """An independent implementation of the rules, against which random orders are checked."""

    def __init__(self) -> None:
        self.owner: dict[str, str] = {}
        self.held: set[str] = set()
        self.lapsed: set[str] = set()
        self.pinned: set[str] = set()
        self.over: set[str] = set()
        self.sold: set[str] = set()
        self.closed: set[str] = set()
        self.ended: set[str] = set()
        self.is_cancelled = False
        self.answers: list[tuple[str, str]] = []
        self.known: set[str] = set()

    def run(self, step: Step) -> None:
        verb, buyer = step
        if verb in {"hold", "sweep", "close_showtime"} or buyer in self.known:
            getattr(self, verb)(buyer)

    def can_have(self, buyer: str) -> bool:
        others = [self.owner[seat] for seat in SEATS[buyer] if self.owner.get(seat, buyer) != buyer]
        return all(other in self.over and other in self.held for other in others)

    def get(self, buyer: str) -> None:
        self.owner |= dict.fromkeys(SEATS[buyer], buyer)
        self.over.discard(buyer)

    def lose(self, buyer: str) -> None:
        self.owner = {seat: owner for seat, owner in self.owner.items() if owner != buyer}
        for things in (self.held, self.pinned, self.over, self.sold):
            things.discard(buyer)

    def hold(self, buyer: str) -> None:
        if buyer not in self.known and not self.is_cancelled and self.can_have(buyer):
            self.known.add(buyer)
            self.held.add(buyer)
            self.get(buyer)

    def release(self, buyer: str) -> None:
        if buyer in self.held - self.pinned:
            self.lose(buyer)

    def time_passes(self, buyer: str) -> None:
        self.over |= {buyer} & self.held

    def sweep(self, _: str) -> None:
        self.lapsed |= self.over
        for buyer in [*self.over]:
            self.lose(buyer)

    def pin(self, buyer: str) -> None:
        if buyer in self.pinned | self.sold | self.closed | self.ended:
            return
        if self.is_cancelled or not self.can_have(buyer) or buyer not in self.held | self.lapsed:
            self.answers.append((buyer, "refused"))
            self.expire(buyer)
        else:
            self.get(buyer)
            self.held.add(buyer)
            self.pinned.add(buyer)

    def pay(self, buyer: str) -> None:
        if buyer in self.sold:
            return
        if self.is_cancelled or buyer in self.ended or not self.can_have(buyer):
            self.answers.append((buyer, "rejected"))
            self.cancel(buyer)
        else:
            self.lose(buyer)
            self.get(buyer)
            self.sold.add(buyer)
            self.answers.append((buyer, "sold"))

    def expire(self, buyer: str) -> None:
        if buyer not in self.sold | self.closed | self.ended:
            self.lose(buyer)
            self.closed.add(buyer)

    def cancel(self, buyer: str) -> None:
        if buyer not in self.ended:
            self.lose(buyer)
            self.ended.add(buyer)

    def close_showtime(self, _: str) -> None:
        self.is_cancelled = True
        for buyer in self.held - self.pinned:
            self.lose(buyer)

    def owners(self) -> dict[str, str]:
        return {seat: f"{who} {'sold' if who in self.sold else 'held'}" for seat, who in sorted(self.owner.items())}


buyers = st.sampled_from(["ada", "ada", "ben", "cleo"])
verbs = st.sampled_from(["hold", "pin", "pay", "expire", "cancel", "release", "time_passes"])
buyers_step, showtimes_step = st.tuples(verbs, buyers), st.sampled_from([("sweep", ""), ("close_showtime", "")])
any_step = st.one_of(buyers_step, buyers_step, buyers_step, showtimes_step)
contending = steps(
    "ada pin, ada pay, ada expire, ada cancel, ada release, ada time_passes, ben hold, ben pay, cleo hold, sweep"
)
contenders = st.lists(st.sampled_from(contending), min_size=3, max_size=5, unique=True)


@given(plan=st.lists(any_step, min_size=6, max_size=25))
@example(plan=steps("ada hold, ada time_passes, ben hold, ben pin, ada pin, ben expire, ada pay, ben pay"))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_random_orders_do_what_the_rules_say(new_stage: NewStage, plan: Sequence[Step]):
    """Compares the seats, the answers and the broadcast seats after each step."""
    stage, rules = await new_stage(), Rules()
    owners: dict[str, str] = {}
    for step in [("hold", "ada"), *plan]:
        before, shown = owners, stage.committed.broadcaster.enqueued[stage.showtime_id]
        shown.clear()
        await stage.run(step)
        rules.run(step)
        owners = await stage.owners()
        assert owners == rules.owners(), step
        for buyer in SEATS:
            assert stage.answers(buyer) == [answer for who, answer in rules.answers if who == buyer], step
        changed = {seat for seat in before.keys() | owners.keys() if before.get(seat) != owners.get(seat)}
        assert changed <= {seat for seats in shown for seat in seats}, step


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> random.Random:
    """A random delay between each read of a decision and its write."""
    from inventory.store import checkout, holds, read  # noqa: PLC0415 - its settings come from inventory_env

    dice = random.Random()  # noqa: S311 - dice, not a secret

    async def read_slowly(showtime_id: str) -> Any:
        found = await read(showtime_id)
        await asyncio.sleep(dice.random() * 0.01)
        return found

    monkeypatch.setattr(checkout, "read", read_slowly)
    monkeypatch.setattr(holds, "read", read_slowly)
    return dice


@given(
    before=st.sampled_from(["ada hold", "ada hold, ada pin", "ada hold, ada release", "ada hold, ada pin, ada pay"]),
    rounds=st.lists(st.one_of(contenders, st.lists(any_step, min_size=3, max_size=8)), min_size=1, max_size=3),
    seed=st.integers(0, 999),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_happens_at_once_is_right(
    new_stage: NewStage, slow: random.Random, before: str, rounds: Sequence[Sequence[Step]], seed: int
):
    from inventory.store import read  # noqa: PLC0415 - its settings come from inventory_env

    stage = await new_stage()
    slow.seed(seed)
    for step in steps(before):
        await stage.run(step)
    paid, cancelled = {"ada"} if "pay" in before else set[str](), set[str]()

    async def take(step: Step) -> None:
        await asyncio.sleep(slow.random() * 0.01)
        await stage.run(step)

    for plan in rounds:
        known = {*stage.ids}
        await asyncio.gather(*map(take, plan))
        paid |= {buyer for verb, buyer in plan if verb == "pay" and buyer in known}
        cancelled |= {buyer for verb, buyer in plan if verb == "cancel" and buyer in stage.ids}
        await check(stage, await read(stage.showtime_id), paid, cancelled)


async def check(stage: Stage, showtime: Any, paid: set[str], cancelled: set[str]) -> None:
    """Check what must be true at any moment."""
    for hold in showtime.holds:
        assert not showtime.is_sold(hold.id)
        if hold.is_live(now()):
            assert showtime.seats_of(hold.id) == hold.seats
    for each in showtime.taken.values():
        assert each.state == "sold" or showtime.hold(each.by), "a seat is held without a hold"
    for buyer in stage.ids:
        answers, booking_id = stage.answers(buyer), stage.ids[buyer]
        own, has_money = showtime.seats_of(booking_id), answers.count("sold") == 1
        assert answers.count("sold") <= 1
        if booking_id in showtime.ended:
            assert own == []
        elif has_money:
            assert (own, showtime.is_sold(booking_id)) == (SEATS[buyer], True)
        if buyer in paid:
            assert {"sold", "rejected"} & {*answers}, "a payment without an answer"
        if buyer not in cancelled:
            assert not {"sold", "rejected"} <= {*answers}


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_a_late_payment_between_the_read_and_the_write_of_a_cancellation(new_stage: NewStage, is_guarded: bool):
    """Without the guard, the booking ends with seats that can never be released."""
    from inventory.main import replica  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.store import read  # noqa: PLC0415
    from inventory.store.holds import release_seats  # noqa: PLC0415

    stage = await new_stage()
    for step in steps("ada hold, ada release"):
        await stage.run(step)
    as_read = await read(stage.showtime_id)
    await stage.pay("ada")
    guarded = SEATS["ada"] if is_guarded else []
    is_written = await release_seats(replica, as_read, stage.ids["ada"], guarded_seats=guarded, record_in="ended")
    assert is_written is not is_guarded
    await stage.cancel("ada")
    assert await stage.owners() == ({} if is_guarded else dict.fromkeys(SEATS["ada"], "ada sold"))
