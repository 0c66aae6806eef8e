"""The mails about refunds: their content, and that each refund is mailed once."""

import pytest
from contracts.booking import BookingRefundMade
from notifier.mails import render_stored
from notifier.mails.refund import refund_context
from notifier.model import Unmailable
from notifier.store import Message

from .conftest import confirmed
from .test_changes import passed


def refunded(**fields):
    booking = confirmed().model_dump(include={"booking_id", "reference", "holder", "email", "name", "screening"})
    money = {"amount": 1000, "refunded": 1000, "paid": 2100, "currency": "EUR"}
    return BookingRefundMade.model_validate(booking | money | fields)


def forms(event):
    mail = render_stored("refund", event.model_dump_json(exclude_none=True))
    return mail, (mail.text, mail.html)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("€10.00", "stay valid", "€10.00 of €21.00")),
        ({"locale": "de"}, ("10,00\xa0€", "bleiben gültig", "10,00\xa0€ von 21,00\xa0€")),
        ({"refunded": 2100, "reason": "refunded_at_provider"}, ("€10.00", "no longer valid", "€21.00 of €21.00")),
        ({"amount": 2100, "refunded": 2100, "reason": "seats_lost"}, ("€21.00", "no longer available")),
        ({"amount": 2100, "refunded": 2100, "reason": "by_staff"}, ("€21.00", "no longer valid")),
        ({"amount": 2100, "refunded": 2100, "reason": "a_later_release"}, ("€21.00", "no longer valid")),
        ({"currency": "JPY"}, ("¥1,000",)),
    ],
)
def test_a_refund_shows_the_amount_and_whether_the_tickets_are_valid(fields, expected):
    event = refunded(**fields)
    mail, both = forms(event)
    assert expected[0] in mail.subject
    for form in both:
        for text in (*expected, "Metropolis", "Usher Mitte, Auditorium 2", "K7QF2M", "Ada Lovelace"):
            assert text in form
        assert f"/bookings/{event.booking_id}" in form
        assert ("stay valid" in form or "bleiben gültig" in form) is (event.reason is None)


def test_a_whole_refund_shows_no_total():
    _, both = forms(refunded(amount=2100, refunded=2100, reason="by_staff"))
    assert not [form for form in both if "Refunded in total" in form]


def test_a_refund_without_a_showtime_is_mailed():
    assert forms(refunded(screening=None))[0].subject == "Refund of €10.00 for your booking K7QF2M"


def test_a_refund_that_cannot_be_addressed_is_rejected():
    with pytest.raises(Unmailable):
        refund_context(refunded(email="nobody"))


async def test_each_refund_is_mailed_once(client, bus, mail_server):
    part = refunded()
    rest = part.model_copy(update={"amount": 1100, "refunded": 2100, "reason": "by_staff"})
    failed_and_repeated = [refunded(booking_id="again", refund_id=refund_id) for refund_id in ("re_1", "re_2")]
    nothing = [refunded(amount=0, refunded=0), refunded(email=None)]
    for event in (part, rest, part, rest, *failed_and_repeated * 2, *nothing):
        await bus.publish(event)
    await passed(bus, mail_server)
    for event in (part, rest):
        assert len(mail_server.mails_with_key(f"refund.{event.booking_id}.{event.refunded}")) == 1
    for event in failed_and_repeated:
        assert len(mail_server.mails_with_key(f"refund.again.{event.refund_id}")) == 1
    keys = [f"refund.{event.booking_id}.{event.refunded}" for event in nothing]
    assert await Message.find({"key": {"$in": keys}}).count() == 0
