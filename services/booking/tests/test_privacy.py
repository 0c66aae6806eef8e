"""Personal data: erasure and export."""

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
from contracts.catalog import ShowtimeCancelled
from contracts.identity import ExportRequested, UserDeleted
from contracts.payment import PaymentCancelled, PaymentRefunded

from . import examples
from .conftest import raw_bookings
from .examples import TOTAL


async def stored(customer: Any) -> dict[str, Any]:
    document = await raw_bookings().find_one({"_id": customer.id})
    assert document
    return document


async def erase_account(customer: Any) -> None:
    await customer.bus.publish(UserDeleted(user_id=customer.holder.user_id))
    await wait_until_erased(customer)


async def wait_until_erased(customer: Any) -> None:
    """Wait until the stored booking contains no data of its owner."""

    async def nothing_personal() -> bool:
        document = str(await stored(customer) | {"holder": None})
        owner = (await stored(customer))["holder"]["user_id"]
        return owner == f"erased-{customer.id}" and not any(
            word in document for word in (customer.holder.user_id, "ada@", "'Ada'")
        )

    await until(nothing_personal)


async def test_a_ticket_stays_valid_after_the_erasure(customer, staff):
    booking = await customer.buy_tickets()
    before = await customer.get_booking()
    await erase_account(customer)
    assert (await customer.client.get(f"/api/bookings/{customer.id}", headers=customer.headers)).status_code == 404
    seen = await customer.client.get(f"/api/bookings/{customer.id}", headers=staff("bookings:read"))
    assert (seen.json()["state"], seen.json()["reference"]) == ("confirmed", booking["reference"])
    assert seen.json()["tickets"] == before["tickets"]
    assert (seen.json()["email"], seen.json()["name"]) == (None, None)
    ticket_id = before["tickets"][0]["ticket_id"]
    ticket = await customer.client.get(f"/api/tickets/{ticket_id}", headers=staff("bookings:read"))
    assert ticket.json()["ticket"]["qr"] == before["tickets"][0]["qr"]


async def test_what_staff_wrote_about_a_refund_is_not_exported_and_is_erased(customer, bus, staff):
    await customer.buy_tickets()
    manager, path = staff("bookings:read", "bookings:refund"), f"/api/bookings/{customer.id}"
    quoted = await customer.client.post(
        f"{path}/cancellation-quote",
        json={"ticket_ids": [f"{customer.id}-F7"], "reason": "Was ill, Mrs Lovelace"},
        headers=manager,
    )
    body = {"quote_id": quoted.json()["quote_id"]}
    assert (await customer.client.post(f"{path}/cancel", json=body, headers=manager)).status_code == 200
    assert (await customer.client.post(f"{path}/send-tickets", headers=staff("bookings:write"))).status_code == 200
    export = new_id()
    await bus.publish(ExportRequested(export_id=export, user_id=customer.holder.user_id))
    [item] = (await bus.wait_for(BookingDataExported, lambda event: event.export_id == export)).items
    assert [refund["amount"] for refund in item["refunds"]] == [1250]
    assert not any(word in str(item) for word in ("Lovelace", "staff-1", body["quote_id"]))
    await erase_account(customer)
    after = await stored(customer)
    assert "Lovelace" not in str(after)
    assert [refund["amount"] for refund in after["refunds"]] == [1250]


async def test_other_peoples_bookings_stay_unchanged(customer, guest, client):
    await guest.buy_tickets()
    await customer.buy_tickets()
    await erase_account(customer)
    assert (await stored(guest))["email"] == "ada@example.org"


async def test_an_erasure_cancels_unpaid_bookings(customer, bus):
    await customer.place_order()
    await bus.publish(UserDeleted(user_id=customer.holder.user_id))
    await bus.wait_for(PaymentCancelRequested, customer.is_mine)
    await bus.publish(PaymentCancelled(booking_id=customer.id))
    await bus.wait_for(BookingCancelled, customer.is_mine)
    await wait_until_erased(customer)
    assert (await stored(customer))["state"] == "cancelled"


async def test_an_erasure_waits_for_the_tickets_of_a_free_booking(customer, bus):
    await customer.add_showtime()
    free = [{"seat_id": seat, "ticket_type": "child"} for seat in ("F7", "F8")]
    assert (await customer.check_out(tickets=free)).json()["state"] == "confirming"
    await bus.publish(UserDeleted(user_id=customer.holder.user_id))
    again = new_id()
    await bus.publish(ExportRequested(export_id=again, user_id=customer.holder.user_id))
    await bus.wait_for(BookingDataExported, lambda event: event.export_id == again)
    await bus.publish(customer.sold(amount=0, currency=None))
    assert (await bus.wait_for(BookingConfirmed, customer.is_mine)).email == "ada@example.org"
    await wait_until_erased(customer)


