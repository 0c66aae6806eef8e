"""Reminders: when they are due, that each is sent once by the facts as they are, and how people turn them off."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from chassis.testing import replica_of, until
from contracts.booking import (
    BookingAdopted,
    BookingCancelled,
    BookingConfirmed,
    BookingEmailChanged,
    BookingExchanged,
    BookingRescheduled,
    BookingTicketsCancelled,
    BookingTicketsExchanged,
)
from contracts.envelope import Event
from contracts.identity import ExportRequested, UserDeleted
from contracts.notifier import NotifierDataExported
from contracts.types import Holder
from hypothesis import given
from hypothesis import strategies as st
from notifier.jobs import queue_reminders
from notifier.mails import reminder_context
from notifier.model import QUIET_FROM, QUIET_UNTIL, is_too_late, next_reminder
from notifier.store import Message, ReminderPlan, plans
from prometheus_client import REGISTRY

from .conftest import LINK_KEY, confirmed

START = datetime(2027, 3, 28, 18, 0, tzinfo=UTC)
"""20:00 in Berlin, on the day on which daylight saving time begins."""
HOUR = timedelta(hours=1)


def due_times(start: datetime, told_at: datetime, zone: str = "Europe/Berlin") -> list[tuple[str, datetime]]:
    found, after = list[tuple[str, datetime]](), told_at
    while reminder := next_reminder(start, zone, told_at, after):
        found.append(reminder)
        after = reminder.due_at
    return found


def test_reminders_are_due_a_day_and_two_hours_before_the_start():
    assert due_times(START, START - 30 * HOUR) == [("early", START - 24 * HOUR), ("late", START - 2 * HOUR)]


@pytest.mark.parametrize(("hours", "left"), [(24, ["late"]), (10, ["late"]), (2, []), (1, [])])
def test_a_customer_who_learns_the_start_late_gets_only_the_reminders_that_are_left(hours: int, left: list[str]):
    assert [slot for slot, _ in due_times(START, START - hours * HOUR)] == left


@pytest.mark.parametrize(
    ("start", "morning"),
    [
        (datetime(2027, 3, 27, 22, 30, tzinfo=UTC), datetime(2027, 3, 27, 7, 0, tzinfo=UTC)),  # 23:30, winter
        (datetime(2027, 3, 28, 22, 30, tzinfo=UTC), datetime(2027, 3, 28, 6, 0, tzinfo=UTC)),  # 00:30, summer
    ],
)
def test_the_early_reminder_waits_for_the_morning_at_the_theater(start: datetime, morning: datetime):
    assert due_times(start, start - 48 * HOUR)[0] == ("early", morning)


moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    start=moments, told=st.floats(0, 60), zone=st.sampled_from(["Europe/Berlin", "America/St_Johns", "Asia/Kolkata"])
)
def test_a_reminder_is_due_in_time_and_never_at_night(start: datetime, told: float, zone: str):
    told_at = start - timedelta(hours=told)
    found = due_times(start, told_at, zone)
    assert [slot for slot, _ in found] == [slot for slot, hours in (("early", 24), ("late", 2)) if told > hours]
    for slot, due_at in found:
        assert told_at < due_at
        assert not is_too_late("early" if slot == "early" else "late", start, due_at)
        if slot == "early":
            assert QUIET_UNTIL <= due_at.astimezone(ZoneInfo(zone)).time() < QUIET_FROM


# With the services: the clock of the job is a parameter, the start is in the future.


def start_in(hours: float) -> datetime:
    return (now() + timedelta(hours=hours)).replace(microsecond=0)


def booked(hours: float = 40, **fields: Any) -> BookingConfirmed:
    start = start_in(hours)
    screening = {"starts_at": start, "ends_at": start + 2 * HOUR, "address": "Unter den Linden 1, Berlin"}
    return confirmed(screening=screening, **{"email": f"{new_id()}@usher.example"} | fields)


async def publish(bus, *events: Event) -> None:
    """Publish events and wait until each is handled."""
    for event in events:
        before = handled(event)
        await bus.publish(event)

        async def is_handled(event: Event = event, before: float = before) -> bool:
            return handled(event) > before

        await until(is_handled)


def handled(event: Event) -> float:
    return REGISTRY.get_sample_value("usher_event_seconds_count", {"type": event.type}) or 0.0


async def planned(event) -> ReminderPlan:
    plan = await plans.get(event.booking_id)
    assert plan
    return plan


@pytest.fixture
def sender(client):
    from notifier.main import sender  # noqa: PLC0415 - the settings read the environment

    return sender


async def make_due(event, slot: str) -> None:
    """Shift the booking's showtime, so that its reminder is due now."""
    start = now() + (timedelta(hours=23, minutes=50) if slot == "early" else 1.9 * HOUR)
    due = {"due_at": now() - timedelta(minutes=1), "slot": slot, "screening.starts_at": start}
    assert await plans.update({"_id": event.booking_id}, {"$set": due})


