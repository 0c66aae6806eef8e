import pytest
from chassis.security.secrets import Cipher
from chassis.testing import until
from notifier import settings
from notifier.store import Message

from .conftest import confirmed
from .test_changes import cancelled, rescheduled


@pytest.fixture
def staff(signer):
    return signer.headers(permissions=["notifications:read"])


async def test_staff_list_messages_with_masked_addresses(client, bus, mail_server, staff):
    event = confirmed(reference="SEEN")
    await bus.publish(event)
    await until(lambda: Message.find_one({"reference": "SEEN", "state": "sent"}))
    answer = await client.get("/api/notifications", headers=staff)
    assert answer.status_code == 200
    (shown,) = [item for item in answer.json()["items"] if item["reference"] == "SEEN"]
    assert shown["key"] == f"confirmation.{event.booking_id}"
    assert (shown["kind"], shown["state"], shown["attempts"]) == ("confirmation", "sent", 1)
    assert shown["to"] == "a***@usher.example"
    assert shown["sent_at"]
    assert event.email not in answer.text
    assert "signed.text" not in answer.text


async def all_sent(reference, count):
    return await Message.find({"reference": reference, "state": "sent"}).count() == count


async def test_pages_list_every_message_once_newest_first(client, bus, mail_server, staff):
    events = [confirmed(reference="PAGED") for _ in range(5)]
    for event in events:
        await bus.publish(event)
    await until(lambda: all_sent("PAGED", 5))
    seen, cursor = [], None
    while True:
        query = {"limit": 2, "state": "sent"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/notifications", params=query, headers=staff)).json()
        assert len(page["items"]) <= 2
        seen += page["items"]
        if not (cursor := page["next_cursor"]):
            break
    ids = [item["notification_id"] for item in seen]
    assert ids == sorted(set(ids), reverse=True)
    assert [item["reference"] for item in seen].count("PAGED") == 5


async def test_listing_requires_the_permission(client, signer):
    assert (await client.get("/api/notifications")).status_code == 401
    answer = await client.get("/api/notifications", headers=signer.headers(permissions=["bookings:read"]))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "state=lost", "cursor=rubbish", "cursor=WzFd", "cursor=" + "x" * 201]
)
async def test_invalid_input_is_rejected(client, staff, query):
    answer = await client.get(f"/api/notifications?{query}", headers=staff)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_service_becomes_ready(client):
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"mongodb": True, "consumer": True, "rabbitmq": True, "clock": True}


async def test_staff_see_a_mail_in_each_language_without_sending_it(client, signer):
    planner = signer.headers(permissions=["showtimes:write"], theaters=["t1"])
    before = await Message.find({}).count()

    async def previews(**events):
        body = {kind: event.model_dump(mode="json", exclude_none=True) for kind, event in events.items()}
        return await client.post("/api/notifications/previews", json=body, headers=planner)

    for event in ({"rescheduled": rescheduled()}, {"showtime_cancelled": cancelled()}):
        shown = (await previews(**event)).json()
        assert [mail["language"] for mail in shown] == ["de", "en"]
        assert "Metropolis" in shown[0]["subject"]
        assert ("Guten Tag" in shown[0]["text"], "Hello" in shown[1]["html"]) == (True, True)
    assert await Message.find({}).count() == before
    secret = Cipher(settings.get().link_key.get_secret_value()).encrypt("secret-of-a-link")
    shown = await previews(rescheduled=rescheduled().model_copy(update={"sealed_link": secret}))
    assert (shown.status_code, "secret-of-a-link" in shown.text) == (200, False), "staff cannot decrypt with a preview"
    nowhere = rescheduled()
    screening = nowhere.screening.model_copy(update={"time_zone": "Nowhere"})
    refused = await previews(rescheduled=nowhere.model_copy(update={"screening": screening}))
    assert (refused.status_code, refused.json()["code"]) == (422, "preview_impossible")
    assert (await client.post("/api/notifications/previews", json={"more": 1}, headers=planner)).status_code == 422
    other = signer.headers(permissions=["notifications:read"])
    assert (await client.post("/api/notifications/previews", json={}, headers=other)).status_code == 403
    assert (await client.post("/api/notifications/previews", json={})).status_code == 401
