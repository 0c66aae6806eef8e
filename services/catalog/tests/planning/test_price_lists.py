"""Price lists through the endpoints, and the prices that showtimes get from them."""

import asyncio

from catalog import store
from contracts.catalog import ShowtimeScheduled

SUMMER = {
    "name": "summer",
    "prices": {"standard": {"adult": 500}},
    "valid_from": "2027-06-01",
    "valid_until": "2027-08-31",
}


def amounts(prices):
    return {(price["category"], price["ticket_type"]): price["amount"] for price in prices}


async def test_a_showtime_has_its_price_table(manager, bus):
    showtime = await manager.showtime(format="3D")
    assert amounts(showtime["prices"]) == {
        ("standard", "adult"): 1600, ("standard", "child"): 1200, ("vip", "adult"): 2000,
        ("wheelchair", "adult"): 1600, ("companion", "adult"): 1600, ("companion", "companion"): 0,
    }  # fmt: skip
    assert showtime["price_from"] == {"amount": 1600, "currency": "EUR"}
    event = await bus.wait_for(ShowtimeScheduled, lambda e: e.showtime_id == showtime["id"])
    assert [price.model_dump() for price in event.prices] == showtime["prices"]
    assert {(price.amount, price.fee, price.tax) for price in event.prices} == {
        (1600, 100, 105), (1200, 100, 79), (2000, 100, 131), (0, 0, 0),
    }  # fmt: skip


async def test_published_showtimes_keep_their_prices(manager):
    showtime = await manager.showtime(manager.evening(7))
    path = f"/theaters/{manager.theater_id}/price-lists"
    usual = (await manager.call("GET", path)).json()["items"][0]
    dearer = {name: usual[name] for name in ("name", "prices", "valid_from", "version")} | {
        "prices": {name: {"adult": 5000} for name in usual["prices"]}
    }
    changed = await manager.call("PUT", f"{path}/{usual['id']}", dearer)
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert (await manager.client.get(f"/api/showtimes/{showtime['id']}")).json()["prices"] == showtime["prices"]
    moved = await manager.call("PATCH", f"/showtimes/{showtime['id']}", {"local_start": manager.evening(9)})
    assert moved.json()["prices"] == showtime["prices"]
    assert (await manager.showtime(manager.evening(8)))["price_from"]["amount"] == 5000
    assert (await manager.call("DELETE", f"{path}/{usual['id']}")).status_code == 204
    refused = await manager.try_showtime(manager.evening(10))
    assert (refused.status_code, refused.json()["code"]) == (422, "price_missing")
    assert (await manager.call("DELETE", f"{path}/{usual['id']}")).status_code == 404


