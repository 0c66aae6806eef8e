"""The personal data that the notifier stores is erased, exported, and deleted after its retention time."""

from datetime import timedelta

import pytest
from chassis import privacy
from chassis.ids import new_id
from chassis.testing import until
from contracts.identity import ExportRequested, SecurityNoticed, UserDeleted
from contracts.notifier import NotifierDataExported
from contracts.types import Holder
from notifier import migrations
from notifier.store import Message

from .conftest import confirmed, ticket
from .test_accounts import notice


@pytest.fixture
def user_id() -> str:
    return new_id()


async def mailed(bus, user_id: str):
    """Send a person a mail with tickets and a security notice."""
    booking, security = confirmed(holder=Holder(user_id=user_id)), notice(user_id=user_id)
    for event in (booking, security):
        await bus.publish(event)
    await sent(f"confirmation.{booking.booking_id}", f"security.{security.notice_id}")
    return booking, security


async def sent(*keys: str) -> None:
    async def all_sent():
        return await Message.find({"key": {"$in": keys}, "state": "sent"}).count() == len(keys)

    await until(all_sent)


async def stored(key: str) -> str:
    return str(await Message.get_pymongo_collection().find_one({"key": key}))


def personal(text: str, user_id: str) -> bool:
    return any(word in text for word in ("ada@", "Ada", "K7QF2M", "signed.text", user_id))


async def test_the_database_contains_no_ticket_code(client, bus, mail_server, user_id):
    booking, _ = await mailed(bus, user_id)
    key = f"confirmation.{booking.booking_id}"
    assert "signed.text" not in await stored(key)

    event = booking.model_copy(update={"sealed_codes": None, "tickets": [ticket()]})
    messages = Message.get_pymongo_collection()
    await messages.update_one({"key": key}, {"$set": {"event": event.model_dump_json(exclude_none=True)}})
    assert "signed.text" in await stored(key)
    for removed in (1, 0):
        assert await migrations.remove_ticket_codes(messages.database) == removed
    assert "signed.text" not in await stored(key)


async def exported(bus, user_id: str) -> NotifierDataExported:
    export_id = new_id()
    await bus.publish(ExportRequested(export_id=export_id, user_id=user_id))
    return await bus.wait_for(NotifierDataExported, lambda event: event.export_id == export_id)


async def test_an_export_lists_the_mails_with_their_addresses(client, bus, mail_server, user_id):
    await mailed(bus, user_id)
    export = await exported(bus, user_id)
    assert {(item["kind"], item["address"], item.get("state")) for item in export.items} == {
        ("confirmation", "ada@usher.example", "sent"),
        ("security", "ada@usher.example", "sent"),
        ("planned_reminder", "ada@usher.example", None),
    }
    assert "signed.text" not in str(export.items)
    assert (await exported(bus, new_id())).items == []


async def test_a_deleted_persons_mails_are_erased_and_not_sent_again(client, bus, mail_server, user_id):
    booking, security = await mailed(bus, user_id)
    other = confirmed(holder=Holder(user_id=new_id()))
    await bus.publish(other)
    await sent(f"confirmation.{other.booking_id}")
    for _ in range(2):
        await bus.publish(UserDeleted(user_id=user_id))
    keys = f"confirmation.{booking.booking_id}", f"security.{security.notice_id}"

    async def emptied():
        return not any([personal(await stored(key), user_id) for key in keys])

    await until(emptied)
    assert "ada@usher.example" in await stored(f"confirmation.{other.booking_id}")
    await bus.publish(booking)
    assert (await exported(bus, user_id)).items == []
    assert len(mail_server.mails_for(booking)) == 1


async def test_the_mail_about_the_deletion_is_sent_and_then_erased(client, bus, mail_server, user_id, monkeypatch):
    monkeypatch.setattr(privacy, "FIRST_AGAIN", timedelta(0))
    mail_server.data_replies = ["451 4.3.0 busy"] * 5
    security = notice(user_id=user_id, what="account_deleted")
    assert isinstance(security, SecurityNoticed)
    await bus.publish(security)
    await bus.publish(UserDeleted(user_id=user_id))
    mail = await mail_server.mail_with_key(f"security.{security.notice_id}")
    assert mail["To"] == "Ada Lovelace <ada@usher.example>"

    async def emptied():
        return not personal(await stored(f"security.{security.notice_id}"), user_id)

    await until(emptied)


async def test_mongodb_deletes_messages_after_30_days(client, bus, mail_server, user_id):
    booking, _ = await mailed(bus, user_id)
    (message,) = await Message.find({"key": f"confirmation.{booking.booking_id}"}).to_list()
    assert message.expires_at == message.queued_at + timedelta(days=30)
    indexes = await Message.get_pymongo_collection().index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0


async def test_a_persons_messages_are_found_by_an_index(client):
    where = {"user_id": {"$eq": "u1", "$type": "string"}}
    plan = await Message.get_pymongo_collection().find(where).explain()
    assert "user_id_1" in str(plan["queryPlanner"]["winningPlan"])
