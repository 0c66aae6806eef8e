"""Limits of live holds over all showtimes: of a person, a guest and a client network, on any number of replicas."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from chassis.testing.bus import Bus
from chassis.testing.serve import replica_of
from chassis.testing.signer import Signer
from inventory.model import CountedHold, HoldLimits, Limit, NetworkIsFull, TooManyHolds
from prometheus_client import REGISTRY
from pydantic import ValidationError

from .conftest import SECRET, HoldClient, NewShowtime, ShowtimeClient, booking, wait_until_pinned
from .test_api import problem

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LIMIT = Limit(3, 20, TooManyHolds)
addresses = (f"198.51.{third}.{fourth}" for third, fourth in itertools.product(range(100, 200), range(1, 255)))
Visit = Callable[..., ShowtimeClient]


def counted(*holds: tuple[int, int]) -> list[CountedHold]:
    """Live holds by their seats and the minutes that they last."""
    return [CountedHold(seats, NOW + minutes * MINUTE) for seats, minutes in holds]


class TestRules:
    @pytest.mark.parametrize(
        "others, seats, unit, ends",
        [
            (counted(), 10, None, None),
            (counted((10, 1), (5, 1)), 5, None, None),
            (counted((10, 1), (10, 0)), 10, None, None),
            (counted((1, 5), (1, 2), (1, 9)), 1, "holds", 2),
            (counted((10, 5), (6, 2)), 5, "seats", 2),
            (counted((10, 2), (6, 5)), 5, "seats", 2),
            (counted((10, 5), (10, 2)), 10, "seats", 2),
            (counted((2, 1), (10, 5), (8, 9)), 10, "holds", 5),
            (counted((1, 1), (1, 2), (1, 3), (1, 4), (1, 5)), 1, "holds", 3),
            (counted((1, 1)), 21, "seats", None),
        ],
    )
    def test_a_hold_fits_or_the_problem_names_the_limit_and_its_end(
        self, others: Sequence[CountedHold], seats: int, unit: str | None, ends: int | None
    ):
        found = LIMIT.exceeded(others, seats, NOW)
        if unit is None:
            assert found is None
            return
        assert found is not None
        end = {"ends_at": f"2026-11-21T20:0{ends}:00Z", "retry_after": 60 * ends} if ends else {}
        assert found.members == {"unit": unit, "limit": {"holds": 3, "seats": 20}[unit]} | end

    @pytest.mark.parametrize("lapses, seconds", [(0, 480), (3, 480), (4, 240), (5, 120), (6, 60), (99, 60)])
    def test_each_lapse_beyond_the_limit_halves_the_next_holds(self, lapses: int, seconds: int):
        limits = HoldLimits(8 * MINUTE, 15 * MINUTE, 1, LIMIT, Limit(6, 40, NetworkIsFull))
        short = limits.shortened({"user:anna": lapses, "network:x": 6})
        assert (short.hold.total_seconds(), short.cap / limits.cap) == (seconds, seconds / 480)

    def test_the_callers_without_limits_are_named_in_the_settings(self, inventory_env: None):
        from inventory.settings import Settings  # noqa: PLC0415 - its settings come from inventory_env

        one = Settings(hold_limit_exempt="10.1.0.0/16, 192.0.2.7,,2001:db8:1::/48, ::1/128,0190ab, ,")  # pyright: ignore[reportCallIssue]
        for exempt in ("10.1.2.3", "192.0.2.7", "2001:db8:1:2::/64", "::/64", "0190ab"):
            assert one.is_exempt(exempt)
        for limited in ("10.2.0.1", "192.0.2.8", "2001:db8:2::/64", "0190ac", "", "testclient"):
            assert not one.is_exempt(limited)

    @pytest.mark.parametrize("wrong", ["10.0.0.0/33", "10.1.2.3/8", "10.0.0.0-10.0.0.9", "box office"])
    def test_a_name_that_is_neither_a_network_nor_a_person_is_refused(self, inventory_env: None, wrong: str):
        from inventory.settings import Settings  # noqa: PLC0415 - its settings come from inventory_env

        with pytest.raises(ValidationError, match=f"{re.escape(wrong)} is neither"):
            Settings(hold_limit_exempt=f"192.0.2.7,{wrong}")  # pyright: ignore[reportCallIssue]

    def test_a_network_is_known_by_a_keyed_hash(self, inventory_env: None):
        from inventory.settings import Settings  # noqa: PLC0415 - its settings come from inventory_env

        one, other = (Settings(claim_key=key).network_key("192.0.2.7") for key in ("a" * 16, "b" * 16))  # pyright: ignore[reportCallIssue, reportArgumentType]
        assert one != other
        assert "192" not in one.removeprefix("network:")[:3]


@pytest.fixture
async def visit(client: httpx.AsyncClient, new_showtime: NewShowtime) -> AsyncIterator[Visit]:
    """A function that shows a showtime to a visitor from this address."""
    from inventory.main import app  # noqa: PLC0415 - its settings come from inventory_env

    opened: list[httpx.AsyncClient] = []

    def visit(showtime: ShowtimeClient, address: str, headers: dict[str, str] | None = None) -> ShowtimeClient:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1))
        opened.append(visitor := httpx.AsyncClient(transport=transport, base_url="http://service", timeout=30))
        return ShowtimeClient(visitor, showtime.showtime_id, headers or {})

    yield visit
    for each in opened:
        await each.aclose()


async def lapse(held: HoldClient) -> None:
    """Let the hold expire and be released."""
    from inventory import jobs  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.main import replica  # noqa: PLC0415
    from inventory.store.documents import ShowtimeDocument  # noqa: PLC0415

    past = {"$set": {"holds.$.expires_at": now() - timedelta(seconds=1)}}
    await ShowtimeDocument.get_pymongo_collection().update_one({"holds.id": held.id}, past)

    async def is_released() -> bool:
        await jobs.release_expired_holds(replica)
        return (await held.get()).status_code == 404

    await until(is_released)


class TestPerson:
    async def test_has_three_holds_over_all_showtimes(self, new_showtime: NewShowtime, visit: Visit, signer: Signer):
        anna = signer.headers(new_id())
        showtimes = [visit(await new_showtime(), next(addresses), anna) for _ in range(4)]
        first, *_ = [await showtime.held("A1") for showtime in showtimes[:3]]
        answer = await showtimes[3].hold("A1")
        body = problem(answer, 409, "too_many_holds")
        assert (body["unit"], body["limit"], body["ends_at"]) == ("holds", 3, first.body["expires_at"])
        assert 0 < int(answer.headers["Retry-After"]) == body["retry_after"] <= 480
        problem(await showtimes[3].best(2), 409, "too_many_holds")
        await visit(showtimes[3], next(addresses), signer.headers(new_id())).held("A1")
        await first.release()
        await showtimes[3].held("A2")

    async def test_has_twenty_seats(self, new_showtime: NewShowtime, visit: Visit, signer: Signer):
        anna = signer.headers(new_id())
        first, second = [visit(await new_showtime(), next(addresses), anna) for _ in range(2)]
        await first.held(*(f"A{n}" for n in range(1, 11)))
        held = await second.held(*(f"A{n}" for n in range(1, 10)))
        assert problem(await second.hold("B1", "B2"), 409, "too_many_holds")["unit"] == "seats"
        assert (await held.change(add=["A10"])).status_code == 200
        assert (await held.change(add=["B1"], drop=["A1"])).status_code == 200
        assert problem(await first.hold("B1"), 409, "too_many_holds")["limit"] == 20

    async def test_cannot_grow_a_hold_beyond_the_limit(self, new_showtime: NewShowtime, visit: Visit, signer: Signer):
        anna = signer.headers(new_id())
        first, second, third = [visit(await new_showtime(), next(addresses), anna) for _ in range(3)]
        for showtime in (first, second):
            await showtime.held(*(f"A{n}" for n in range(1, 10)))
        held = await third.held("A1", "A2")
        assert problem(await held.change(add=["A3"]), 409, "too_many_holds")["unit"] == "seats"
        assert (await held.change(add=["A3"], drop=["A1"])).status_code == 200

    async def test_cannot_have_more_by_asking_at_once(self, showtime: ShowtimeClient, visit: Visit, signer: Signer):
        anna = visit(showtime, next(addresses), signer.headers(new_id()))
        for _ in range(2):
            answers = await asyncio.gather(*(anna.hold(f"A{n}") for n in range(1, 11)))
            assert sum(answer.status_code == 201 for answer in answers) <= 3
            assert {answer.status_code for answer in answers} <= {201, 409}
        assert len(await showtime.taken()) == 3

    async def test_may_be_exempt(
        self, showtime: ShowtimeClient, visit: Visit, signer: Signer, monkeypatch: pytest.MonkeyPatch
    ):
        from inventory import settings  # noqa: PLC0415 - its settings come from inventory_env

        integrator = new_id()
        given = settings.Settings(hold_limit_exempt=integrator)  # pyright: ignore[reportCallIssue]
        monkeypatch.setattr(settings, "get", lambda: given)
        staff = signer.headers(new_id(), ["seats:block"], theaters=["theater-1"])
        elsewhere = signer.headers(new_id(), ["seats:block"], theaters=["theater-2"])
        address = next(addresses)
        for row, headers in (("A", staff), ("B", signer.headers(integrator))):
            for n in range(1, 8):
                await visit(showtime, address, headers).held(f"{row}{n}")
        answers = [await visit(showtime, address, elsewhere).hold(f"C{n}") for n in range(1, 5)]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 409]


class TestNetwork:
    @pytest.mark.parametrize("make", [lambda n: f"203.0.113.{n}", lambda n: f"2001:db8:{n}:1::{n}"])
    async def test_has_six_holds_of_whichever_guests(
        self, new_showtime: NewShowtime, visit: Visit, make: Callable[[int], str]
    ):
        here, elsewhere = make(1), make(2)
        showtimes = [visit(await new_showtime(), here) for _ in range(4)]
        for n in range(6):
            await showtimes[n % 4].held(f"A{n + 1}")
        body = problem(await showtimes[0].hold("B1"), 429, "network_is_full")
        assert (body["unit"], body["limit"]) == ("holds", 6)
        problem(await showtimes[0].hold("B1", headers={"X-Hold-Secret": SECRET + here}), 429, "network_is_full")
        await visit(showtimes[0], elsewhere).held("B1")

    async def test_of_ipv6_is_a_64(self, showtime: ShowtimeClient, visit: Visit):
        for n in range(1, 7):
            await visit(showtime, f"2001:db8:9:9::{n}").held(f"A{n}")
        problem(await visit(showtime, "2001:db8:9:9:ffff::1").hold("B1"), 429, "network_is_full")
        await visit(showtime, "2001:db8:9:a::1").held("B1")

    async def test_has_forty_seats(self, new_showtime: NewShowtime, visit: Visit):
        showtime = visit(await new_showtime(), next(addresses))
        for row in "ABCD":
            await showtime.held(*(f"{row}{n}" for n in range(1, 11)))
        assert problem(await showtime.hold("E1"), 429, "network_is_full")["unit"] == "seats"

    async def test_is_stored_nowhere(self, showtime: ShowtimeClient, visit: Visit):
        from inventory.store.documents import LapsedHold, ShowtimeDocument  # noqa: PLC0415 - see inventory_env

        held = await visit(showtime, "198.18.19.20").held("A1")
        stored = await ShowtimeDocument.get_pymongo_collection().find_one({"holds.id": held.id})
        assert stored is not None
        await lapse(held)
        lapsed = await LapsedHold.get_pymongo_collection().find_one({"_id": held.id})
        assert lapsed is not None
        assert lapsed["keys"] == stored["holds"][0]["keys"]
        assert "198.18" not in str((stored, lapsed))


@pytest.fixture(scope="module")
async def other(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A second replica."""
    async with replica_of("inventory", FORWARDED_ALLOW_IPS="127.0.0.1", LOG_LEVEL="WARNING") as (_, other):
        yield other


