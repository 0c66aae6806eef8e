"""Who gets the seats when money, cancellation, lapse and other buyers come in any order.

The steps go to the handlers and the store directly, one after the other, so that an order is an order; then at once.
Time passes when a hold's deadline is moved into the past.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from chassis.clock import now
from chassis.ids import new_id
from contracts.booking import BookingCancelled, BookingExpired, PaymentRequested
from contracts.catalog import ShowtimeCancelled
from contracts.payment import PaymentSucceeded
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from .conftest import GUEST, Box, Committed

SEATS = {"ada": ["A1", "A2"], "ben": ["A2", "A3"], "cleo": ["A1", "A2", "A3"]}
ANSWERS = {"seats_sold": "sold", "sale_rejected": "rejected", "seats_released": "refused"}
Step = tuple[str, str]


class Stage:
    """One showtime, its buyers, and what inventory does and answers."""

    def __init__(self, showtime_id: str, committed: Committed) -> None:
        self.showtime_id, self.committed = showtime_id, committed
        self.ids: dict[str, str] = {}

    async def take(self, step: Step) -> None:
        """One step of one buyer; of one without a hold, nothing."""
        verb, buyer = step
        if verb in {"hold", "sweep", "close_showtime"} or buyer in self.ids:
            await getattr(self, verb)(buyer)

    async def hold(self, buyer: str) -> None:
        from inventory import model, settings, store  # noqa: PLC0415 - its settings come from inventory_env

        if buyer in self.ids:
            return
        try:
            limits = settings.get().limits
            held = await store.hold(self.showtime_id, GUEST, SEATS[buyer], limits, is_new_holder=True)
        except (model.SeatsTaken, model.SalesClosed):
            return
        self.ids[buyer] = held.id

    async def release(self, buyer: str) -> None:
        from inventory import model, store  # noqa: PLC0415 - its settings come from inventory_env

        try:
            await store.release(self.ids[buyer], lambda _: True)
        except (model.HoldUnknown, model.HoldInCheckout):
            return

    async def time_passes(self, buyer: str) -> None:
        """The hold's time is over."""
        from inventory.store import Showtime, read  # noqa: PLC0415 - its settings come from inventory_env

        held = [seat for seat, each in (await read(self.showtime_id)).taken.items() if each.by == self.ids[buyer]]
        if (await read(self.showtime_id)).hold(self.ids[buyer]) is not None:
            past = now() - timedelta(seconds=1)
            await Showtime.collection().update_one(
                {"_id": self.showtime_id, "holds.id": self.ids[buyer]},
                {"$set": {"holds.$.expires_at": past} | {f"taken.{seat}.until": past for seat in held}},
            )

    async def sweep(self, _: str) -> None:
        from inventory.store import lapse, read  # noqa: PLC0415 - its settings come from inventory_env

        for hold in (await read(self.showtime_id)).holds:
            await lapse(self.showtime_id, hold.id)

    async def pin(self, buyer: str) -> None:
        deadline = now() + timedelta(minutes=10)
        more = {"email": "a@usher.example", "reference": "R1", "amount": 1, "currency": "EUR"}
        facts = self._facts(buyer) | more | {"payment_deadline_at": deadline}
        await self._handle(PaymentRequested.model_validate(facts))

    async def pay(self, buyer: str) -> None:
        await self._handle(PaymentSucceeded.model_validate(self._facts(buyer) | {"amount": 1, "currency": "EUR"}))

    async def expire(self, buyer: str) -> None:
        await self._handle(BookingExpired.model_validate(self._facts(buyer)))

    async def cancel(self, buyer: str) -> None:
        await self._handle(BookingCancelled.model_validate(self._facts(buyer) | {"reason": "by_customer"}))

    async def close_showtime(self, _: str) -> None:
        await self._handle(ShowtimeCancelled(showtime_id=self.showtime_id, reason="technical"))

    async def _handle(self, event: Any) -> None:
        from inventory.reactions import REACTIONS  # noqa: PLC0415 - its settings come from inventory_env

        await REACTIONS[type(event)](event)

    def _facts(self, buyer: str) -> dict[str, Any]:
        return {
            "booking_id": self.ids[buyer],
            "showtime_id": self.showtime_id,
            "seats": SEATS[buyer],
            "holder": GUEST,
        }

    async def owners(self) -> dict[str, str]:
        """By seat, whose it is and how, e.g. `ada sold`."""
        from inventory.store import read  # noqa: PLC0415 - its settings come from inventory_env

        names = {hold_id: buyer for buyer, hold_id in self.ids.items()}
        taken = (await read(self.showtime_id)).taken
        return {seat: f"{names[each.by]} {each.state}" for seat, each in sorted(taken.items())}

    def answers(self, buyer: str) -> list[str]:
        """What inventory published about the buyer's booking, in the order of the writes."""
        mine = self.ids.get(buyer)
        return [ANSWERS[kind] for kind, subject in self.committed.events if subject == mine]


NewStage = Callable[[], Awaitable[Stage]]