async def test_a_change_based_on_an_old_version_is_refused(manager):
    path = f"/theaters/{manager.theater_id}/price-lists"
    usual = (await manager.call("GET", path)).json()["items"][0]
    change = {name: usual[name] for name in ("name", "prices", "valid_from", "version")}
    answers = await asyncio.gather(
        *(manager.call("PUT", f"{path}/{usual['id']}", change | {"booking_fee": fee}) for fee in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"changed_meanwhile"}
    assert (await manager.call("PUT", f"{path}/none", change)).status_code == 404


async def test_two_price_lists_of_a_theater_cannot_begin_on_the_same_day(manager):
    path = f"/theaters/{manager.theater_id}/price-lists"
    answers = await asyncio.gather(*(manager.call("POST", path, SUMMER) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    usual = (await manager.call("GET", path)).json()["items"][0]
    assert usual["name"] == "usual", "by the day on which they begin"
    change = {name: usual[name] for name in ("name", "prices", "version")} | {"valid_from": "2027-06-01"}
    taken = await manager.call("PUT", f"{path}/{usual['id']}", change)
    assert (taken.status_code, taken.json()["code"]) == (409, "price_list_exists")


async def test_a_price_list_has_a_refund_policy_that_its_showtimes_keep(manager, bus):
    path = f"/theaters/{manager.theater_id}/price-lists"
    usual = (await manager.call("GET", path)).json()["items"][0]
    default = {"minutes_before_start": 30, "fee": 0, "max_exchanges": 3}
    assert usual["refund_policy"]["exchange"] == default
    tiers = [{"minutes_before_start": 60, "refund_percent": 80}]
    change = {name: usual[name] for name in ("name", "prices", "valid_from", "version")}
    changed = await manager.call(
        "PUT",
        f"{path}/{usual['id']}",
        change | {"refund_policy": {"tiers": tiers, "fee": 100, "credit_bonus_percent": 10}},
    )
    policy = {"tiers": tiers, "fee": 100, "exchange": default, "credit_bonus_percent": 10}
    assert (changed.status_code, changed.json()["refund_policy"]) == (200, policy)
    showtime = await manager.showtime()
    assert showtime["refund_policy"] == policy
    event = await bus.wait_for(ShowtimeScheduled, lambda e: e.showtime_id == showtime["id"])
    assert event.refund_policy.model_dump() == policy
    rising = [{"minutes_before_start": 60, "refund_percent": 50}, {"minutes_before_start": 30, "refund_percent": 80}]
    for wrong in ({"tiers": rising}, {"tiers": tiers * 2}, {"tiers": tiers, "fee": -1}, {"exchange": {"fee": "x"}}):
        body = change | {"version": 2, "refund_policy": wrong}
        assert (await manager.call("PUT", f"{path}/{usual['id']}", body)).status_code == 422


async def test_prices_are_public(manager):
    await manager.call("POST", f"/theaters/{manager.theater_id}/price-lists", SUMMER)
    path = f"/api/theaters/{manager.theater_id}/prices"

    async def shown(**params):
        answer = await manager.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    now = await shown()
    assert amounts(now["prices"])["vip", "adult"] == 1700
    assert now["currency"] == "EUR"
    assert amounts((await shown(at="2027-07-01T20:00"))["prices"]) == {("standard", "adult"): 500}
    assert amounts((await shown(at="2027-09-01T20:00", format="3D"))["prices"])["standard", "child"] == 1200
    for params, status in [
        ({"at": "2025-01-01T20:00"}, 422), ({"at": "2027-07-01T20:00Z"}, 422), ({"at": "soon"}, 422),
        ({"at": "9999-12-31T23:59"}, 422), ({"format": "x" * 31}, 422),
    ]:  # fmt: skip
        assert (await manager.client.get(path, params=params)).status_code == status
    assert (await manager.client.get("/api/theaters/none/prices")).status_code == 404


async def test_a_price_that_the_provider_does_not_charge_is_refused_with_the_list_and_with_the_showtime(manager):
    path = f"/theaters/{manager.theater_id}/price-lists"
    for change, amounts in [
        ({"prices": {"standard": {"adult": 500, "child": 20}}}, [20]),
        ({"surcharges": [{"name": "Monday", "amount": -460, "weekdays": ["mon"]}]}, [40]),
        ({"prices": {"standard": {"adult": 10_000_000}}}, [10_000_000]),
    ]:
        refused = await manager.call("POST", path, SUMMER | change)
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["amounts"]) == (422, "price_not_chargeable", amounts)
        assert "a price is 0, or 0.50 to 99999.99 EUR" in problem["detail"]
    usual = (await manager.call("GET", path)).json()["items"][0]
    change = {name: usual[name] for name in ("name", "prices", "valid_from", "version")}
    small = {"prices": {name: {"adult": 49} for name in usual["prices"]}}
    assert (await manager.call("PUT", f"{path}/{usual['id']}", change | small)).json()["code"] == "price_not_chargeable"
    discounts = [{"name": name, "amount": -230} for name in ("matinee", "members")]
    both = {"prices": {name: {"adult": 500} for name in usual["prices"]}, "surcharges": discounts}
    assert (await manager.call("PUT", f"{path}/{usual['id']}", change | both)).status_code == 200
    refused = await manager.try_showtime(manager.evening(7))
    assert (refused.status_code, refused.json()["code"], refused.json()["amounts"]) == (
        422,
        "price_not_chargeable",
        [40],
    )


async def test_a_fee_that_leaves_no_refund_that_the_provider_can_move_is_refused(new_manager):
    manager = await new_manager(currency="KWD")
    path = f"/theaters/{manager.theater_id}/price-lists"
    answers = [
        await manager.call("POST", path, SUMMER | {"refund_policy": policy})
        for policy in ({"fee": 155}, {"exchange": {"fee": 1}}, {"fee": 150})
    ]
    assert [answer.status_code for answer in answers] == [422, 422, 201], answers[2].text
    assert {answer.json()["code"] for answer in answers[:2]} == {"price_not_chargeable"}


async def test_an_invalid_price_list_is_refused_with_the_place(manager):
    path = f"/theaters/{manager.theater_id}/price-lists"
    for change, place in [
        ({"prices": {"standard": {"adult": "much"}}}, "adult"),
        ({"prices": {"balcony": {"adult": 1}}}, "balcony"),
        ({"valid_from": "tomorrow"}, "valid_from"),
        ({"theater_id": "elsewhere"}, "theater_id"),
        ({"surcharges": [{"name": "x", "amount": 10**9}]}, "amount"),
    ]:
        answer = await manager.call("POST", path, SUMMER | change)
        assert answer.status_code == 422
        assert any(place in error["loc"] for error in answer.json()["errors"]), answer.text
    assert len(await store.price_lists_of(manager.theater_id)) == 1
