"""What the notifier keeps about people is erased, handed out, and let go of in time."""

from datetime import timedelta

import pytest
from chassis import privacy
from chassis.ids import new_id
from chassis.testing import until
from contracts.identity import ExportRequested, SecurityNoticed, UserDeleted
from contracts.notifier import NotifierDataExported
from contracts.types import Holder
from notifier.store import Message

from .conftest import confirmed
from .test_accounts import notice


@pytest.fixture
def user_id() -> str:
    return new_id()


async def mailed(bus, user_id: str):
    """A person's tickets and a word about their account, both sent."""
    booking, word = confirmed(holder=Holder(user_id=user_id)), notice(user_id=user_id)
    for event in (booking, word):
        await bus.say(event)
    await sent(f"confirmation.{booking.booking_id}", f"security.{word.notice_id}")
    return booking, word


async def sent(*keys: str) -> None:
    async def all_sent():
        return await Message.find({"key": {"$in": keys}, "state": "sent"}).count() == len(keys)

    await until(all_sent)


async def kept(key: str) -> str:
    return str(await Message.get_pymongo_collection().find_one({"key": key}))


def personal(text: str, user_id: str) -> bool:
    return any(word in text for word in ("ada@", "Ada", "K7QF2M", "signed.text", user_id))


async def exported(bus, user_id: str) -> NotifierDataExported:
    export_id = new_id()
    await bus.say(ExportRequested(export_id=export_id, user_id=user_id))
    return await bus.heard(NotifierDataExported, lambda event: event.export_id == export_id)


async def test_an_export_tells_which_mails_went_where(client, bus, postbox, user_id):
    await mailed(bus, user_id)
    told = await exported(bus, user_id)
    assert {(item["kind"], item["address"], item["state"]) for item in told.items} == {
        ("confirmation", "ada@usher.example", "sent"),
        ("security", "ada@usher.example", "sent"),
    }
    assert "signed.text" not in str(told.items)
    assert (await exported(bus, new_id())).items == []


async def test_a_deleted_persons_mails_are_emptied_and_not_sent_again(client, bus, postbox, user_id):
    booking, word = await mailed(bus, user_id)
    other = confirmed(holder=Holder(user_id=new_id()))
    await bus.say(other)
    await sent(f"confirmation.{other.booking_id}")
    for _ in range(2):
        await bus.say(UserDeleted(user_id=user_id))
    keys = f"confirmation.{booking.booking_id}", f"security.{word.notice_id}"

    async def emptied():
        return not any([personal(await kept(key), user_id) for key in keys])

    await until(emptied)
    assert "ada@usher.example" in await kept(f"confirmation.{other.booking_id}")
    await bus.say(booking)
    assert (await exported(bus, user_id)).items == []
    assert len(postbox.about(booking)) == 1


async def test_the_word_about_the_deletion_is_sent_and_then_emptied(client, bus, postbox, user_id, monkeypatch):
    monkeypatch.setattr(privacy, "FIRST_AGAIN", timedelta(0))
    postbox.to_texts = ["451 4.3.0 busy"] * 5
    word = notice(user_id=user_id, what="account_deleted")
    assert isinstance(word, SecurityNoticed)
    await bus.say(word)
    await bus.say(UserDeleted(user_id=user_id))
    mail = await postbox.has_keyed(f"security.{word.notice_id}")
    assert mail["To"] == "Ada Lovelace <ada@usher.example>"

    async def emptied():
        return not personal(await kept(f"security.{word.notice_id}"), user_id)

    await until(emptied)


async def test_mongodb_lets_go_of_messages_in_time(client, bus, postbox, user_id):
    booking, _ = await mailed(bus, user_id)
    (message,) = await Message.find({"key": f"confirmation.{booking.booking_id}"}).to_list()
    assert message.expires_at == message.queued_at + timedelta(days=30)
    indexes = await Message.get_pymongo_collection().index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0


async def test_a_persons_messages_are_found_by_an_index(client):
    where = {"user_id": {"$eq": "u1", "$type": "string"}}
    plan = await Message.get_pymongo_collection().find(where).explain()
    assert "user_id_1" in str(plan["queryPlanner"]["winningPlan"])
