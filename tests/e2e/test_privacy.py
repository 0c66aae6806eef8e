"""A person with bookings exports their data, deletes the account, and is erased from every service's database."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from chassis.testing import until
from cinema import Cinema
from contracts.registry import SERVICES
from customer import Customer, Refused
from launcher.platform import Platform
from launcher.settings import NO_LIMITS
from newcomer import PASSWORD, Newcomer
from pymongo import AsyncMongoClient

from .test_accounts import refusal

COPIES = {"IDENTITY_REPLICAS": "2", "BOOKING_REPLICAS": "2"}
KEPT_BY_ID = {
    "usher_identity.users": "an empty document, for a day: it voids the tokens that are out",
    "usher_identity.audit": "ids alone, so that nobody wipes out what they did",
    **{f"usher_{service}.erasures": "so that what comes late is erased too, for 30 days" for service in SERVICES},
}


@pytest.fixture(scope="module")
async def large_cinema() -> AsyncIterator[Cinema]:
    """A separate platform with two replicas of some services."""
    async with Platform(demo=True, environment=NO_LIMITS | COPIES) as platform, httpx.AsyncClient(timeout=30) as http:
        yield Cinema(platform, http)


@pytest.fixture
async def newcomer(large_cinema) -> Newcomer:
    newcomer = Newcomer(large_cinema)
    await newcomer.sign_up()
    await (await signed_in(newcomer)).call("PATCH", "/api/users/me", json={"name": name_of(newcomer)})
    return newcomer


def name_of(newcomer: Newcomer) -> str:
    """Return a unique name."""
    return f"Zerlina {newcomer.email.partition('@')[0].title()}"


async def signed_in(newcomer: Newcomer) -> Customer:
    return newcomer.acting(await newcomer.auth("login", email=newcomer.email, password=PASSWORD))


def copies(cinema: Cinema) -> list[str]:
    """Yield the addresses at every replica of every service that respond to a signed-in person."""
    asked = {"IDENTITY": "/api/users/me", "BOOKING": "/api/bookings", "CATALOG": "/api/reviews/mine"}
    asked |= {"PAYMENT": "/api/payments/nothing", "INVENTORY": "/api/holds/nothing", "NOTIFIER": "/api/notifications"}
    found = []
    for name, port in cinema.platform.ports.items():
        service = name.removesuffix("_PORT").removesuffix("_2")
        if service in asked:
            found.append(f"http://127.0.0.1:{port}{asked[service]}")
    return found


async def statuses(cinema: Cinema, person: Customer) -> list[int]:
    answers = [await cinema.http.get(address, headers=person.headers) for address in copies(cinema)]
    return [answer.status_code for answer in answers]


async def everywhere(cinema: Cinema, *words: str) -> set[str]:
    """Return `database.collection` of every document that contains one of the words."""
    found = set()
    client: AsyncMongoClient[dict] = AsyncMongoClient(cinema.platform.env["MONGO_URI"])
    async with client:
        for database in (client[f"usher_{service}"] for service in SERVICES):
            for name in await database.list_collection_names():
                texts = [str(document) async for document in database[name].find()]
                if any(word in text for word in words for text in texts):
                    found.add(f"{database.name}.{name}")
    return found


async def test_a_deactivated_persons_access_ends_in_every_copy_of_every_service(large_cinema, newcomer):
    person, admin = await signed_in(newcomer), await large_cinema.person("admin")
    assert len(copies(large_cinema)) == 8
    assert 401 not in await statuses(large_cinema, person)
    (found,) = (await admin.call("GET", "/api/admin/users", params={"search": newcomer.email}))["items"]
    await admin.call("POST", f"/api/admin/users/{found['user_id']}/deactivate")

    async def refused_by_all():
        return set(await statuses(large_cinema, person)) == {401}

    await until(refused_by_all)
    assert await refusal(newcomer.auth("login", email=newcomer.email, password=PASSWORD)) == (401, "wrong_credentials")
    assert "closed" in (await newcomer.mail("A change to your Usher account"))["text"]
    await admin.call("POST", f"/api/admin/users/{found['user_id']}/reactivate")
    assert set(await statuses(large_cinema, person)) == {401}, "the old token stays void"
    again = await signed_in(newcomer)
    assert 401 not in await statuses(large_cinema, again)


async def test_everything_is_handed_out_and_then_forgotten(large_cinema, newcomer):
    cinema, person, name = large_cinema, await signed_in(newcomer), name_of(newcomer)
    showtime_id, seats = await cinema.seats(2)
    paid = await person.buy(showtime_id, seats, newcomer.email)
    booking = await person.settled(paid, "confirmed")
    other_showtime, other_seats = await cinema.seats(1)
    unpaid = await person.hold(other_showtime, other_seats)
    await person.check_out(unpaid, newcomer.email, name=name)
    await newcomer.mail(next(m["subject"] for m in await mails(newcomer) if booking["reference"] in m["text"]))

    # ---- the export, from every service
    await person.call("POST", "/api/users/me/export", json={"password": PASSWORD})

    async def ready():
        return (await person.call("GET", "/api/users/me/export"))["state"] == "ready"

    await until(ready)
    document = await person.call("GET", "/api/users/me/export/data")
    assert document["missing"] == []
    assert {kept["id"] for kept in document["booking"]} == {paid["hold_id"], unpaid["hold_id"]}
    assert paid["hold_id"] in {kept["id"] for kept in document["payment"]}
    assert [kept["booking_id"] for kept in document["catalog"] if kept["kind"] == "attendance"] == [paid["hold_id"]]
    assert {"verification", "confirmation"} <= {kept["kind"] for kept in document["notifier"]}
    account = document["identity"][0]
    assert (account["email"], account["name"]) == (newcomer.email, name)

    # ---- the erasure
    assert await refusal(person.call("POST", "/api/users/me/delete", json={"password": "wrong"})) == (
        403,
        "wrong_password",
    )
    await person.call("POST", "/api/users/me/delete", json={"password": PASSWORD})
    user_id = account["id"]

    async def forgotten():
        named = await everywhere(cinema, newcomer.email, name)
        return not named and await everywhere(cinema, user_id) <= KEPT_BY_ID.keys()

    try:
        await until(forgotten, seconds=90)
    except AssertionError:
        named, by_id = await everywhere(cinema, newcomer.email, name), await everywhere(cinema, user_id)
        raise AssertionError(f"still named in {named}, known by id in {by_id - KEPT_BY_ID.keys()}") from None

    async def refused_by_all():
        return set(await statuses(cinema, person)) == {401}

    await until(refused_by_all)
    staff = await cinema.person("admin")
    seen = await staff.call("GET", f"/api/bookings/{paid['hold_id']}")
    assert (seen["state"], seen["email"], seen["reference"]) == ("confirmed", None, booking["reference"])
    ledger = await staff.call("GET", f"/api/payments/{paid['hold_id']}")
    assert (ledger["captured"], ledger["refunded"]) == (booking["amount"], 0)
    assert (await staff.call("GET", f"/api/bookings/{unpaid['hold_id']}"))["state"] == "cancelled"
    assert not await cinema.taken(other_showtime)
    lines = await staff.call("GET", "/api/admin/audit", params={"user_id": user_id, "action": "account_deleted"})
    assert [(line["actor_id"], line["user_name"]) for line in lines["items"]] == [(user_id, None)]
    again = await newcomer.auth("register", email=newcomer.email, password=PASSWORD, name=name)
    assert again["user"]["user_id"] != user_id


async def mails(newcomer: Newcomer) -> list[dict]:
    async with asyncio.timeout(60):
        while len(found := await newcomer.inbox()) < 2:
            await asyncio.sleep(0.1)
    return found


async def test_an_admin_invites_a_manager_who_plans_their_own_theater_alone(large_cinema):
    cinema, admin = large_cinema, await large_cinema.person("admin")
    theaters = (await admin.call("GET", "/api/theaters"))["items"]
    own, others = theaters[0]["id"], theaters[1]["id"]
    invited = Newcomer(cinema)
    grant = {"roles": ["theater_manager"], "theaters": [own]}
    body = {"email": invited.email, "name": name_of(invited), "grant": grant}
    await admin.call("POST", "/api/admin/invitations", json=body)
    page, token = await invited.link("You're invited to join the team on Usher")
    assert page == "accept-invitation"
    manager = invited.acting(await invited.auth("accept-invitation", token=token, password=PASSWORD))
    assert (await manager.call("GET", "/api/users/me"))["theaters"] == [own]
    lists = [f"/api/theaters/{theater}/price-lists" for theater in (own, others)]
    await manager.call("GET", lists[0])
    with pytest.raises(Refused) as refused:
        await manager.call("GET", lists[1])
    assert refused.value.status == 403
    assert await refusal(manager.call("GET", "/api/admin/users")) == (403, "forbidden")