class TestReplicas:
    async def test_take_turns_and_exceed_no_limit(
        self, showtime: ShowtimeClient, visit: Visit, other: httpx.AsyncClient
    ):
        address = next(addresses)
        here = visit(showtime, address)
        there = ShowtimeClient(other, showtime.showtime_id, {"X-Forwarded-For": address})
        answers = [await (here, there)[n % 2].hold(f"A{n + 1}") for n in range(10)]
        assert [answer.status_code for answer in answers] == [201] * 6 + [429] * 4

    async def test_exceed_the_limit_at_most_as_often_as_there_are_replicas(
        self, new_showtime: NewShowtime, visit: Visit, other: httpx.AsyncClient
    ):
        address = next(addresses)
        showtimes = [await new_showtime() for _ in range(2)]
        seats = [f"{row}{n}" for row in "ABCDE" for n in range(1, 9)]
        replicas = [
            replica
            for showtime in showtimes
            for replica in (
                visit(showtime, address),
                ShowtimeClient(other, showtime.showtime_id, {"X-Forwarded-For": address}),
            )
        ]
        for _ in range(2):
            answers = await asyncio.gather(*(replicas[n % 4].hold(seat) for n, seat in enumerate(seats)))
            assert {answer.status_code for answer in answers} <= {201, 409, 429}
        held = sum([len(await showtime.taken()) for showtime in showtimes])
        assert 6 <= held <= 2 * 6
        for replica in replicas:
            problem(await replica.hold("E10"), 429, "network_is_full")


