"""A person who is gone, and one who wants to see what is kept about them."""

from datetime import timedelta
from typing import Any

import pytest
from booking import store
from chassis.clock import now
from chassis.ids import new_id
from chassis.privacy import is_erased
from chassis.testing import until
from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingDataExported,
    BookingRefunded,
    BookingRescheduled,
    PaymentCancelRequested,
    RefundRequested,
)
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled
from contracts.identity import ExportRequested, UserDeleted
from contracts.payment import PaymentCancelled, PaymentRefunded

from .examples import TOTAL


async def kept(customer: Any) -> dict[str, Any]:
    document = await store.Booking.collection().find_one({"_id": customer.id})
    assert document
    return document


async def is_gone(customer: Any) -> None:
    await customer.bus.say(UserDeleted(user_id=customer.holder.user_id))
    await forgotten(customer)


async def forgotten(customer: Any) -> None:
    """Nothing in the database says whose booking it was."""

    async def nothing_personal() -> bool:
        document = str(await kept(customer) | {"holder": None})
        owner = (await kept(customer))["holder"]["user_id"]
        return owner == f"erased-{customer.id}" and not any(
            word in document for word in (customer.holder.user_id, "ada@", "'Ada'")
        )

    await until(nothing_personal)


async def test_a_ticket_outlives_its_persons_account(customer, staff):
    booking = await customer.has_tickets()
    before = await customer.looks()
    await is_gone(customer)
    assert (await customer.client.get(f"/api/bookings/{customer.id}", headers=customer.headers)).status_code == 404
    seen = await customer.client.get(f"/api/bookings/{customer.id}", headers=staff("bookings:read"))
    assert (seen.json()["state"], seen.json()["reference"]) == ("confirmed", booking["reference"])
    assert seen.json()["tickets"] == before["tickets"]
    assert (seen.json()["email"], seen.json()["name"]) == (None, None)
    ticket_id = before["tickets"][0]["ticket_id"]
    ticket = await customer.client.get(f"/api/tickets/{ticket_id}", headers=staff("bookings:read"))
    assert ticket.json()["ticket"]["qr"] == before["tickets"][0]["qr"]


async def test_nobody_elses_bookings_are_touched(customer, guest, client):
    await guest.has_tickets()
    await customer.has_tickets()
    await is_gone(customer)
    assert (await kept(guest))["email"] == "ada@example.org"


async def test_what_is_not_paid_is_given_up(customer, bus):
    await customer.has_ordered()
    await bus.say(UserDeleted(user_id=customer.holder.user_id))
    await bus.heard(PaymentCancelRequested, customer.mine)
    await bus.say(PaymentCancelled(booking_id=customer.id))
    await bus.heard(BookingCancelled, customer.mine)
    await forgotten(customer)
    assert (await kept(customer))["state"] == "cancelled"


async def test_who_has_just_checked_out_for_nothing_gets_the_tickets_first(customer, bus):
    await customer.finds_showtime()
    free = [{"seat_id": seat, "ticket_type": "child"} for seat in ("F7", "F8")]
    assert (await customer.checks_out(tickets=free)).json()["state"] == "confirming"
    await bus.say(UserDeleted(user_id=customer.holder.user_id))
    again = new_id()
    await bus.say(ExportRequested(export_id=again, user_id=customer.holder.user_id))
    await bus.heard(BookingDataExported, lambda event: event.export_id == again)
    await bus.say(customer.sold(amount=0, currency=None))
    assert (await bus.heard(BookingConfirmed, customer.mine)).email == "ada@example.org"
    await forgotten(customer)


async def test_a_checkout_that_was_still_on_its_way_is_found_later(customer, bus):
    await bus.say(UserDeleted(user_id=customer.holder.user_id))
    await until(lambda: is_erased(customer.holder.user_id))
    await customer.has_ordered()
    await bus.heard(PaymentCancelRequested, customer.mine)
    await bus.say(PaymentCancelled(booking_id=customer.id))
    await forgotten(customer)
    assert (await kept(customer))["state"] == "cancelled"


async def test_who_is_gone_is_named_to_nobody_when_the_showtime_moves_or_is_cancelled(customer, bus):
    await customer.has_tickets()
    await is_gone(customer)
    starts_at = now() + timedelta(days=2)
    times = {"ends_at": starts_at + timedelta(hours=2), "sales_open_at": now(), "sales_close_at": starts_at}
    await bus.say(ShowtimeRescheduled(showtime_id=customer.showtime_id, starts_at=starts_at, **times))
    moved = await bus.heard(BookingRescheduled, customer.mine)
    await bus.say(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    cancelled = await bus.heard(BookingCancelled, customer.mine)
    for told in (moved, cancelled):
        assert (told.email, told.name, told.holder.user_id) == (None, None, f"erased-{customer.id}")
    assert (moved.moves, cancelled.moves) == (1, 1)


async def test_the_money_goes_back_though_nobody_is_left(customer, bus):
    await customer.has_tickets()
    await is_gone(customer)
    await bus.say(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    refund = await bus.heard(RefundRequested, customer.mine)
    facts = {"booking_id": customer.id, "refund_id": refund.refund_id, "requested": True, "currency": "EUR"}
    await bus.say(PaymentRefunded(**facts, amount=TOTAL, refunded=TOTAL, captured=TOTAL))
    assert (await bus.heard(BookingRefunded, customer.mine)).email is None


async def test_money_that_comes_after_all_goes_back(customer, bus):
    """The deadline had passed, the person is gone, and then Stripe says that it was paid."""
    await customer.has_ordered()
    await store.Booking.collection().update_one({"_id": customer.id}, {"$set": {"state": "expired", "due_at": None}})
    await is_gone(customer)
    await bus.say(customer.sold())
    assert (await bus.heard(RefundRequested, customer.mine)).amount == TOTAL
    assert (await bus.heard(BookingCancelled, customer.mine)).email is None, "the seats are sold again"


async def test_forgetting_makes_whoever_changes_the_booking_look_again(customer):
    await customer.has_tickets()
    before = await kept(customer)
    await store.forget_owner(customer.holder.user_id)
    assert (await kept(customer))["version"] == before["version"] + 1
    await store.forget_owner(customer.holder.user_id)
    assert (await kept(customer))["version"] == before["version"] + 1


async def test_an_export_tells_all_but_what_opens_the_door(customer, bus):
    await customer.has_tickets()
    export_id = new_id()
    await bus.say(ExportRequested(export_id=export_id, user_id=customer.holder.user_id))
    told = await bus.heard(BookingDataExported, lambda event: event.export_id == export_id)
    [booking] = told.items
    assert (told.part, told.is_last) == (0, True)
    assert (booking["id"], booking["email"], booking["name"]) == (customer.id, "ada@example.org", "Ada")
    assert (booking["amount"], booking["screening"]["movie_title"]) == (TOTAL, "Metropolis")
    assert [passage["state"] for passage in booking["history"]][-1] == "confirmed"
    assert "qr" not in str(booking)


@pytest.mark.parametrize("user_id", ["nobody", "erased-b1"])
async def test_whoever_has_no_bookings_gets_an_empty_answer(client, bus, user_id):
    export_id = new_id()
    await bus.say(ExportRequested(export_id=export_id, user_id=user_id))
    told = await bus.heard(BookingDataExported, lambda event: event.export_id == export_id)
    assert (told.items, told.is_last) == ([], True)
