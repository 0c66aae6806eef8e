"""A guest who signs in takes the holds along, on any number of replicas."""

import asyncio
from typing import Any

import httpx
import pytest
from chassis.ids import new_id
from chassis.security.secrets import new_secret
from chassis.testing.bus import Bus
from chassis.testing.signer import Signer
from contracts.types import Holder
from inventory.model import holder_key

from .conftest import HoldClient, NewShowtime, ShowtimeClient, booking, wait_until_pinned
from .test_api import problem
from .test_limits import Visit, addresses, other, visit  # noqa: F401 - fixtures


async def adopt(held: HoldClient, headers: dict[str, str], client: httpx.AsyncClient | None = None) -> httpx.Response:
    return await (client or held.client).post(f"{held.address}/adopt", headers=headers)


async def stored_hold(hold_id: str) -> dict[str, Any]:
    from inventory.store.documents import ShowtimeDocument  # noqa: PLC0415 - see inventory_env

    where = {"holds.id": hold_id}
    row = await ShowtimeDocument.get_pymongo_collection().find_one(where, {"holds": {"$elemMatch": {"id": hold_id}}})
    assert row
    return row["holds"][0]


async def test_it_needs_the_secret_and_an_account(showtime: ShowtimeClient, signer: Signer):
    held = await showtime.held("A1", "A2")
    anna, ben = signer.headers("anna"), signer.headers("ben")
    problem(await adopt(held, held.headers), 401, "unauthenticated")
    problem(await adopt(held, anna), 404, "hold_unknown")
    problem(await adopt(held, anna | {"X-Hold-Secret": new_secret()}), 404, "hold_unknown")
    taken = await adopt(held, anna | held.headers)
    assert (taken.status_code, taken.json()["revision"]) == (200, 1)
    assert taken.json()["expires_at"] == held.body["expires_at"]
    assert (await adopt(held, anna)).json()["revision"] == 1, "a repetition changes nothing"
    problem(await adopt(held, ben | held.headers), 404, "hold_unknown")
    assert (await HoldClient(held.client, held.body, anna).get()).status_code == 200
    problem(await held.get(), 404, "hold_unknown")


@pytest.mark.parametrize("guard", ["the guest", "no guard"])
async def test_two_people_cannot_both_take_one(
    showtime: ShowtimeClient, signer: Signer, guard: str, monkeypatch: pytest.MonkeyPatch
):
    """Both have read the guest's hold when the first one takes it."""
    from inventory.store import guards, holds  # noqa: PLC0415 - see inventory_env

    held = await showtime.held("A1")
    anna, ben = (signer.headers(name) | held.headers for name in ("anna", "ben"))
    find_hold = holds.find_hold

    async def find_and_lose(hold_id: str, is_owner: Any) -> Any:
        found = await find_hold(hold_id, is_owner)
        monkeypatch.setattr(holds, "find_hold", find_hold)
        assert (await adopt(held, anna)).status_code == 200
        return found

    monkeypatch.setattr(holds, "find_hold", find_and_lose)
    if guard == "no guard":
        monkeypatch.setattr(guards, "is_guests", lambda hold_id, _: {"holds": {"$elemMatch": {"id": hold_id}}})
    answer = await adopt(held, ben)
    assert answer.status_code == (200 if guard == "no guard" else 404)
    assert (await stored_hold(held.id))["holder"]["user_id"] == ("ben" if guard == "no guard" else "anna")


async def test_a_change_at_the_same_time_does_not_give_it_back(
    showtime: ShowtimeClient,
    signer: Signer,
    other: httpx.AsyncClient,  # noqa: F811
):
    held = await showtime.held("A1")
    anna = signer.headers("anna") | held.headers
    both = HoldClient(held.client, held.body, anna)
    answers = await asyncio.gather(
        both.change(add=["A2"]), adopt(held, anna, other), both.change(add=["B1"]), both.renew(), adopt(held, anna)
    )
    assert {answer.status_code for answer in answers} == {200}
    stored = await stored_hold(held.id)
    assert (stored["holder"], stored["seats"]) == ({"user_id": "anna"}, ["A1", "A2", "B1"])


async def test_a_checkout_in_flight_pins_and_sells_it(showtime: ShowtimeClient, signer: Signer, bus: Bus):
    """The request for the payment still names the guest, whether it comes before or after the new owner."""
    anna = signer.headers("anna")
    for seat, is_first in (("A1", True), ("C5", False)):
        held = await showtime.held(seat)
        order = booking(bus, showtime, held)
        if is_first:
            assert (await adopt(held, anna | held.headers)).status_code == 200
        await order.request_payment()
        await wait_until_pinned(HoldClient(held.client, held.body, anna) if is_first else held)
        if not is_first:
            assert (await adopt(held, anna | held.headers)).status_code == 200
        await order.pay()
    await showtime.wait_for_taken(A1="sold", C5="sold")


async def test_it_counts_for_the_account_and_the_network(
    new_showtime: NewShowtime,
    visit: Visit,  # noqa: F811
    signer: Signer,
    other: httpx.AsyncClient,  # noqa: F811
):
    address, user_id = next(addresses), new_id()
    showtime = await new_showtime()
    for n in range(3):
        held = await visit(showtime, address).held(f"{'ABC'[n]}1")
        keys = (await stored_hold(held.id))["keys"]
        assert (await adopt(held, signer.headers(user_id) | held.headers)).status_code == 200
        assert (await stored_hold(held.id))["keys"] == [holder_key(Holder(user_id=user_id)), *keys[1:]]
    anna = visit(showtime, next(addresses), signer.headers(user_id))
    assert problem(await anna.hold("D1"), 409, "too_many_holds")["limit"] == 3