@pytest.fixture
async def new_stage(box: Box, committed: Committed, monkeypatch: pytest.MonkeyPatch) -> NewStage:
    """Makes copies of a showtime that is on sale. Holds lapse in it only when a step says so."""
    from inventory import store  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.store import Showtime, read  # noqa: PLC0415

    async def nothing_yet(_: datetime) -> list[tuple[str, str]]:
        return []

    monkeypatch.setattr(store, "lapsed_holds", nothing_yet)
    pattern = await read(box.showtime_id)

    async def make() -> Stage:
        copy = pattern.model_copy(update={"id": new_id()})
        assert await Showtime.add(copy)
        return Stage(copy.id, committed)

    return make


def steps(text: str) -> list[Step]:
    """`ada hold, ben pay, sweep` as steps."""
    parts = [part.split() for part in text.split(", ")]
    return [(part[1], part[0]) if len(part) == 2 else (part[0], "") for part in parts]


HELD, SOLD = {"A1": "ada held", "A2": "ada held"}, {"A1": "ada sold", "A2": "ada sold"}
BENS = {"A2": "ben held", "A3": "ben held"}
ORDERS: list[tuple[str, dict[str, str], list[str]]] = [
    # the order of a good day, and each overtaking
    ("ada pin, ada pay", SOLD, ["sold"]),
    ("ada pay, ada pin", SOLD, ["sold"]),
    ("ada pin, ada time_passes, sweep, ada pay", SOLD, ["sold"]),
    # a hold whose time is over when its checkout is made known
    ("ada time_passes, ada pin", HELD, []),
    ("ada time_passes, sweep, ada pin", HELD, []),
    ("ada release, ada pin, ada pay", SOLD, ["sold"]),
    ("ada time_passes, ben hold, ada pin", BENS, ["refused"]),
    ("ada time_passes, ben hold, sweep, ada pin", BENS, ["refused"]),
    ("ada time_passes, ben hold, ben release, ada pin", HELD, []),
    ("ada time_passes, ben hold, ada pin, ben release, ada pin", {}, ["refused"]),
    ("ada time_passes, ben hold, ada pin, ben release, ada pay", SOLD, ["refused", "sold"]),
    # money after the time, with and without another buyer
    ("ada time_passes, ada pay", SOLD, ["sold"]),
    ("ada time_passes, sweep, ada pay", SOLD, ["sold"]),
    ("ada time_passes, ben hold, ada pay", BENS, ["rejected"]),
    ("ada time_passes, ben hold, ada pay, ben release, ada pay", {}, ["rejected", "rejected"]),
    ("ada time_passes, ben hold, ada pay, ada pin", BENS, ["rejected"]),
    ("ada time_passes, ben hold, ben time_passes, ada pay, ben pay", SOLD, ["sold"]),
    # booking.expired around money and checkout
    ("ada pin, ada expire", {}, []),
    ("ada pin, ada expire, ada pay", SOLD, ["sold"]),
    ("ada pin, ada pay, ada expire", SOLD, ["sold"]),
    ("ada pin, ada expire, ben hold, ada pay", BENS, ["rejected"]),
    ("ada expire, ada pin", {}, []),
    ("ada expire, ada pin, ada pay", SOLD, ["sold"]),
    ("ada expire, ada pay, ada pin", SOLD, ["sold"]),
    # booking.cancelled around money and checkout
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
        await stage.take(step)
    assert (await stage.owners(), stage.answers("ada")) == (owners, answers)


@pytest.mark.parametrize("text, owners, answers", ORDERS, ids=[order[0] for order in ORDERS])
async def test_every_order_with_each_step_twice(
    new_stage: NewStage, text: str, owners: dict[str, str], answers: list[str]
):
    """A rejection is said once more, so that no money stays; all else is done and said once."""
    stage = await new_stage()
    for step in steps(f"ada hold, {text}"):
        await stage.take(step)
        await stage.take(step)
    assert await stage.owners() == owners
    twice = [answer for each in answers for answer in [each] * (2 if each == "rejected" else 1)]
    assert stage.answers("ada") == twice


class Rules:
    """The same rules, told in another way: the model against which random orders are checked."""

    def __init__(self) -> None:
        self.owner: dict[str, str] = {}
        self.held: set[str] = set()
        self.pinned: set[str] = set()
        self.over: set[str] = set()
        self.sold: set[str] = set()
        self.closed: set[str] = set()
        self.ended: set[str] = set()
        self.is_cancelled = False
        self.said: list[tuple[str, str]] = []
        self.known: set[str] = set()

    def take(self, step: Step) -> None:
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
        for buyer in [*self.over]:
            self.lose(buyer)

    def pin(self, buyer: str) -> None:
        if buyer in self.pinned | self.sold | self.closed | self.ended:
            return
        if self.is_cancelled or not self.can_have(buyer):
            self.said.append((buyer, "refused"))
            self.expire(buyer)
        else:
            self.get(buyer)
            self.held.add(buyer)
            self.pinned.add(buyer)

    def pay(self, buyer: str) -> None:
        if buyer in self.sold:
            return
        if self.is_cancelled or buyer in self.ended or not self.can_have(buyer):
            self.said.append((buyer, "rejected"))
            self.cancel(buyer)
        else:
            self.lose(buyer)
            self.get(buyer)
            self.sold.add(buyer)
            self.said.append((buyer, "sold"))

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
    """After each step: the seats, the answers, and what somebody sees who saw every change."""
    stage, rules = await new_stage(), Rules()
    for step in [("hold", "ada"), *plan]:
        await stage.take(step)
        rules.take(step)
        owners = await stage.owners()
        assert owners == rules.owners(), step
        for buyer in SEATS:
            assert stage.answers(buyer) == [said for who, said in rules.said if who == buyer], step
        seen = stage.committed.states(stage.showtime_id)
        assert seen == {seat: each.split()[1] for seat, each in owners.items()}, step


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> random.Random:
    """Some time passes between each read of a decision and its write: as much as these dice say."""
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
        await stage.take(step)
    paid, cancelled = {"ada"} if "pay" in before else set[str](), set[str]()

    async def take(step: Step) -> None:
        await asyncio.sleep(slow.random() * 0.01)
        await stage.take(step)

    for plan in rounds:
        known = {*stage.ids}
        await asyncio.gather(*map(take, plan))
        paid |= {buyer for verb, buyer in plan if verb == "pay" and buyer in known}
        cancelled |= {buyer for verb, buyer in plan if verb == "cancel" and buyer in stage.ids}
        await check(stage, await read(stage.showtime_id), paid, cancelled)


async def check(stage: Stage, showtime: Any, paid: set[str], cancelled: set[str]) -> None:
    """What must hold at any moment, whatever came before."""
    for hold in showtime.holds:
        assert not showtime.is_sold(hold.id)
        if hold.is_live(now()):
            assert showtime.owned(hold.id) == hold.seats
    for each in showtime.taken.values():
        assert each.state == "sold" or showtime.hold(each.by), "a seat is held without a hold"
    for buyer in stage.ids:
        said, booking_id = stage.answers(buyer), stage.ids[buyer]
        own, has_money = showtime.owned(booking_id), said.count("sold") == 1
        assert said.count("sold") <= 1
        if booking_id in showtime.ended:
            assert own == []
        elif has_money:
            assert (own, showtime.is_sold(booking_id)) == (SEATS[buyer], True)
        if buyer in paid:
            assert {"sold", "rejected"} & {*said}, "money without an answer"
        if buyer not in cancelled:
            assert not {"sold", "rejected"} <= {*said}


Meanwhile = Callable[[Callable[[], Awaitable[object]]], None]


async def test_seats_that_are_kept_late_are_shown_again(new_stage: NewStage):
    """People saw them free in a seat map."""
    stage = await new_stage()
    for step in steps("ada hold, ada time_passes, ada pin"):
        await stage.take(step)
    assert stage.committed.shown[stage.showtime_id] == [{"A1": "held", "A2": "held"}] * 2


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Called, it puts something between the next read of a decision and its write."""
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
    """What `happens` between the read and the write of what ada's step `decides`, and ada's answers after it."""

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
    Race("ada time_passes, sweep", "pay", "ada pay", "owner_stands_as_read", ["sold", "sold"], ["sold"], SOLD),
    Race("ada pin", "expire", "ada pay", "owner_stands_as_read", ["sold"], ["sold"], SOLD),
    Race("ada time_passes, sweep", "pin", "ben hold", "seats_are_free", [], ["refused"], BENS),
    Race("ada time_passes, sweep", "pin", "ada pay", "seats_are_free", ["sold"], ["sold"], SOLD),
    Race("ada time_passes, sweep", "pin", "ada expire", "is_not_closed", [], [], {}),
    Race("ada time_passes, sweep", "pin", "ada cancel", "is_not_ended", [], [], {}),
]


async def ends(race: Race, stage: Stage, meanwhile: Meanwhile) -> tuple[dict[str, str], list[str]]:
    """Whose the seats are after the race, and ada's answers."""
    for step in steps(f"ada hold, {race.before}"):
        await stage.take(step)
    [other] = steps(race.happens)
    meanwhile(lambda: stage.take(other))
    await stage.take((race.decides, "ada"))
    return await stage.owners(), stage.answers("ada")


@pytest.mark.parametrize("race", RACES, ids=lambda race: f"{race.decides} against {race.happens}")
async def test_without_its_guard_a_race_goes_wrong(
    race: Race, new_stage: NewStage, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
):
    from inventory.store import guards  # noqa: PLC0415 - its settings come from inventory_env

    monkeypatch.setattr(guards, race.guard, lambda *_: {})
    owners, answers = await ends(race, await new_stage(), meanwhile)
    assert answers == race.without
    assert (owners, answers) != (race.owners, race.answers)


@pytest.mark.parametrize("race", RACES, ids=lambda race: f"{race.decides} against {race.happens}")
async def test_with_its_guard_it_goes_right(race: Race, new_stage: NewStage, meanwhile: Meanwhile):
    assert await ends(race, await new_stage(), meanwhile) == (race.owners, race.answers)