class TestCost:
    async def test_an_ordinary_hold_is_one_write_and_no_read(
        self, showtime: ShowtimeClient, visit: Visit, signer: Signer, monkeypatch: pytest.MonkeyPatch
    ):
        from inventory.main import replica  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.store import seat_map_of  # noqa: PLC0415

        async def no_read(keys: Sequence[str]) -> None:
            raise AssertionError("read")

        monkeypatch.setattr(replica.limiter, "_read", no_read)
        before = (await seat_map_of(showtime.showtime_id))["version"]
        visitors = [visit(showtime, next(addresses)) for _ in range(3)]
        await asyncio.gather(*(each.held(f"A{n}") for n, each in enumerate(visitors, 1)))
        assert (await seat_map_of(showtime.showtime_id))["version"] == before + 3
        anna = visit(showtime, next(addresses), signer.headers(new_id()))
        for _ in range(4):
            await (await anna.held("B1")).release()
        await anna.held("B1")
        assert (await anna.hold("C1")).status_code == 500, "beyond half of a limit, it is counted"

    async def test_a_read_for_many_callers_uses_the_indexes(self, showtime: ShowtimeClient, visit: Visit):
        from inventory.store.documents import LapsedHold, ShowtimeDocument  # noqa: PLC0415 - see inventory_env

        held = await visit(showtime, next(addresses)).held("A1")
        stored = await ShowtimeDocument.get_pymongo_collection().find_one({"holds.id": held.id})
        assert stored is not None
        keys = {"$in": stored["holds"][0]["keys"]}
        for document, where in ((ShowtimeDocument, {"holds.keys": keys}), (LapsedHold, {"keys": keys})):
            plan = str((await document.get_pymongo_collection().find(where).explain())["queryPlanner"]["winningPlan"])
            assert "'indexName': 'owner'" in plan
            assert "COLLSCAN" not in plan


