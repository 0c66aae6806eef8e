"""The mails about a corrected address, tickets mailed again, and all bookings of an address."""

from datetime import timedelta

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from chassis.testing import until
from contracts.booking import BookingAdopted, BookingEmailChanged, BookingLinksRequested, BookingTicketsRequested
from contracts.types import Holder
from notifier.mails import MAILS, render_stored
from notifier.model import Obsolete
from notifier.store import Message

from .conftest import LINK_KEY, confirmed

SITE = "http://127.0.0.1:8080"
GUEST = Holder(secret_hash="0" * 64)


def changed(**fields):
    facts = confirmed().model_dump(include={"booking_id", "reference", "screening"}) | {"holder": GUEST}
    facts |= {"email": "wrong@usher.example", "new_email": "right@usher.example", "name": "Ada"}
    return BookingEmailChanged.model_validate(facts | {"mailing_id": new_id(), "was_mailed": True} | fields)


def links(*keys, seconds=3600, **fields):
    bookings = [
        confirmed().model_dump(include={"booking_id", "reference", "screening"})
        | {"sealed_link": Cipher(LINK_KEY).encrypt(key), "expires_at": now() + timedelta(seconds=seconds)}
        for key in keys
    ]
    facts = {"request_id": new_id(), "email": "ada@usher.example", "bookings": bookings}
    return BookingLinksRequested.model_validate(facts | fields)


@pytest.mark.parametrize(("locale", "expected"), [("en", "to another address"), ("de", "an eine andere Adresse")])
def test_the_former_address_gets_a_notice_without_codes_and_links(locale, expected):
    mail = render_stored("email_changed", changed(locale=locale).model_dump_json())
    assert mail.to.addr_spec == "wrong@usher.example"
    assert (mail.images, mail.calendar) == ([], None)
    for form in (mail.text, mail.html):
        assert expected in form
        for secret in ("right@", "#key=", "Ada", "/bookings/"):
            assert secret not in form


def test_an_address_that_got_no_mail_gets_no_notice():
    mail = MAILS["email_changed"]
    assert [mail.is_wanted(changed(was_mailed=was_mailed)) for was_mailed in (True, False)] == [True, False]


@pytest.mark.parametrize(("locale", "expected"), [("en", "upcoming bookings"), ("de", "kommenden Buchungen")])
def test_all_bookings_of_an_address_are_in_one_mail_each_with_its_link(locale, expected):
    event = links("first", "second", locale=locale, name="Ada <b>")
    mail = render_stored("booking_links", event.model_dump_json())
    for form in (mail.text, mail.html):
        assert expected in form
        for booking, key in zip(event.bookings, ("first", "second"), strict=True):
            assert f"{SITE}/bookings/{booking.booking_id}#key={key}" in form
            assert booking.reference in form
    assert "<b>" not in mail.html
    with pytest.raises(Obsolete):
        render_stored("booking_links", links("old", seconds=-1).model_dump_json())


async def test_tickets_are_mailed_again_for_each_request_and_follow_their_booking(client, bus, mail_server):
    first = confirmed(holder=GUEST)
    again = BookingTicketsRequested.model_validate(dict(first) | {"mailing_id": new_id()})
    for event in (first, again, again):
        await bus.publish(event)
    original, repeated = (
        await mail_server.mail_for(first),
        await mail_server.mail_with_key(f"tickets_again.{again.mailing_id}"),
    )
    assert repeated["Subject"] == original["Subject"]
    user_id = new_id()
    await bus.publish(
        BookingAdopted(
            booking_id=first.booking_id, showtime_id=first.screening.showtime_id, user_id=user_id, has_tickets=True
        )
    )

    async def both() -> bool:
        return {message.kind async for message in Message.of_person(user_id)} == {"confirmation", "tickets_again"}

    await until(both)
    assert len(mail_server.mails_with_key(f"tickets_again.{again.mailing_id}")) == 1