async def reminders(event) -> list[Message]:
    return await Message.find({"kind": "reminder", "address": event.email}).sort("_id").to_list()


async def sent(mail_server, event):
    async def found():
        return [message for message in await reminders(event) if message.state == "sent"]

    (message,) = await until(found)
    (mail,) = mail_server.mails_with_key(message.key)
    return mail


@pytest.mark.parametrize(
    ("slot", "texts"),
    [
        ("early", ("Reminder: Metropolis", "Your film is coming up", "Seats: F7, F8", "Turn off reminders")),
        ("late", ("Gleich geht es los: Metropolis", "beginnt bald", "Plätze: F7, F8", "Erinnerungen abschalten")),
    ],
)
async def test_the_mail_shows_what_a_visitor_needs(bus, mail_server, sender, slot, texts):
    event = booked(locale="en" if slot == "early" else "de")
    await publish(bus, event)
    await make_due(event, slot)
    await queue_reminders(sender, now())
    mail = await sent(mail_server, event)
    assert mail["Subject"].startswith(texts[0])
    text = mail.get_body(("plain",)).get_content()
    html = mail.get_body(("html",)).get_content()
    page = f"http://127.0.0.1:8080/bookings/{event.booking_id}"
    for shown in (*texts[1:], "Metropolis", "Usher Mitte, Auditorium 2", "Unter den Linden 1, Berlin", "K7QF2M", page):
        assert shown in text
    for shown in ("F7, F8", "openstreetmap.org", "Unter den Linden 1", page, "/reminders#token="):
        assert shown in html
    assert "signed.text" not in text + html
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_guests_reminder_has_the_link_to_the_booking_while_its_key_is_known(client):
    for key, shown in ((LINK_KEY, "#key=secret-of-the-link"), ("a key that was replaced", "")):
        event = booked(sealed_link=Cipher(key).encrypt("secret-of-the-link"))
        plan = ReminderPlan(
            id=event.booking_id,
            email=event.email,
            sealed_link=event.sealed_link,
            seats=[ticket.seat for ticket in event.tickets],
            screening=event.screening,
            expires_at=now(),
        )
        assert reminder_context(plan, "early").url == f"http://127.0.0.1:8080/bookings/{event.booking_id}{shown}"


async def test_each_reminder_is_queued_once_by_several_replicas(client, bus, mail_server, sender):
    event = booked()
    await publish(bus, event)
    await make_due(event, "early")
    async with replica_of("notifier"):  # its own job finds the same plan
        await asyncio.gather(*(queue_reminders(sender, now()) for _ in range(5)))
        await sent(mail_server, event)
    await make_due(event, "late")
    await asyncio.gather(*(queue_reminders(sender, now()) for _ in range(5)))

    async def both():
        return [message for message in await reminders(event) if message.state == "sent"][1:]

    await until(both)
    queued = await reminders(event)
    assert [message.key.split(".")[2] for message in queued] == ["early", "late"]
    assert {message.booking_id for message in queued} == {event.booking_id}, "the booking's page learns of a failure"
    assert (await planned(event)).due_at is None


async def test_a_reminder_that_would_help_no_more_is_not_sent_after_an_outage(client, bus, mail_server, sender):
    late, early = booked(), booked()
    await publish(bus, late, early)
    for event, slot in ((late, "late"), (early, "early")):
        start = event.screening.starts_at
        due = {"due_at": start - 2 * HOUR, "slot": slot, "told_at": start - 40 * HOUR}
        await plans.update({"_id": event.booking_id}, {"$set": due})
        await queue_reminders(sender, start - timedelta(minutes=20))
    assert await reminders(late) == await reminders(early) == []
    assert (await planned(late)).due_at is None


def ended(event, **fields) -> BookingCancelled:
    known = {"booking_id": event.booking_id, "showtime_id": "s1", "seats": ["F7"], "holder": event.holder}
    return BookingCancelled(**{**known, "reason": "by_customer", "refund_amount": 2100, "currency": "EUR", **fields})


def exchanged(event) -> BookingExchanged:
    known = {"booking_id": event.booking_id, "showtime_id": "s1", "seats": ["F7"], "holder": event.holder}
    return BookingExchanged(**known, replaced_by=new_id())