async def test_a_checkout_after_the_erasure_is_found_later(customer, bus):
    await bus.publish(UserDeleted(user_id=customer.holder.user_id))
    await until(lambda: is_erased(customer.holder.user_id))
    await customer.place_order()
    await bus.wait_for(PaymentCancelRequested, customer.is_mine)
    await bus.publish(PaymentCancelled(booking_id=customer.id))
    await wait_until_erased(customer)
    assert (await stored(customer))["state"] == "cancelled"


async def test_an_erased_person_learns_what_becomes_of_the_showtime(customer, bus):
    """The kept address is in these events only: nobody finds or sees it."""
    await customer.buy_tickets()
    await erase_account(customer)
    assert (await stored(customer))["sealed_email"]
    starts_at = now() + timedelta(days=2)
    await bus.publish(examples.rescheduled(customer.showtime_id, starts_at))
    moved = await bus.wait_for(BookingRescheduled, customer.is_mine)
    await bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    cancelled = await bus.wait_for(BookingCancelled, customer.is_mine)
    for event in (moved, cancelled):
        assert (event.email, event.name, event.sealed_link) == ("ada@example.org", None, None)
        assert event.holder.user_id == f"erased-{customer.id}"
    assert (moved.moves, cancelled.moves) == (1, 1)
    ends_at = moved.screening.ends_at
    to_the_millisecond = ends_at.replace(microsecond=ends_at.microsecond // 1000 * 1000)
    assert (await stored(customer))["contact_until"] == to_the_millisecond


async def test_a_kept_address_goes_with_the_end_of_the_showtime(customer, bus):
    await customer.buy_tickets()
    await erase_account(customer)
    until_then = (await stored(customer))["contact_until"]
    await store.erase_contacts(until_then - timedelta(seconds=1))
    assert (await stored(customer))["sealed_email"]
    await store.erase_contacts(until_then)
    after = await stored(customer)
    assert (after["sealed_email"], after["contact_until"]) == (None, None)
    await bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    assert (await bus.wait_for(BookingCancelled, customer.is_mine)).email is None


async def test_no_address_is_kept_without_tickets_for_a_coming_showtime(customer):
    await customer.buy_tickets()
    over = {"screening.ends_at": now() - timedelta(minutes=1)}
    await raw_bookings().update_one({"_id": customer.id}, {"$set": over})
    await erase_account(customer)
    assert (await stored(customer))["sealed_email"] is None


async def test_kept_addresses_are_found_by_an_index(client):
    plan = await raw_bookings().find({"contact_until": {"$lte": now(), "$type": "date"}}).explain()
    assert "contact" in str(plan["queryPlanner"]["winningPlan"])


async def test_an_erased_persons_booking_is_still_refunded(customer, bus):
    await customer.buy_tickets()
    await erase_account(customer)
    await bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    refund = await bus.wait_for(RefundRequested, customer.is_mine)
    facts = {"booking_id": customer.id, "refund_id": refund.refund_id, "requested": True, "currency": "EUR"}
    await bus.publish(PaymentRefunded(**facts, amount=TOTAL, refunded=TOTAL, captured=TOTAL))
    assert (await bus.wait_for(BookingRefunded, customer.is_mine)).email is None


async def test_a_late_payment_of_an_erased_person_is_refunded(customer, bus):
    """The payment arrives after the deadline and after the erasure."""
    await customer.place_order()
    await raw_bookings().update_one({"_id": customer.id}, {"$set": {"state": "expired", "due_at": None}})
    await erase_account(customer)
    await bus.publish(customer.sold())
    assert (await bus.wait_for(RefundRequested, customer.is_mine)).amount == TOTAL
    assert (await bus.wait_for(BookingCancelled, customer.is_mine)).email is None, "the seats are sold again"


async def test_an_erasure_increases_the_version(customer):
    await customer.buy_tickets()
    before = await stored(customer)
    await store.erase_owner(customer.holder.user_id)
    assert (await stored(customer))["version"] == before["version"] + 1
    await store.erase_owner(customer.holder.user_id)
    assert (await stored(customer))["version"] == before["version"] + 1


async def test_an_export_contains_all_but_the_qr_texts(customer, bus):
    await customer.buy_tickets()
    export_id = new_id()
    await bus.publish(ExportRequested(export_id=export_id, user_id=customer.holder.user_id))
    export = await bus.wait_for(BookingDataExported, lambda event: event.export_id == export_id)
    [booking] = export.items
    assert (export.part, export.is_last) == (0, True)
    assert (booking["id"], booking["email"], booking["name"]) == (customer.id, "ada@example.org", "Ada")
    assert (booking["amount"], booking["screening"]["movie_title"]) == (TOTAL, "Metropolis")
    assert [passage["state"] for passage in booking["history"]][-1] == "confirmed"
    assert "qr" not in str(booking)


@pytest.mark.parametrize("user_id", ["nobody", "erased-b1"])
async def test_an_export_without_bookings_is_empty(client, bus, user_id):
    export_id = new_id()
    await bus.publish(ExportRequested(export_id=export_id, user_id=user_id))
    export = await bus.wait_for(BookingDataExported, lambda event: event.export_id == export_id)
    assert (export.items, export.is_last) == ([], True)
