"""The mails about transferred tickets: their content, to whom they go, and reminders without these tickets."""

from datetime import timedelta
from typing import Any

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from contracts.booking import BookingTicketOffered, BookingTicketTransferred, TransferredTicketChanged
from notifier.mails import render_stored
from notifier.model import Obsolete

from .conftest import LINK_KEY, confirmed
from .test_cancellations import F7, F8
from .test_changes import passed
from .test_reminders import booked, planned, publish

LINK = Cipher(LINK_KEY).encrypt("the-key")


def facts(*names: str) -> dict[str, Any]:
    return confirmed().model_dump(include={"booking_id", "screening", *names}) | {"seat": F7, "sealed_link": LINK}


def offered(**fields: Any) -> BookingTicketOffered:
    about = {"ticket_id": new_id(), "email": "grace@usher.example", "ticket_type": "student"}
    return BookingTicketOffered.model_validate(facts() | about | {"expires_at": now() + timedelta(hours=1)} | fields)


def transferred(**fields: Any) -> BookingTicketTransferred:
    about = {"ticket_id": new_id(), "previous_id": new_id(), "transfers": 1, "reason": "accepted"}
    return BookingTicketTransferred.model_validate(facts("reference", "holder", "email", "name") | about | fields)


def changed(**fields: Any) -> TransferredTicketChanged:
    about = {"ticket_id": new_id(), "email": "grace@usher.example", "change": "cancelled"}
    return TransferredTicketChanged.model_validate(facts() | about | fields)


MOVED = {"change": "moved", "previous_starts_at": confirmed().screening.starts_at - timedelta(hours=1), "moves": 1}


@pytest.mark.parametrize(
    ("kind", "event", "expected", "absent"),
    [
        (
            "ticket_offered",
            offered(sender="Ada", message="See <b>you</b> there"),
            ("Hello,", "From", "Ada", "Student", "Accept it by", "/tickets/", "#key=the-key", "See the ticket"),
            ("Ada Lovelace", "K7QF2M", "€"),
        ),
        (
            "ticket_offered",
            offered(locale="de"),
            ("Guten Tag,", "Studierende", "Annehmen bis", "Ticket ansehen"),
            ("Von:", "Nachricht"),
        ),
        (
            "ticket_transferred",
            transferred(),
            ("Hello Ada Lovelace,", "has accepted it", "K7QF2M", "/bookings/", "#key=the-key"),
            ("grace", "/tickets/"),
        ),
        ("ticket_transferred", transferred(reason="returned", locale="de"), ("wieder Ihnen", "/bookings/"), ("grace",)),
        (
            "transferred_ticket_changed",
            changed(**MOVED),
            ("new time", "20:15", "Instead of", "19:15", "/tickets/", "#key=the-key"),
            ("K7QF2M",),
        ),
        ("transferred_ticket_changed", changed(locale="de"), ("nicht mehr gültig",), ("Statt", "the-key", "K7QF2M")),
    ],
)
def test_the_mail_says_what_its_reader_may_know(kind, event, expected, absent):
    mail = render_stored(kind, event.model_dump_json(exclude_none=True))
    for form in (mail.text, mail.html):
        for text in (*expected, "F7", "Metropolis", "Usher Mitte"):
            assert text in form
        for text in absent:
            assert text not in form
    assert "<b>you" not in mail.html


def test_an_offer_that_has_ended_is_not_mailed():
    with pytest.raises(Obsolete):
        render_stored("ticket_offered", offered(expires_at=now() - timedelta(minutes=1)).model_dump_json())


async def test_each_is_mailed_once_to_its_reader(client, bus, mail_server):
    offer, told, change = offered(), transferred(), changed()
    passed_on = transferred(reason=None, email=None, transfers=2)
    for event in (offer, told, change, offer, told, change, passed_on):
        await bus.publish(event)
    await passed(bus, mail_server)
    for key, address in (
        (f"ticket_offered.{offer.ticket_id}", "grace@"),
        (f"ticket_transferred.{told.booking_id}.1", "ada@"),
        (f"transferred_ticket_changed.{change.ticket_id}.cancelled.0", "grace@"),
    ):
        [mail] = mail_server.mails_with_key(key)
        assert address in mail["To"]
    assert not mail_server.mails_with_key(f"ticket_transferred.{passed_on.booking_id}.2")


@pytest.mark.parametrize("is_first", [True, False])
async def test_reminders_leave_out_transferred_tickets(client, bus, is_first):
    """In any order of the events: the count of the transfers decides."""
    event = booked()
    seats = [ticket.seat for ticket in event.tickets]
    about = {"booking_id": event.booking_id, "screening": event.screening}
    one, none, both = (
        transferred(**about, seats=kept, transfers=count) for count, kept in ((1, seats[1:]), (2, []), (4, seats))
    )
    await publish(bus, *([one, event] if is_first else [event, one]))
    assert (await planned(event)).valid_seats == [F8.model_copy(update={"category": seats[1].category})]
    await publish(bus, none)
    assert (await planned(event)).valid_seats == []
    await publish(bus, both, one, none)
    assert (await planned(event)).valid_seats == seats