def moved(event, starts_at: datetime, moves: int = 1) -> BookingRescheduled:
    screening = event.screening.model_copy(update={"starts_at": starts_at, "ends_at": starts_at + 2 * HOUR})
    return BookingRescheduled(
        booking_id=event.booking_id,
        reference=event.reference,
        holder=event.holder,
        screening=screening,
        previous_starts_at=event.screening.starts_at,
        moves=moves,
    )


def without(event, *seats, remaining=()) -> BookingTicketsCancelled:
    return BookingTicketsCancelled(
        booking_id=event.booking_id,
        refund_id=new_id(),
        reference=event.reference,
        showtime_id="s1",
        holder=event.holder,
        screening=event.screening,
        seats=list(seats),
        remaining=list(remaining),
        reason="by_customer",
        refund_amount=0,
        currency="EUR",
    )


def all_cancelled(event) -> BookingTicketsCancelled:
    return without(event, *(ticket.seat for ticket in event.tickets))


def some_exchanged(event, *seats, remaining=()) -> BookingTicketsExchanged:
    facts = without(event, *seats, remaining=remaining).model_dump()
    return BookingTicketsExchanged.model_validate(facts | {"replaced_by": new_id()})


@pytest.mark.parametrize(("order", "change"), [((0, 1), without), ((1, 0), without), ((1, 0), some_exchanged)])
async def test_a_reminder_names_only_seats_with_a_valid_ticket(bus, mail_server, sender, order, change):
    event = booked()
    first, second = (ticket.seat for ticket in event.tickets)
    events = event, change(event, first, remaining=[second])
    await publish(bus, *(events[place] for place in order))
    await make_due(event, "early")
    await queue_reminders(sender, now())
    mail = await sent(mail_server, event)
    assert "Seats: F8\r\n" in mail.get_body(("plain",)).get_content()


@pytest.mark.parametrize("is_first", [False, True])
@pytest.mark.parametrize("end", [ended, exchanged, all_cancelled])
async def test_a_booking_that_has_ended_gets_no_reminder(client, bus, end, is_first):
    event = booked()
    await publish(bus, *((end(event), event) if is_first else (event, end(event))))
    plan = await planned(event)
    assert (plan.is_ended, plan.due_at, plan.email, plan.screening) == (True, None, "", None)


async def test_an_unpaid_booking_that_is_cancelled_leaves_no_plan(client, bus, mail_server):
    event = booked()
    await publish(bus, ended(event, refund_amount=None))
    assert await plans.get(event.booking_id) is None


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
async def test_a_moved_showtime_is_planned_anew(client, bus, mail_server, order):
    event = booked(60)
    second = start_in(90)
    events = [event, moved(event, start_in(50)), moved(event, second, moves=2)]
    await publish(bus, *(events[place] for place in order))
    plan = await planned(event)
    assert plan.screening and plan.slot == "early"
    assert plan.screening.starts_at == second
    assert plan.due_at == next_reminder(second, "Europe/Berlin", now(), now()).due_at  # pyright: ignore[reportOptionalMemberAccess]
    assert (plan.email, len(plan.seats)) == (event.email, 2)


CHANGES = {
    "the booking has no tickets": {"seats": []},
    "the showtime has a new time": {"screening.starts_at": START + 900 * HOUR},
    "reminders are turned off": {"is_off": True},
}


@pytest.mark.parametrize("reason", CHANGES)
async def test_a_waiting_reminder_is_dropped_when_the_facts_change(client, bus, mail_server, sender, reason):
    event = booked()
    await publish(bus, event)
    await make_due(event, "early")
    await mail_server.close()
    await queue_reminders(sender, now())
    await until(lambda: Message.find_one({"address": event.email, "kind": "reminder", "state": "queued"}))
    await plans.update({"_id": event.booking_id}, {"$set": CHANGES[reason]})
    await until(lambda: Message.find_one({"address": event.email, "state": "failed", "reason": reason}))
    await mail_server.open()


async def token_of(bus, mail_server, sender, event) -> tuple[str, str]:
    """Return the address for one-click unsubscription in the reminder of a new booking, and its token."""
    await publish(bus, event)
    await make_due(event, "early")
    await queue_reminders(sender, now())
    mail = await sent(mail_server, event)
    address = mail["List-Unsubscribe"].strip("<>")
    page = re.search(r"/reminders#token=(\S+)", mail.get_body(("plain",)).get_content())
    assert page and page[1] == address.partition("token=")[2]
    return f"{urlsplit(address).path}?{urlsplit(address).query}", page[1]


