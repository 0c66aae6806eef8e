"""The mails about cancelled tickets and failed refunds: their content, and that each is sent once."""

import pytest
from chassis.ids import new_id
from contracts.booking import BookingRefundFailed, BookingTicketsCancelled
from contracts.catalog import RefundPolicy, RefundTier
from contracts.types import Seat
from notifier.mails import render_stored

from .conftest import confirmed
from .test_changes import passed

F7, F8 = (Seat(seat_id=f"F{n}", row="F", number=n, category="standard") for n in (7, 8))


def facts():
    return confirmed().model_dump(include={"booking_id", "reference", "holder", "email", "name", "screening"})


def cancelled(**fields):
    about = {"refund_id": new_id(), "showtime_id": "s1", "seats": [F7], "remaining": [F8], "reason": "by_customer"}
    return BookingTicketsCancelled.model_validate(facts() | about | {"refund_amount": 1250, "currency": "EUR"} | fields)


def failed(**fields):
    return BookingRefundFailed.model_validate(
        facts() | {"refund_id": new_id(), "amount": 1250, "currency": "EUR"} | fields
    )


def forms(kind, event):
    mail = render_stored(kind, event.model_dump_json(exclude_none=True))
    return mail, (mail.text, mail.html)


@pytest.mark.parametrize(
    ("fields", "expected", "absent"),
    [
        ({}, ("You cancelled some", "€12.50", "Seats you keep", "F8", "original payment method"), "no refund"),
        ({"locale": "de"}, ("einen Teil Ihrer Tickets", "12,50\xa0€", "Ihre weiteren Plätze"), "keine Erstattung"),
        ({"remaining": []}, ("You cancelled your tickets", "€12.50"), "Seats you keep"),
        ({"remaining": [], "refund_amount": 0}, ("There is no refund",), "payment method"),
        ({"reason": "by_staff"}, ("The theater cancelled some", "contact the theater"), "You cancelled"),
        ({"reason": "by_staff", "remaining": [], "locale": "de"}, ("Das Kino hat Ihre Tickets storniert",), "keine"),
    ],
)
def test_a_cancellation_says_what_is_void_what_stays_and_what_is_refunded(fields, expected, absent):
    mail, both = forms("tickets_cancelled", cancelled(**fields))
    for form in both:
        for text in (*expected, "F7", "Metropolis", "K7QF2M"):
            assert text in form
        assert absent not in form
    assert (mail.calendar is not None) is ("remaining" in fields)
    if mail.calendar:
        assert mail.calendar.method == "CANCEL"


@pytest.mark.parametrize(("locale", "expected"), [("en", "still yours"), ("de", "gehört weiterhin Ihnen")])
def test_a_failed_refund_says_whose_the_money_is(locale, expected):
    _, both = forms("refund_failed", failed(locale=locale))
    for form in both:
        assert expected in form
        assert "12" in form


@pytest.mark.parametrize(
    ("policy", "locale", "expected"),
    [
        (RefundPolicy(), "en", "100% back until 18:15, 50% back until 19:45, nothing after that."),
        (RefundPolicy(fee=150), "de", "Gebühr von 1,50\xa0€"),
        (RefundPolicy(tiers=[RefundTier(minutes_before_start=1440, refund_percent=80)]), "en", "80% back until Friday"),
        (RefundPolicy(tiers=[]), "de", "Bezahlte Tickets können nicht storniert werden."),
        (None, "en", None),
    ],
)
def test_the_tickets_tell_the_refund_terms(policy, locale, expected):
    _, both = forms("confirmation", confirmed(refund_policy=policy and policy.model_dump(), locale=locale))
    for form in both:
        assert (expected in form) if expected else ("back until" not in form)


async def test_each_cancellation_is_mailed_once(client, bus, mail_server):
    first = cancelled()
    second = first.model_copy(update={"refund_id": new_id(), "remaining": []})
    late = failed(booking_id=first.booking_id)
    for event in (first, second, first, late, late, cancelled(email=None)):
        await bus.publish(event)
    await passed(bus, mail_server)
    for event, kind in ((first, "tickets_cancelled"), (second, "tickets_cancelled"), (late, "refund_failed")):
        assert len(mail_server.mails_with_key(f"{kind}.{event.refund_id}")) == 1
