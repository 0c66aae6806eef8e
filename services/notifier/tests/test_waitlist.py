"""The mails of the waitlist: what they say in each language, and who can open their links."""

from datetime import timedelta

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from chassis.testing import until
from contracts.inventory import SeatsOffered, WaitlistEnded, WaitlistJoined
from contracts.notifier import OfferUnsent
from contracts.types import Seat
from notifier.mails import render_stored
from notifier.model import Refused
from notifier.store import Message

from .conftest import LINK_KEY, confirmed

SECRET = "a-guest-secret-of-more-than-32-characters"
SITE = "http://127.0.0.1:8080"


def facts(**changes):
    return {
        "entry_id": new_id(),
        "mail_id": new_id(),
        "showtime_id": "showtime-1",
        "email": "ada@usher.example",
        "screening": confirmed().screening,
        "sealed_secret": Cipher(LINK_KEY).encrypt(SECRET),
    } | changes


def offered(*, seconds=1200, **changes):
    seats = [Seat(seat_id=f"B{n}", row="B", number=n, category="standard") for n in (4, 5)]
    more = {"hold_id": new_id(), "seats": seats, "amount": 2500, "currency": "EUR"}
    expires_at = now() + timedelta(seconds=seconds)
    return SeatsOffered.model_validate(facts(**changes) | more | {"expires_at": expires_at})


def joined(**changes):
    more = {"position": 3, "min_seats": 2, "max_seats": 4}
    closes_at = confirmed().screening.starts_at - timedelta(minutes=30)
    return WaitlistJoined.model_validate(facts(**changes) | more | {"closes_at": closes_at})


def mail_of(kind, event):
    return render_stored(kind, event.model_dump_json(exclude_none=True))


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("en", ("Seats for you: ", "we are holding them", "B4", "B5", "at most €25.00", "Held for you until")),
        (
            "de-AT",
            ("Plätze für Sie: ", "für Sie reserviert", "B4", "B5", "höchstens", "25,00", "Für Sie reserviert bis"),
        ),
    ],
)
def test_an_offer_names_the_seats_the_price_and_the_deadline(locale, expected):
    mail = mail_of("seats_offered", offered(locale=locale))
    for form in (mail.text, mail.html):
        for text in (*expected[1:], "Metropolis", f"{SITE}/showtimes/showtime-1/waitlist#key={SECRET}"):
            assert text in form
    assert mail.subject.startswith(expected[0])


@pytest.mark.parametrize(("locale", "size"), [("en", "2 to 4"), ("de", "2 bis 4")])
def test_a_new_party_reads_its_place_and_when_the_waitlist_closes(locale, size):
    mail = mail_of("waitlist_joined", joined(locale=locale))
    for form in (mail.text, mail.html):
        for text in (size, "3", "19:45", f"#key={SECRET}"):
            assert text in form


@pytest.mark.parametrize(("reason", "text"), [("closed", "the waitlist has closed"), ("cancelled", "been cancelled")])
def test_the_end_of_a_waitlist_is_mailed_without_a_button(reason, text):
    mail = mail_of("waitlist_ended", WaitlistEnded.model_validate(facts(reason=reason)))
    assert text in mail.text
    assert SECRET not in mail.text + mail.html


def test_the_link_of_an_account_has_no_secret():
    mail = mail_of("seats_offered", offered(sealed_secret=None, user_id="user-1"))
    assert f"{SITE}/showtimes/showtime-1/waitlist" in mail.text
    assert "#key=" not in mail.text + mail.html


def test_an_offer_that_has_ended_is_not_mailed():
    with pytest.raises(Refused, match="expired"):
        mail_of("seats_offered", offered(seconds=0))


async def test_an_offer_that_ended_before_its_mail_was_sent_is_published(client, bus, mail_server):
    """A refused address is the party's own fault: its offers count as missed."""
    mail_server.recipient_replies = ["550 5.1.1 no such user"]
    refused, late = offered(email="nobody@usher.example"), offered(seconds=0)
    await bus.publish(refused)

    async def has_failed() -> bool:
        where = {"key": f"seats_offered.{refused.mail_id}", "state": "failed"}
        return await Message.find(where).count() == 1

    await until(has_failed)
    await bus.publish(late)
    unsent = await bus.wait_for(OfferUnsent, lambda event: event.hold_id == late.hold_id)
    assert (unsent.showtime_id, unsent.entry_id) == (late.showtime_id, late.entry_id)
    assert refused.hold_id not in {event.hold_id for event in bus.events(OfferUnsent)}