class TestCheckout:
    async def test_counts_until_it_ends(self, new_showtime: NewShowtime, visit: Visit, signer: Signer, bus: Bus):
        anna = signer.headers(new_id())
        showtimes = [visit(await new_showtime(), next(addresses), anna) for _ in range(4)]
        holds = [await showtime.held("A1") for showtime in showtimes[:3]]
        checkouts = [booking(bus, *each) for each in zip(showtimes, holds, strict=False)]
        for held, checkout in zip(holds, checkouts, strict=True):
            await checkout.request_payment()
            await wait_until_pinned(held)
        problem(await showtimes[3].hold("A1"), 409, "too_many_holds")
        await checkouts[0].pay()
        await checkouts[0].sold()
        await showtimes[3].held("A1")

    async def test_of_a_showtime_is_paid_before_the_next_hold(
        self, new_showtime: NewShowtime, visit: Visit, signer: Signer, bus: Bus
    ):
        anna = signer.headers(new_id())
        showtime, other = [visit(await new_showtime(), next(addresses), anna) for _ in range(2)]
        held = await showtime.held("A1")
        checkout = booking(bus, showtime, held)
        await checkout.request_payment()
        await wait_until_pinned(held)
        for answer in (await showtime.hold("A2"), await showtime.best(2)):
            body = problem(answer, 409, "checkout_unpaid")
            assert (body["booking_id"], body["ends_at"]) == (held.id, (await held.get()).json()["expires_at"])
        await other.held("A2")
        await checkout.expire()
        await showtime.wait_for_taken()
        await showtime.held("A2")

    async def test_of_a_showtime_is_one_at_a_time(
        self, new_showtime: NewShowtime, visit: Visit, signer: Signer, bus: Bus
    ):
        showtime = visit(await new_showtime(), next(addresses), signer.headers(new_id()))
        first, second = await showtime.held("A1"), await showtime.held("A2")
        await booking(bus, showtime, first).request_payment()
        await wait_until_pinned(first)
        refused = booking(bus, showtime, second)
        await refused.request_payment()
        released = await refused.released()
        assert (released.seats, released.reason) == (["A2"], "lapsed")
        await showtime.wait_for_taken(A1="held")


