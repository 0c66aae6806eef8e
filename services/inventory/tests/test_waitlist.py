"""The waitlist through HTTP: joining, offers in order, missed offers, leaving, privacy, and its end."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from chassis.testing import until
from chassis.testing.bus import Bus
from chassis.testing.signer import Signer
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled
from contracts.identity import ExportRequested, UserDeleted
from contracts.inventory import InventoryDataExported, SeatsOffered, WaitlistEnded, WaitlistJoined
from contracts.notifier import OfferUnsent
from contracts.types import Holder
from inventory.model import holder_key

from .conftest import ROWS, HoldClient, ShowtimeClient, booking
from .test_adoption import stored_hold
from .test_limits import Visit, addresses, visit  # noqa: F401 - fixtures

PAIR: dict[str, Any] = {"party": {"min": 2, "max": 2}}


@dataclass
class Waitlist:
    """A full showtime: each row is one hold."""

    showtime: ShowtimeClient
    rows: dict[str, HoldClient]
    bus: Bus

    @property
    def address(self) -> str:
        return f"/api/showtimes/{self.showtime.showtime_id}/waitlist"

    async def join(self, name: str, headers: dict[str, str] | None = None, **wishes: Any) -> httpx.Response:
        body = PAIR | {"email": f"{name}@usher.example"} | wishes
        return await self.showtime.client.post(self.address, json=body, headers=headers)

    async def joined(self, name: str, **wishes: Any) -> "Guest":
        answer = await self.join(name, **wishes)
        assert answer.status_code == 201, answer.text
        return Guest(self, answer.json())

    async def no_marks(self) -> dict[str, str]:
        """Wait until all marked seats are offered or on sale. Returns the states of the seats."""
        from inventory.model import MARK  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.store import read  # noqa: PLC0415

        async def are_settled() -> bool:
            showtime = await read(self.showtime.showtime_id)
            is_due = showtime.waitlist_at is not None and showtime.waitlist_at <= now()
            return not is_due and all(entry.by != MARK for entry in showtime.taken.values())

        await until(are_settled)
        return await self.showtime.taken()


@dataclass
class Guest:
    """A guest on the waitlist."""

    waitlist: Waitlist
    body: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Hold-Secret": self.body["secret"]}

    async def mailed(self) -> dict[str, str]:
        """The headers of the one who follows the mailed link."""
        mail = await self.waitlist.bus.wait_for(WaitlistJoined, lambda e: e.entry_id == self.body["entry_id"])
        return {"X-Hold-Secret": Cipher("a link key for the tests").decrypt(mail.sealed_secret or "")}

    async def place(self, headers: dict[str, str] | None = None) -> dict[str, Any]:
        headers = headers or await self.mailed()
        answer = await self.waitlist.showtime.client.get(self.waitlist.address, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def leave(self) -> int:
        return (await self.waitlist.showtime.client.delete(self.waitlist.address, headers=self.headers)).status_code

    async def offer(self) -> SeatsOffered:
        return await self.waitlist.bus.wait_for(SeatsOffered, lambda e: e.entry_id == self.body["entry_id"])

    async def end_offer(self) -> None:
        """Give the offered seats back by releasing the hold, as if the offer had expired."""
        offer = (await self.place())["offer"]
        address = f"/api/holds/{offer['hold_id']}"
        assert (await self.waitlist.showtime.client.delete(address, headers=await self.mailed())).status_code == 204


@pytest.fixture
async def waitlist(showtime: ShowtimeClient, bus: Bus) -> Waitlist:
    return await full(showtime, bus)


async def full(showtime: ShowtimeClient, bus: Bus) -> Waitlist:
    rows = {row: await showtime.held(*[f"{row}{n}" for n in range(1, 11)]) for row in ROWS}
    return Waitlist(showtime, rows, bus)


async def test_nobody_waits_for_seats_that_are_free(showtime: ShowtimeClient, bus: Bus):
    answer = await Waitlist(showtime, {}, bus).join("ada")
    assert (answer.status_code, answer.json()["code"], answer.json()["free"]) == (409, "seats_available", 2)


async def test_a_party_joins_once_and_sees_its_place(waitlist: Waitlist):
    ada, ben = await waitlist.joined("ada"), await waitlist.joined("ben", party={"min": 1, "max": 4})
    assert [ada.body["position"], ben.body["position"]] == [1, 2]
    again = await waitlist.join("ADA", headers=ada.headers)
    assert (again.status_code, again.json()["entry_id"]) == (201, ada.body["entry_id"])
    stranger = await waitlist.join("ada")
    assert (stranger.status_code, stranger.json()["code"]) == (409, "already_waiting")
    assert (await ben.place())["party"] == {"min": 1, "max": 4}
    assert (await ada.place())["offer"] is None
    mail = await waitlist.bus.wait_for(WaitlistJoined, lambda e: e.entry_id == ada.body["entry_id"])
    assert await ada.mailed() != ada.headers
    assert mail.screening.movie_title == "Metropolis"


@pytest.mark.parametrize(
    ("wishes", "code"),
    [
        ({"party": {"min": 3, "max": 2}}, "invalid"),
        ({"party": {"min": 0, "max": 2}}, "invalid"),
        ({"party": {"min": 1, "max": 11}}, "invalid"),
        ({"email": "nobody"}, "invalid"),
        ({"categories": ["recliner"]}, "no_such_seats"),
        ({"categories": ["standard", "recliner"]}, "no_such_seats"),
        ({"max_price": 1249}, "no_such_seats"),
    ],
)
async def test_refused_wishes(waitlist: Waitlist, wishes: dict[str, Any], code: str):
    answer = await waitlist.join("ada", **wishes)
    assert answer.status_code == 422
    assert code in {answer.json()["code"], "invalid"}


async def test_a_caller_has_one_place_and_a_network_as_many_as_holds(
    waitlist: Waitlist,
    visit: Visit,  # noqa: F811
    signer: Signer,
):
    """Otherwise one person fills the waitlist with addresses."""
    address, headers = next(addresses), signer.headers(new_id())
    here = Waitlist(visit(waitlist.showtime, address), waitlist.rows, waitlist.bus)
    places = [await here.join("ada", headers=headers) for _ in range(2)]
    assert [place.status_code for place in places] == [201, 201]
    assert places[0].json()["entry_id"] == places[1].json()["entry_id"]
    second = await here.join("bea", headers=headers)
    assert (second.status_code, second.json()["code"]) == (409, "already_waiting")
    answers = [await here.join(f"guest{n}") for n in range(6)]
    assert [answer.status_code for answer in answers] == [201] * 5 + [429]
    assert (answers[5].json()["code"], answers[5].json()["limit"]) == ("network_waits", 6)
    there = Waitlist(visit(waitlist.showtime, next(addresses)), waitlist.rows, waitlist.bus)
    assert (await there.join("cleo")).status_code == 201


async def test_an_offer_counts_for_its_holder_but_not_for_the_network(
    waitlist: Waitlist,
    visit: Visit,  # noqa: F811
    signer: Signer,
):
    user_id = new_id()
    here = Waitlist(visit(waitlist.showtime, next(addresses)), waitlist.rows, waitlist.bus)
    assert (await here.join("ada", headers=signer.headers(user_id))).status_code == 201
    await waitlist.rows["B"].change(drop=["B4", "B5"])
    offer = await waitlist.bus.wait_for(SeatsOffered, lambda e: e.user_id == user_id)
    assert (await stored_hold(offer.hold_id))["keys"] == [holder_key(Holder(user_id=user_id))]


async def test_an_account_that_takes_an_offer_takes_the_place(waitlist: Waitlist, bus: Bus, signer: Signer):
    """The guest who signs in sees, exports and leaves the place as the account; the first secret is worth nothing."""
    ada, user_id = await waitlist.joined("ada"), new_id()
    await waitlist.rows["B"].change(drop=["B4", "B5"])
    offer, account = await ada.offer(), signer.headers(user_id)
    adopted = await waitlist.showtime.client.post(
        f"/api/holds/{offer.hold_id}/adopt", headers=account | await ada.mailed()
    )
    assert adopted.status_code == 200, adopted.text
    assert (await ada.place(account))["offer"]["hold_id"] == offer.hold_id
    assert await ada.leave() == 404
    export = new_id()
    await bus.publish(ExportRequested(export_id=export, user_id=user_id))
    told = await bus.wait_for(InventoryDataExported, lambda e: e.export_id == export)
    assert [item["email"] for item in told.items] == ["ada@usher.example"]
    left = await waitlist.showtime.client.delete(waitlist.address, headers=account)
    assert left.status_code == 204
    assert (await waitlist.no_marks()).keys().isdisjoint({"B4", "B5"})


@pytest.mark.parametrize("is_late", [False, True])
async def test_an_offer_that_was_never_mailed_is_not_missed(waitlist: Waitlist, bus: Bus, is_late: bool):
    """The notifier says so before the offer has ended, or only after the round that counted it as missed."""
    ada, ben = await waitlist.joined("ada"), await waitlist.joined("ben")
    await waitlist.rows["B"].change(drop=["B4", "B5"])
    offer = await ada.offer()
    facts = {"hold_id": offer.hold_id, "showtime_id": offer.showtime_id, "entry_id": offer.entry_id}
    unsent = OfferUnsent.model_validate(facts | {"failed_at": now()})

    async def has_missed(count: int) -> bool:
        place = await ada.place()
        return (place["missed_offers"], place["offer"]) == (count, None)

    if is_late:
        await ada.end_offer()
        await until(lambda: has_missed(1))
    await bus.publish(unsent)
    if not is_late:

        async def is_marked() -> bool:
            return (await stored_party(waitlist, "ada")).unsent_hold_id == offer.hold_id

        await until(is_marked)
        await ada.end_offer()
    await ben.offer()
    await until(lambda: has_missed(0))
    await bus.publish(unsent)
    await waitlist.rows["B"].change(drop=["B6", "B7"])

    async def has_offer() -> bool:
        return (await ada.place())["offer"] is not None

    await until(has_offer)
    assert ((await ada.place())["missed_offers"], (await ada.place())["position"]) == (0, 1), "a repeat changes nothing"


async def stored_party(waitlist: Waitlist, name: str) -> Any:
    from inventory.store.documents import read_waiting  # noqa: PLC0415 - its settings come from inventory_env

    parties = (await read_waiting(waitlist.showtime.showtime_id)).waitlist
    return next(each for each in parties if each.email == f"{name}@usher.example")


async def test_freed_seats_are_offered_in_order_and_the_rest_is_on_sale(waitlist: Waitlist):
    """A party that does not fit is skipped, not dropped. The offer is a hold of its own that is not renewed."""
    many = await waitlist.joined("many", party={"min": 8, "max": 8})
    ada, ben = await waitlist.joined("ada"), await waitlist.joined("ben", party={"min": 1, "max": 2})
    assert (await waitlist.rows["C"].change(drop=["C1", "C2", "C3", "C4", "C10"])).status_code == 200
    first, second = await ada.offer(), await ben.offer()
    states = await waitlist.no_marks()
    assert len(states) == 49
    seats = {seat.seat_id for seat in first.seats} | {seat.seat_id for seat in second.seats}
    assert seats == {"C1", "C2", "C3", "C4"}
    assert (first.amount, first.currency) == (2500, "EUR")
    assert first.expires_at > now() + timedelta(minutes=15)
    place = await ada.place()
    assert [seat["seat_id"] for seat in place["offer"]["seats"]] == [seat.seat_id for seat in first.seats]
    assert ((await many.place())["position"], (await many.place())["offer"]) == (1, None)
    assert (await ada.place(ada.headers))["offer"] is None, "only the mailed link shows the offers"
    assert (
        await HoldClient(waitlist.showtime.client, {"hold_id": first.hold_id}, ada.headers).get()
    ).status_code == 404
    offered = HoldClient(waitlist.showtime.client, {"hold_id": first.hold_id}, await ada.mailed())
    assert (await offered.renew()).json()["code"] == "renewal_used_up"
    assert (await offered.change(add=["C10"])).json()["code"] == "offer_fixed"
    assert (await offered.get()).json()["renewable_until"] is None


async def test_the_buyer_of_an_offer_leaves_the_list(waitlist: Waitlist):
    ada, ben = await waitlist.joined("ada"), await waitlist.joined("ben")
    await waitlist.rows["B"].change(drop=["B4", "B5"])
    offer = await ada.offer()
    held = HoldClient(waitlist.showtime.client, {"hold_id": offer.hold_id}, await ada.mailed())
    held.body = (await held.get()).json()
    order = booking(waitlist.bus, waitlist.showtime, held)
    await order.request_payment()
    await order.pay()
    await order.sold()
    gone = await waitlist.showtime.client.get(waitlist.address, headers=ada.headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "not_waiting")
    assert (await ben.place())["position"] == 1
    await order.cancel()
    assert {seat.seat_id for seat in (await ben.offer()).seats} == {"B4", "B5"}


async def test_one_missed_offer_keeps_the_place_and_the_second_one_loses_it(waitlist: Waitlist):
    ada, ben = await waitlist.joined("ada"), await waitlist.joined("ben")
    await waitlist.rows["B"].change(drop=["B4", "B5"])
    await ada.offer()
    await ada.end_offer()
    await ben.offer()
    place = await ada.place()
    assert (place["position"], place["missed_offers"]) == (1, 1)
    await waitlist.rows["B"].change(drop=["B6", "B7"])

    async def has_offer() -> bool:
        return (await ada.place())["offer"] is not None

    await until(has_offer)
    await ada.end_offer()

    async def is_last() -> bool:
        return (await ada.place())["position"] == 2

    await until(is_last)
    assert await waitlist.no_marks()


async def test_who_leaves_gives_the_offered_seats_to_the_next(waitlist: Waitlist):
    ada, ben = await waitlist.joined("ada"), await waitlist.joined("ben")
    await waitlist.rows["B"].change(drop=["B4", "B5"])
    await ada.offer()
    assert [await ada.leave(), await ada.leave()] == [204, 404]
    assert {seat.seat_id for seat in (await ben.offer()).seats} == {"B4", "B5"}
    assert await ben.leave() == 204
    states = await waitlist.no_marks()
    assert states.keys().isdisjoint({"B4", "B5"})
    assert (await waitlist.showtime.hold("B4", "B5")).status_code == 201


async def test_the_waitlist_ends_by_mail(waitlist: Waitlist, bus: Bus):
    ada = await waitlist.joined("ada")
    soon = now() + timedelta(minutes=29)
    times = {"starts_at": soon, "ends_at": soon + timedelta(hours=2), "sales_close_at": soon}
    showtime_id = waitlist.showtime.showtime_id
    facts = {"showtime_id": showtime_id, "sales_open_at": now() - timedelta(days=1)}
    await bus.publish(ShowtimeRescheduled.model_validate(facts | times), version=2)
    ended = await bus.wait_for(WaitlistEnded, lambda e: e.entry_id == ada.body["entry_id"])
    assert ended.reason == "closed"
    assert abs(ended.screening.starts_at - soon) < timedelta(seconds=1)
    assert (await waitlist.join("ben")).json()["code"] == "waitlist_closed"


async def test_a_cancelled_showtime_ends_its_waitlist(waitlist: Waitlist, bus: Bus):
    ada = await waitlist.joined("ada")
    await bus.publish(
        ShowtimeCancelled.model_validate({"showtime_id": waitlist.showtime.showtime_id, "reason": "technical"}),
        version=2,
    )
    ended = await bus.wait_for(WaitlistEnded, lambda e: e.entry_id == ada.body["entry_id"])
    assert ended.reason == "cancelled"
    assert (await waitlist.join("ben")).json()["code"] == "sales_closed"


async def test_personal_data_is_exported_and_erased(waitlist: Waitlist, bus: Bus, signer: Signer):
    user_id = new_id()
    headers = signer.headers(user_id)
    assert (await waitlist.join("ada", headers=headers)).status_code == 201
    export = new_id()
    await bus.publish(ExportRequested(export_id=export, user_id=user_id))
    told = await bus.wait_for(InventoryDataExported, lambda e: e.export_id == export)
    assert [item["email"] for item in told.items] == ["ada@usher.example"]
    await bus.publish(UserDeleted(user_id=user_id))

    async def is_gone() -> bool:
        return (await waitlist.showtime.client.get(waitlist.address, headers=headers)).status_code == 404

    await until(is_gone)