async def test_one_click_turns_off_all_reminders_to_the_address(client, bus, mail_server, sender):
    event = booked()
    address, token = await token_of(bus, mail_server, sender, event)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    opened = await client.get(address, follow_redirects=False)
    assert (opened.status_code, opened.headers["location"].endswith(f"/reminders#token={token}")) == (303, True)
    choices = "/api/notifications/reminder-choices"
    assert (await client.post(choices, json={"token": token})).json() == {"booking": True, "address": True}
    for _ in range(2):
        answer = await client.post(address, content="List-Unsubscribe=One-Click", headers=form)
        assert answer.status_code == 204
    assert (await client.post(choices, json={"token": token})).json() == {"booking": True, "address": False}

    other = booked(email=event.email.upper())
    await publish(bus, other)
    await make_due(other, "early")
    await queue_reminders(sender, now())
    assert await reminders(other) == []


async def test_the_page_turns_off_one_booking_and_turns_it_on_again(client, bus, mail_server, sender):
    _, token = await token_of(bus, mail_server, sender, booked())
    for is_on in (False, False, True):
        answer = await client.post(
            "/api/notifications/reminder-choices", json={"token": token, "booking": is_on, "address": True}
        )
        assert answer.json() == {"booking": is_on, "address": True}


@pytest.mark.parametrize("token", ["", "rubbish", "x" * 1000])
async def test_an_invented_link_is_refused(client, token):
    for method, path in (("GET", "unsubscribe"), ("POST", "unsubscribe")):
        answer = await client.request(method, f"/api/notifications/{path}", params={"token": token})
        assert (answer.status_code, answer.json()["code"]) == (404, "reminder_link_invalid")
    answer = await client.post("/api/notifications/reminder-choices", json={"token": token})
    assert (answer.status_code, answer.json()["code"]) == (404, "reminder_link_invalid")


async def test_people_turn_reminders_off_in_their_account(client, bus, mail_server, sender, signer):
    user_id = new_id()
    headers, path = signer.headers(user_id), "/api/notifications/preferences"
    event = booked(holder=Holder(user_id=user_id))
    for is_on in (True, False, False, True):
        await client.put(path, json={"reminders": is_on}, headers=headers)
        assert (await client.get(path, headers=headers)).json() == {"reminders": is_on}
    await client.put(path, json={"reminders": False}, headers=headers)
    await publish(bus, event)
    await make_due(event, "early")
    await queue_reminders(sender, now())
    assert await reminders(event) == []
    assert (await client.get(path)).status_code == 401
    unverified = signer.headers(user_id, email_verified=False)
    assert (await client.put(path, json={"reminders": True}, headers=unverified)).status_code == 403
    assert (await client.put(path, json={"reminders": "?"}, headers=headers)).status_code == 422


async def test_reminders_follow_a_new_address_and_a_new_owner(client, bus, mail_server):
    event, user_id = booked(holder=Holder(secret_hash="0" * 64)), new_id()
    first, second = (
        BookingEmailChanged(
            booking_id=event.booking_id,
            mailing_id=new_id(),
            reference=event.reference,
            holder=event.holder,
            email=event.email,
            new_email=f"{name}@usher.example",
            screening=event.screening,
            was_mailed=False,
        )
        for name in ("first", "second")
    )
    await publish(bus, event, second, first)
    assert (await planned(event)).email == "second@usher.example"
    adopted = BookingAdopted(booking_id=event.booking_id, showtime_id="s1", user_id=user_id, has_tickets=True)
    await publish(bus, adopted)
    assert ((await planned(event)).user_id, (await planned(event)).sealed_link) == (user_id, None)


async def test_planned_reminders_are_exported_and_erased(client, bus, mail_server, signer):
    user_id, export_id = new_id(), new_id()
    event = booked(holder=Holder(user_id=user_id))
    await publish(bus, event)
    await client.put("/api/notifications/preferences", json={"reminders": False}, headers=signer.headers(user_id))
    await bus.publish(ExportRequested(export_id=export_id, user_id=user_id))
    export = await bus.wait_for(NotifierDataExported, lambda found: found.export_id == export_id)
    assert {"planned_reminder", "reminders_turned_off"} <= {item["kind"] for item in export.items}
    await publish(bus, UserDeleted(user_id=user_id), event)
    assert await plans.get(event.booking_id) is None


async def test_due_reminders_are_found_by_an_index(client):
    where = {"due_at": {"$lte": now(), "$type": "date"}}
    plan = await ReminderPlan.get_pymongo_collection().find(where).sort("due_at").explain()
    assert "due_at_1" in str(plan["queryPlanner"]["winningPlan"])
    assert "SORT" not in str(plan["queryPlanner"]["winningPlan"])