async def test_holds_that_lapse_again_and_again_get_shorter(new_showtime: NewShowtime, visit: Visit, signer: Signer):
    anna = signer.headers(new_id())
    showtime = await new_showtime()
    lengths: list[float] = []
    for _ in range(6):
        held = await visit(showtime, next(addresses), anna).held("A1")
        ends = datetime.fromisoformat(held.body["expires_at"])
        lengths.append((ends - datetime.fromisoformat(held.body["server_time"])).total_seconds())
        await lapse(held)
    assert [round(seconds, -1) for seconds in lengths] == [480, 480, 480, 480, 240, 120]


async def test_a_released_hold_does_not_count_as_a_lapse(new_showtime: NewShowtime, visit: Visit, signer: Signer):
    anna = signer.headers(new_id())
    showtime = visit(await new_showtime(), next(addresses), anna)
    for _ in range(5):
        held = await showtime.held("A1")
        await held.release()
    ends = datetime.fromisoformat((await showtime.held("A1")).body["expires_at"])
    assert ends > now() + 7 * MINUTE


async def test_holds_and_those_that_end_unpaid_are_counted_by_caller(
    new_showtime: NewShowtime, visit: Visit, signer: Signer, bus: Bus
):
    def counts() -> Counter[str]:
        held, unpaid = "usher_inventory_holds_total", "usher_inventory_holds_unpaid_total"
        return Counter(
            {
                f"{name} {caller}": int(REGISTRY.get_sample_value(metric, labels | {"caller": caller}) or 0)
                for name, metric, labels in (("held", held, {"outcome": "held"}), ("unpaid", unpaid, {}))
                for caller in ("account", "guest", "exempt")
            }
        )

    before = counts()
    showtime = await new_showtime()
    person = await visit(showtime, next(addresses), signer.headers(new_id())).held("A1")
    guest = await visit(showtime, next(addresses)).held("A2")
    exempt, sold = await showtime.held("A3"), await visit(showtime, next(addresses)).held("A4")
    await lapse(person)
    await guest.release()
    await exempt.release()
    paid = booking(bus, showtime, sold)
    await paid.pay()
    await paid.sold()
    assert counts() - before == {
        **{"held account": 1, "held guest": 2, "held exempt": 1},
        **dict.fromkeys(("unpaid account", "unpaid guest", "unpaid exempt"), 1),
    }
