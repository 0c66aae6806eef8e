"""A person deletes the account, and exports all data about them."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from contracts import topology
from contracts.booking import BookingDataExported
from contracts.envelope import Event
from contracts.identity import (
    AccessRevoked,
    ExportRequested,
    PasswordResetRequested,
    SecurityNoticed,
    UserDeleted,
)
from contracts.payment import PaymentDataExported
from identity import jobs, settings, store
from identity.model import WrongPassword
from identity.store import deletions, exports

from .conftest import PASSWORD, mailed_token, registered
from .staff import PEOPLE, Someone, audited, someone

DELETE, EXPORT = "/api/users/me/delete", "/api/users/me/export"
OTHERS = {"booking", "payment"}
"""Those that this module answers for; the rest it answers with nothing."""


@pytest.fixture
async def grace(client) -> Someone:
    return await someone(client, name="Grace Hopper")


async def traces(person: Someone) -> list[str]:
    """Return where the database contains the person, except their document and the audit log."""
    database = store.User.get_pymongo_collection().database
    names = [name for name in await database.list_collection_names() if name not in {"audit", "users"}]
    documents = [(name, str(document)) for name in names async for document in database[name].find()]
    return [name for name, text in documents if person.user_id in text or person.email in text]


# ---------------------------------------------------------------- deletion


async def test_a_deleted_account_is_erased(client, bus, grace):
    await client.post("/api/auth/forgot-password", json={"email": grace.email})
    await mailed_token(bus, PasswordResetRequested, grace.email)
    await grace.act("POST", EXPORT, json={"password": PASSWORD})
    assert (await grace.ask("POST", DELETE, json={"password": PASSWORD})).status_code == 204
    assert (await grace.ask("GET", "/api/users/me")).status_code == 401
    assert (await grace.signs_in()).json()["code"] == "wrong_credentials"
    refreshed = await client.post("/api/auth/refresh", json={"refresh_token": grace.answer["refresh_token"]})
    assert refreshed.status_code == 401
    await bus.wait_for(UserDeleted, lambda event: event.user_id == grace.user_id)
    await bus.wait_for(AccessRevoked, lambda event: event.user_id == grace.user_id)
    told = await bus.wait_for(
        SecurityNoticed, lambda event: (event.what, event.email) == ("account_deleted", grace.email)
    )
    assert told.name == "Grace Hopper"

    async def forgotten():
        await jobs.forget_deleted()
        kept = await store.User.get_pymongo_collection().find_one({"_id": grace.user_id})
        return not await traces(grace) and kept and not {"Grace", grace.email} & set(str(kept).split("'"))

    await until(forgotten)
    assert (await audited("account_deleted", grace.user_id)).actor_id == grace.user_id


async def test_the_document_is_deleted_when_all_tokens_have_expired(client, grace, monkeypatch):
    await grace.act("POST", DELETE, json={"password": PASSWORD})
    await jobs.forget_deleted()
    assert await store.User.find({"_id": grace.user_id}).count() == 1
    assert timedelta(hours=1) < deletions.KEPT
    monkeypatch.setattr(deletions, "KEPT", timedelta(0))

    async def dropped():
        await jobs.forget_deleted()
        return not await store.User.find({"_id": grace.user_id}).count()

    await until(dropped)


async def test_the_address_can_be_used_again(client, bus, grace):
    await grace.act("POST", DELETE, json={"password": PASSWORD})
    answer = await registered(client, grace.email)
    assert answer.json()["user"]["user_id"] != grace.user_id
    assert (await client.post("/api/auth/forgot-password", json={"email": grace.email})).status_code == 202
    assert not bus.events(PasswordResetRequested, lambda event: event.email == grace.email)


async def test_an_earlier_link_does_not_open_a_deleted_account(client, bus, grace):
    await client.post("/api/auth/forgot-password", json={"email": grace.email})
    token = await mailed_token(bus, PasswordResetRequested, grace.email)
    await grace.act("POST", DELETE, json={"password": PASSWORD})
    late = await client.post("/api/auth/reset-password", json={"token": token, "password": "another password"})
    assert (late.status_code, late.json()["code"]) == (410, "link_void")


@pytest.mark.parametrize("path", [DELETE, EXPORT])
async def test_both_require_the_password(client, grace, path):
    for body, status in (
        ({}, 422),
        ({"password": ""}, 422),
        ({"password": "x" * 5000}, 422),
        ({"password": PASSWORD, "sure": True}, 422),
        ({"password": "not the password"}, 403),
    ):
        assert (await grace.ask("POST", path, json=body)).status_code == status
    assert (await client.post(path, json={"password": PASSWORD})).status_code == 401
    pending = (await registered(client, f"{new_id()}@usher.example")).json()
    refused = await client.post(
        path, json={"password": PASSWORD}, headers={"Authorization": f"Bearer {pending['access_token']}"}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "email_unverified")
    assert (await grace.act("GET", "/api/users/me"))["name"] == "Grace Hopper"


async def test_guessing_the_password_there_is_throttled(grace):
    guesses = (grace.ask("POST", DELETE, json={"password": f"guess number {number}"}) for number in range(20))
    assert {answer.status_code for answer in await asyncio.gather(*guesses)} == {403, 429}


async def test_two_concurrent_deletions_are_one(bus, grace):
    answers = await asyncio.gather(*(grace.ask("POST", DELETE, json={"password": PASSWORD}) for _ in range(4)))
    assert [answer.status_code for answer in answers].count(204) == 1
    await bus.wait_for(UserDeleted, lambda event: event.user_id == grace.user_id)
    assert len(bus.events(UserDeleted, lambda event: event.user_id == grace.user_id)) == 1


async def test_a_replaced_password_deletes_nothing(grace):
    with pytest.raises(WrongPassword):
        await store.delete_account(grace.user_id, grace.user_id, now(), "the hash of another password")
    assert (await grace.ask("GET", "/api/users/me")).status_code == 200


async def test_an_admin_deletes_an_account_on_request(client, bus, grace):
    admin = await someone(client, "admin")
    await admin.act("POST", f"{PEOPLE}/{grace.user_id}/deactivate")
    await admin.act("DELETE", f"{PEOPLE}/{grace.user_id}")
    assert (await admin.ask("GET", f"{PEOPLE}/{grace.user_id}")).status_code == 404
    assert (await admin.ask("DELETE", f"{PEOPLE}/{grace.user_id}")).status_code == 404
    assert (await admin.act("GET", PEOPLE, params={"search": "deleted.invalid"}))["items"] == []
    await bus.wait_for(UserDeleted, lambda event: event.user_id == grace.user_id)
    assert (await audited("account_deleted", grace.user_id)).actor_id == admin.user_id


# ---------------------------------------------------------------- export


async def begun(bus, person: Someone) -> ExportRequested:
    answer = await person.ask("POST", EXPORT, json={"password": PASSWORD})
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "gathering"
    return await bus.wait_for(ExportRequested, lambda event: event.user_id == person.user_id)


def silent(asked: ExportRequested) -> list[Event]:
    """Publish empty answers of the other services."""
    heard = [event for event in topology.CONSUMES["identity"] if event.type.endswith("personal_data_exported.v1")]
    others = [event for event in heard if event.source() not in OTHERS]
    nothing = {"export_id": asked.export_id, "part": 0, "is_last": True, "items": []}
    return [event.model_validate(nothing) for event in others]


def bookings(asked: ExportRequested, part: int, count: int, *, is_last: bool) -> BookingDataExported:
    items = [{"id": f"b{part}-{number}", "seats": ["Ä1"]} for number in range(count)]
    return BookingDataExported(export_id=asked.export_id, part=part, is_last=is_last, items=items)


def payments(asked: ExportRequested) -> PaymentDataExported:
    return PaymentDataExported(export_id=asked.export_id, part=0, is_last=True, items=[{"amount": 1250}])


async def ready(person: Someone) -> Any:
    async def is_ready():
        shown = await person.act("GET", EXPORT)
        return shown if shown["state"] == "ready" else None

    return await until(is_ready)


async def test_an_export_is_collected_and_downloaded_as_one_document(bus, grace):
    asked = await begun(bus, grace)
    waiting = await grace.ask("GET", f"{EXPORT}/data")
    assert (waiting.status_code, waiting.json()["code"]) == (409, "export_gathering")
    # The parts arrive out of order, and one twice.
    last = bookings(asked, 2, 1, is_last=True)
    for said in (last, payments(asked), bookings(asked, 0, 2, is_last=False), last, *silent(asked)):
        await bus.publish(said)
    shown = await grace.act("GET", EXPORT)
    assert shown["state"] == "gathering", "a part is still missing"
    await bus.publish(bookings(asked, 1, 2, is_last=False))
    assert (await ready(grace))["missing"] == []
    download = await grace.ask("GET", f"{EXPORT}/data")
    assert download.headers["content-disposition"] == 'attachment; filename="usher-export.json"'
    assert download.headers["cache-control"] == "no-store"
    document = json.loads(download.text)
    assert document["user_id"] == grace.user_id
    assert [item["id"] for item in document["booking"]] == ["b0-0", "b0-1", "b1-0", "b1-1", "b2-0"]
    assert "Ä1" in download.text
    assert document["payment"] == [{"amount": 1250}]
    assert set(store.ASKED) | {"identity", "user_id", "exported_at", "missing"} == set(document)
    account, *rest = document["identity"]
    assert (account["kind"], account["email"], account["name"]) == ("account", grace.email, "Grace Hopper")
    assert {item["kind"] for item in rest} >= {"session"}
    assert not any(secret in download.text for secret in ("argon2", "_hash", "sealed", "outbox"))
    await bus.wait_for(SecurityNoticed, lambda event: (event.user_id, event.what) == (grace.user_id, "export_ready"))


async def test_a_second_request_soon_returns_the_same_export(bus, grace):
    asked = await begun(bus, grace)
    answers = await asyncio.gather(*(grace.ask("POST", EXPORT, json={"password": PASSWORD}) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(bus.events(ExportRequested, lambda event: event.user_id == grace.user_id)) == 1
    await store.Export.get_pymongo_collection().update_one(
        {"_id": grace.user_id}, {"$set": {"requested_at": now() - timedelta(minutes=11)}}
    )
    await grace.act("POST", EXPORT, json={"password": PASSWORD})
    later = await bus.wait_for(
        ExportRequested, lambda event: event.user_id == grace.user_id and event.export_id != asked.export_id
    )
    await bus.publish(payments(asked))
    await bus.publish(bookings(later, 0, 1, is_last=True))

    async def counted():
        return "booking" not in (await grace.act("GET", EXPORT))["missing"]

    await until(counted)
    assert "payment" in (await grace.act("GET", EXPORT))["missing"], "an answer to the earlier request does not count"


async def test_a_service_that_does_not_answer_is_listed_as_missing(bus, grace, monkeypatch):
    monkeypatch.setattr(settings.get(), "export_patience_seconds", 1)
    asked = await begun(bus, grace)
    for said in (bookings(asked, 0, 1, is_last=True), *silent(asked)):
        await bus.publish(said)
    shown = await ready(grace)
    assert shown["missing"] == ["payment"]
    document = (await grace.ask("GET", f"{EXPORT}/data")).json()
    assert (document["missing"], len(document["booking"]), document["payment"]) == (["payment"], 1, [])
    await bus.wait_for(
        SecurityNoticed, lambda event: (event.user_id, event.what) == (grace.user_id, "export_incomplete")
    )
    await bus.publish(payments(asked))

    async def completed():
        return (await grace.act("GET", EXPORT))["missing"] == []

    await until(completed)
    assert not bus.events(SecurityNoticed, lambda event: (event.user_id, event.what) == (grace.user_id, "export_ready"))


async def test_an_export_expires(bus, grace):
    asked = await begun(bus, grace)
    for said in (bookings(asked, 0, 1, is_last=True), payments(asked), *silent(asked)):
        await bus.publish(said)
    await ready(grace)
    await store.Export.get_pymongo_collection().update_one({"_id": grace.user_id}, {"$set": {"expires_at": now()}})
    for path in (EXPORT, f"{EXPORT}/data"):
        gone = await grace.ask("GET", path)
        assert (gone.status_code, gone.json()["code"]) == (404, "export_unknown")
    for kind in (store.Export, store.ExportPart):
        indexes = await kind.get_pymongo_collection().index_information()
        assert indexes["expires_at_1"]["expireAfterSeconds"] == 0
    answer = await grace.ask("POST", EXPORT, json={"password": PASSWORD})
    assert answer.status_code == 202


async def test_an_export_is_visible_to_its_person_only(client, bus, grace):
    await begun(bus, grace)
    stranger = await someone(client)
    for path in (EXPORT, f"{EXPORT}/data"):
        assert (await stranger.ask("GET", path)).status_code == 404
        assert (await client.get(path)).status_code == 401


async def test_an_answer_without_a_request_is_dropped(client, bus, grace):
    unknown = ExportRequested(export_id=new_id(), user_id=grace.user_id)
    await bus.publish(bookings(unknown, 0, 1, is_last=True))
    asked = await begun(bus, grace)
    await bus.publish(bookings(asked, 0, 0, is_last=True))

    async def counted():
        return "booking" not in (await grace.act("GET", EXPORT))["missing"]

    await until(counted)
    assert await store.ExportPart.find({"export_id": unknown.export_id}).count() == 0


async def test_a_part_of_an_earlier_export_does_not_count_for_the_next(bus, grace, monkeypatch):
    asked = await begun(bus, grace)
    insert = exports.export_parts.insert

    async def insert_late(part: store.ExportPart) -> bool:
        await store.Export.get_pymongo_collection().update_one(
            {"_id": grace.user_id}, {"$set": {"export_id": new_id()}}
        )
        return await insert(part)

    monkeypatch.setattr(exports.export_parts, "insert", insert_late)
    await store.take_part(bookings(asked, 0, 1, is_last=True), now())
    assert "booking" in (await grace.act("GET", EXPORT))["missing"]


async def test_an_export_contains_log_ins_and_actions_of_admins(client, bus, grace):
    admin = await someone(client, "admin")
    await admin.act("PUT", f"{PEOPLE}/{grace.user_id}/roles", json={"roles": ["box_office"]})
    await grace.signs_in()
    await audited("roles_changed", grace.user_id)
    kept = [item async for item in store.records_about(grace.user_id)]
    assert {item["kind"] for item in kept} == {"account", "session", "act"}
    assert kept[-1]["action"] == "roles_changed"


async def test_the_profile_links_to_the_bookings(grace):
    assert (await grace.act("GET", "/api/users/me"))["bookings"] == "/api/bookings"
    changed = await grace.act("PATCH", "/api/users/me", json={"name": "Rear Admiral Hopper"})
    assert changed["name"] == "Rear Admiral Hopper"
    found = await store.people_page(store.Wanted(words=["admiral"]), None, 100)
    assert grace.user_id in [user.id for user in found], "and the person is found by the new name"
