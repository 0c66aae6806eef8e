"""Tickets that people give to each other: who has a valid code, who may do what, and races."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pypdfium2
import pytest
from booking import model, store
from booking.model import AcceptTicket, Booking, OfferTicket, RecallTicket, ReturnTicket, State, Transfer
from booking.saga import advance
from booking.store import attempts
from booking.store.documents import bookings
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from chassis.testing import Signer, until
from contracts.booking import (
    BookingDataExported,
    BookingTicketOffered,
    BookingTicketTransferred,
    TransferredTicketChanged,
)
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled
from contracts.identity import ExportRequested, UserDeleted
from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from . import examples as given
from .conftest import LINK_KEY, Customer, problem, raw_bookings
from .test_cancellation import cancel, quote
from .test_privacy import wait_until_erased
from .test_wallets import Device, passes, unpacked

GRACE = "grace@example.org"

# ---- the rules


def sold(**changes: Any) -> Booking:
    booking = given.in_state(State.AWAITING_PAYMENT)
    outcome = advance(booking, given.SEATS_SOLD, given.NOW)
    assert outcome
    return outcome.booking.model_copy(update=changes)


def offer(booking: Booking, ticket_id: str) -> OfferTicket:
    seat_id = ticket_id.rpartition("-")[2].partition("_")[0]
    return OfferTicket(
        Transfer(
            ticket_id=model.new_ticket_id(booking, seat_id),
            previous_id=ticket_id,
            seat_id=seat_id,
            email=GRACE,
            sender="Ada",
            message="Enjoy!",
            offered_at=given.NOW,
        )
    )


def step(booking: Booking, command: Any, at: Any = given.NOW) -> Booking:
    outcome = advance(booking, command, at)
    return outcome.booking if outcome else booking


def valid_ids(booking: Booking) -> list[str]:
    """The ids of all valid tickets, as the customer and the recipients see them."""
    views = [booking, *(model.received(booking, transfer) for transfer in booking.transfers)]
    return sorted(ticket.ticket_id for view in views for ticket in view.valid_tickets)


def commands(booking: Booking) -> list[Any]:
    """Every command that somebody could send, also useless ones."""
    ids = sorted({ticket.ticket_id for ticket in booking.tickets} | {each.ticket_id for each in booking.transfers})
    return [
        *(offer(booking, each) for each in ids),
        *(
            command
            for each in booking.transfers
            for command in (
                RecallTicket(each.ticket_id),
                AcceptTicket(each.ticket_id, "u9"),
                AcceptTicket(each.ticket_id),
                AcceptTicket(each.ticket_id, "u1", is_customer=True),
                ReturnTicket(each.ticket_id),
            )
        ),
    ]


@settings(max_examples=150, deadline=None)
@forall(choices=st.lists(st.integers(0, 10**6), max_size=25), cancels=st.none() | st.integers(0, 24))
def test_each_admission_has_one_valid_code_after_any_steps(choices: list[int], cancels: int | None) -> None:
    booking, used = sold(), set[str]()
    for number, choice in enumerate(choices):
        if number == cancels:
            wanted = model.quote_cancellation(booking, [], "by_staff", given.NOW)
            booking = step(booking, model.CancelTickets({"F7": wanted.refunds["F7"]}, "by_staff", "q"))
        possible = commands(booking)
        before = booking
        booking = step(booking, possible[choice % len(possible)])
        ids = valid_ids(booking)
        seats = [each.rpartition("-")[2].partition("_")[0] for each in ids]
        assert seats == [line.seat.seat_id for line in booking.kept_lines]
        assert {ticket.ticket_id for ticket in booking.valid_tickets} <= {"b1-F7", "b1-F8"}, "never a recipient's"
        new = set(ids) - set(valid_ids(before)) - {"b1-F7", "b1-F8"}
        assert not new & used, "a recipient's ticket that became void stays void"
        used |= set(ids)
        assert len({each.ticket_id for each in booking.transfers}) == len(booking.transfers)
        assert model.change_count(booking) >= model.change_count(before)
        if valid_ids(booking) != valid_ids(before):
            assert model.change_count(booking) > model.change_count(before)


def test_transfers_end_when_the_doors_open() -> None:
    booking = sold()
    end = model.transfers_end_at(booking)
    assert booking.screening
    assert end == booking.screening.starts_at - timedelta(minutes=30)
    assert advance(booking, offer(booking, "b1-F7"), end) is None
    offered = step(booking, offer(booking, "b1-F7"))
    assert advance(offered, AcceptTicket("b1-F7_1"), end) is None
    assert advance(offered, RecallTicket("b1-F7_1"), end) is not None, "the ticket is the customer's, whenever"


def test_a_used_ticket_stays_where_it_is() -> None:
    offered = step(sold(), offer(sold(), "b1-F7"))
    accepted = step(offered, AcceptTicket("b1-F7_1"))
    for booking, command in (
        (sold(), offer(sold(), "b1-F7")),
        (offered, AcceptTicket("b1-F7_1")),
        (accepted, ReturnTicket("b1-F7_1")),
    ):
        lines = [line.model_copy(update={"checked_in_at": given.NOW}) for line in booking.lines]
        assert advance(booking.model_copy(update={"lines": lines}), command, given.NOW) is None


def test_a_wheelchair_space_stays_while_its_companions_ticket_is_transferred() -> None:
    seats, types = [given.W1, given.C1], ["adult", "companion"]
    lines = [
        model.OrderLine(seat=seat, ticket_type=kind, amount=amount)
        for seat, kind, amount in zip(seats, types, (1250, 0), strict=True)
    ]
    booking = sold(lines=lines, amount=1250, tickets=model.issue_tickets(sold(lines=lines)))
    given_away = step(step(booking, offer(booking, "b1-C1")), AcceptTicket("b1-C1_1"))
    quoted = model.quote_cancellation(given_away, [], "by_customer", given.NOW)
    assert [ticket.reason for ticket in quoted.tickets] == ["transferred", "transferred"]
    quoted = model.quote_cancellation(given_away, [], "by_staff", given.NOW)
    assert [ticket.reason for ticket in quoted.tickets] == [None, None]


# ---- the endpoints


async def send(customer: Customer, seat: str = "F7", headers: Any = None, **body: Any) -> Any:
    path = f"/api/tickets/{customer.id}-{seat}/transfer"
    return await customer.client.post(path, json={"email": GRACE} | body, headers=headers or customer.headers)


class Recipient:
    """A person with the link of a mail about an offered ticket."""

    def __init__(self, customer: Customer, event: BookingTicketOffered, headers: dict[str, str] | None = None) -> None:
        assert event.sealed_link
        self.client, self.bus, self.id, self.event = customer.client, customer.bus, event.ticket_id, event
        self.headers = {"X-Booking-Key": Cipher(LINK_KEY).decrypt(event.sealed_link)} | (headers or {})

    async def call(self, method: str, what: str = "transfer", headers: Any = None, **more: Any) -> Any:
        return await self.client.request(
            method, f"/api/tickets/{self.id}/{what}", headers=headers or self.headers, **more
        )

    async def get(self) -> dict[str, Any]:
        answer = await self.call("GET")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def accept(self, headers: Any = None) -> Any:
        return await self.call("POST", "transfer/accept", headers=headers)


async def offered_by(customer: Customer, seat: str = "F7", number: int = 1, **body: Any) -> Recipient:
    """Offer a ticket; returns the recipient of the mail."""
    answer = await send(customer, seat, **body)
    assert answer.status_code == 201, answer.text
    wanted = f"{customer.id}-{seat}_{number}"
    return Recipient(customer, await customer.bus.wait_for(BookingTicketOffered, lambda each: each.ticket_id == wanted))


def door_reads(code: str) -> dict[str, Any]:
    return jwt.decode(code, options={"verify_signature": False})


async def admits(customer: Customer, door: dict[str, str], code: str) -> bool:
    """Whether the door lets the bearer of a code in."""
    answer = await customer.client.get(f"/api/tickets/{door_reads(code)['tid']}", headers=door)
    assert answer.status_code in {200, 404}
    return answer.status_code == 200 and answer.json()["ticket"]["qr"] == code


async def test_the_old_code_dies_when_the_new_one_exists(customer, bus, staff):
    booking = await customer.buy_tickets()
    door = staff("bookings:read", theaters=["t1"])
    old = (await customer.get_booking())["tickets"][0]["qr"]
    answer = await send(customer, message="  See you\u202e there!\n ", name="Ada L.", locale="de")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["state"], made["email"], made["name"], made["message"]) == (
        "offered",
        GRACE,
        "Ada L.",
        "See you there!",
    )
    event = await bus.wait_for(BookingTicketOffered, lambda each: each.booking_id == customer.id)
    assert (event.sender, event.message, event.locale, event.seat) == ("Ada L.", "See you there!", "de", given.F7)
    grace = Recipient(customer, event)

    page = await grace.get()
    assert (page["state"], page["qr"], page["documents"], page["has_account"]) == ("offered", None, [], False)
    assert await admits(customer, door, old), "until the acceptance the ticket is the giver's"
    own = (await customer.get_booking())["tickets"][0]
    assert (own["status"], own["qr"], own["transfer"]) == ("valid", old, made)

    answers = [await grace.accept() for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 200], answers[0].text
    ticket = answers[1].json()
    assert ticket == answers[0].json()
    assert (ticket["state"], ticket["status"], ticket["seat"]["seat_id"]) == ("accepted", "valid", "F7")
    assert await admits(customer, door, ticket["qr"])
    assert not await admits(customer, door, old)
    assert "ref" not in door_reads(ticket["qr"])
    seen = str(ticket) + str(door_reads(ticket["qr"]))
    for secret in ("ada@", "1250", booking["reference"], str(customer.holder.user_id), "refund"):
        assert secret not in seen, "the recipient sees nothing else of the customer"

    after = await customer.get_booking()
    own, other = after["tickets"]
    assert (own["ticket_id"], own["status"], own["qr"]) == (f"{customer.id}-F7", "transferred", None)
    assert own["transfer"]["state"] == "accepted"
    assert (other["status"], other["transfer"], after["party_qr"]) == ("valid", None, None)
    for ticket_id in (own["ticket_id"], grace.id):
        void = await customer.client.get(f"/api/tickets/{ticket_id}", headers=customer.headers)
        assert problem(void) == (404, "ticket_unknown")
    told = await bus.wait_for(BookingTicketTransferred, customer.is_mine)
    assert (told.reason, told.seats, told.previous_id, told.ticket_id) == (
        "accepted",
        [given.F8],
        f"{customer.id}-F7",
        grace.id,
    )


async def test_a_transferred_ticket_is_not_the_customers_to_cancel(customer):
    await customer.buy_tickets()
    grace = await offered_by(customer)
    before = await quote(customer)
    assert [each["reason"] for each in before.json()["tickets"]] == [None, None], "an offer does not bind"
    await grace.accept()
    changed = await cancel(customer, before)
    assert problem(changed) == (409, "quote_changed")
    whole = (await quote(customer)).json()
    assert [(each["ticket_id"][-2:], each["reason"]) for each in whole["tickets"]] == [
        ("F7", "transferred"),
        ("F8", None),
    ]
    assert (await quote(customer, "F7")).json()["quote_id"] is None

    assert (await grace.call("POST", "return")).status_code == 204
    own = (await customer.get_booking())["tickets"][0]
    assert (own["status"], bool(own["qr"]), own["transfer"]) == ("valid", True, None)
    assert problem(await grace.call("GET")) == (404, "transfer_unknown")
    refund = await quote(customer, "F7")
    assert refund.json()["total"] == 1250
    assert (await cancel(customer, refund)).status_code == 200


async def test_an_offer_ends_with_its_recall_or_with_the_ticket(customer):
    await customer.buy_tickets()
    grace = await offered_by(customer)
    again = await send(customer)
    assert again.status_code == 201, "the same offer again is no second one"
    assert problem(await send(customer, email="other@example.org")) == (409, "transfer_pending")
    path = f"/api/tickets/{customer.id}-F7/transfer"
    for _ in range(2):
        assert (await customer.client.delete(path, headers=customer.headers)).status_code == 204
    for answer in (await grace.call("GET"), await grace.accept()):
        assert problem(answer) == (404, "transfer_unknown")
    stored = await raw_bookings().find_one({"_id": customer.id})
    assert GRACE not in str(stored["transfers"]), "a recalled offer keeps no address"

    second = await offered_by(customer, number=2)
    assert problem(await grace.accept()) == (404, "transfer_unknown"), "the first link stays void"
    await cancel(customer, await quote(customer, "F7"))
    for answer in (await second.call("GET"), await second.accept()):
        assert problem(answer) == (404, "transfer_unknown")
    assert problem(await send(customer)) == (409, "not_transferable")

    third = await offered_by(customer, "F8")
    await third.accept()
    path = f"/api/tickets/{customer.id}-F8/transfer"
    late = await customer.client.delete(path, headers=customer.headers)
    assert problem(late) == (409, "transfer_settled")
    assert (await third.get())["status"] == "valid"


async def test_a_recipient_passes_the_ticket_on_and_the_last_one_returns_it(customer, bus, staff):
    await customer.buy_tickets()
    grace = await offered_by(customer)
    await grace.accept()
    first = (await grace.get())["qr"]
    answer = await grace.call("POST", json={"email": "hedy@example.org"})
    assert answer.status_code == 201, answer.text
    assert (await grace.get())["transfer"]["email"] == "hedy@example.org"
    event = await bus.wait_for(BookingTicketOffered, lambda each: each.email == "hedy@example.org")
    assert (event.sender, event.message) == (None, None), "the customer's name is not the recipient's"
    hedy = Recipient(customer, event)
    assert (await grace.get())["qr"] == first
    second = (await hedy.accept()).json()["qr"]
    door = staff("bookings:read")
    assert (await admits(customer, door, first), await admits(customer, door, second)) == (False, True)
    assert problem(await grace.call("GET")) == (404, "transfer_unknown")
    own = (await customer.get_booking())["tickets"][0]
    assert own["transfer"]["email"] == GRACE, "the customer does not learn to whom it was passed on"
    passed_on = await bus.wait_for(BookingTicketTransferred, lambda each: each.ticket_id == hedy.id)
    assert (passed_on.reason, passed_on.email) == (None, None)

    assert (await hedy.call("POST", "return")).status_code == 204
    own = (await customer.get_booking())["tickets"][0]
    assert (own["status"], own["transfer"]) == ("valid", None)
    returned = await bus.wait_for(
        BookingTicketTransferred, lambda each: customer.is_mine(each) and each.reason == "returned"
    )
    assert (returned.email, returned.seats) == ("ada@example.org", [given.F7, given.F8])
    assert returned.transfers > passed_on.transfers


async def test_an_account_alone_has_what_it_accepted(customer, signer: Signer):
    await customer.buy_tickets()
    grace, hedy = (signer.headers(f"recipient-{new_id()}") for _ in range(2))
    link = await offered_by(customer)
    assert problem(await link.call("GET", headers=grace)) == (404, "transfer_unknown"), "an offer needs its link"
    assert (await link.accept(headers=link.headers | grace)).json()["has_account"] is True
    assert problem(await link.accept(headers=link.headers | hedy)) == (409, "transfer_settled")
    listed = await customer.client.get("/api/tickets", headers=grace)
    assert [each["ticket_id"] for each in listed.json()["items"]] == [link.id]
    assert (await customer.client.get("/api/tickets", headers=hedy)).json() == {"items": []}
    assert (await link.call("GET", headers=grace)).json() == await link.get(), "the link still shows the ticket"
    for what, body in (("transfer", {"email": "x@example.org"}), ("return", None)):
        assert problem(await link.call("POST", what, json=body)) == (403, "forbidden")
    assert (await link.call("POST", json={"email": "x@example.org"}, headers=grace)).status_code == 201
    assert (await link.call("DELETE", headers=grace)).status_code == 204
    assert (await link.call("POST", "return", headers=grace)).status_code == 204


async def test_the_customer_takes_a_ticket_back_by_accepting_it(customer, bus):
    await customer.buy_tickets()
    grace = await offered_by(customer)
    await grace.accept()
    await grace.call("POST", json={"email": "ada@example.org"})
    event = await bus.wait_for(BookingTicketOffered, lambda each: each.ticket_id == f"{customer.id}-F7_2")
    own = Recipient(customer, event, customer.headers)
    assert problem(await own.accept()) == (404, "transfer_unknown")
    assert [each["status"] for each in (await customer.get_booking())["tickets"]] == ["valid", "valid"]


async def test_who_may_transfer(customer, guest, state, staff):
    await customer.buy_tickets()
    await guest.buy_tickets()
    end = now() + timedelta(days=1)
    mailed = {"X-Booking-Key": state.signer.link_key(guest.id, end)}
    assert (await send(guest, headers=mailed)).status_code == 201
    assert (await guest.client.delete(f"/api/tickets/{guest.id}-F7/transfer", headers=mailed)).status_code == 204
    mailed = {"X-Booking-Key": state.signer.link_key(customer.id, end)}
    assert problem(await send(customer, headers=mailed)) == (403, "forbidden")
    assert problem(await send(customer, headers=guest.headers)) == (404, "ticket_unknown")
    assert problem(await send(customer, headers=staff("bookings:read", "bookings:refund"))) == (403, "forbidden")
    assert problem(await send(customer, headers={"X-Request": "none"})) == (401, "unauthenticated")
    assert problem(await send(customer, seat="Z9")) == (404, "ticket_unknown")
    forged = {"X-Booking-Key": state.signer.link_key(f"{customer.id}-F7_1", end)}
    await offered_by(customer)
    path = f"/api/tickets/{customer.id}-F7_1/transfer"
    for headers in (forged, mailed, customer.headers, staff("bookings:read"), {"X-Booking-Key": "nonsense"}):
        assert problem(await customer.client.get(path, headers=headers)) == (404, "transfer_unknown")
        assert problem(await customer.client.post(f"{path}/accept", headers=headers)) == (404, "transfer_unknown")
    expired = {"X-Booking-Key": state.signer.ticket_key(f"{customer.id}-F7_1", now() - timedelta(days=1))}
    assert problem(await customer.client.get(path, headers=expired)) == (404, "transfer_unknown")


@pytest.mark.parametrize(
    "body",
    [
        {"email": "nobody"},
        {"message": "x" * 501},
        {"name": "x" * 61},
        {"name": "a\nb"},
        {"locale": "klingon!"},
        {"amount": 1},
    ],
)
async def test_bad_input_is_refused(customer, body):
    assert (await send(customer, **body)).status_code == 422


async def test_a_ticket_is_offered_ten_times_at_most(customer):
    await customer.buy_tickets()
    path = f"/api/tickets/{customer.id}-F7/transfer"
    for _ in range(model.MAX_OFFERS):
        assert (await send(customer)).status_code == 201
        await customer.client.delete(path, headers=customer.headers)
    assert problem(await send(customer)) == (429, "too_many_transfers")
    assert (await send(customer, "F8")).status_code == 201


async def test_an_address_gets_fifty_offers_a_day_from_whatever_tickets(customer, monkeypatch):
    monkeypatch.setattr(attempts, "MAX_OFFERS_TO_ADDRESS", 2)
    await customer.buy_tickets()
    stranger = "stranger@example.org"
    for seat in ("F7", "F8"):
        assert (await send(customer, seat, email=stranger)).status_code == 201
        assert (await send(customer, seat, email=stranger)).status_code == 201, "a repetition does not count"
        await customer.client.delete(f"/api/tickets/{customer.id}-{seat}/transfer", headers=customer.headers)
    assert problem(await send(customer, "F8", email=stranger)) == (429, "too_many_transfers")
    assert (await send(customer, "F8", email="another@example.org")).status_code == 201


async def test_nothing_is_offered_after_the_doors_open(customer):
    await customer.add_showtime(now() + timedelta(minutes=20))
    assert (await customer.check_out()).status_code == 201
    await customer.bus.publish(customer.sold())
    await customer.wait_for_state("confirmed")
    assert problem(await send(customer)) == (409, "transfers_closed")


async def test_the_recipients_documents_show_one_ticket_and_no_price(customer):
    await customer.buy_tickets()
    grace = await offered_by(customer)
    early = await grace.call("GET", "ticket.pdf")
    assert problem(early) == (404, "document_unavailable")
    ticket = (await grace.accept()).json()
    assert ticket["documents"] == ["tickets", "calendar", "apple_wallet", "google_wallet"]
    pdf = await grace.call("GET", "ticket.pdf")
    assert pdf.status_code == 200, pdf.text
    assert pdf.content.startswith(b"%PDF")
    [page] = pypdfium2.PdfDocument(pdf.content)
    text = page.get_textpage().get_text_bounded()
    assert "Ticket 1 of 1" in text
    assert "Ada" not in text
    assert "12.50" not in text
    assert "reference" not in text.lower()
    calendar = (await grace.call("GET", "calendar.ics")).text.replace("\r\n ", "")
    assert f"/tickets/{grace.id}" in calendar
    assert "reference" not in calendar.lower()
    assert (await grace.call("GET", "google-wallet")).json()["url"].startswith("https://pay.google.com/")


async def test_passes_follow_the_ticket(customer, tmp_path):
    await customer.buy_tickets()
    mine = next(each for each in await passes(customer, tmp_path / "a") if each["serialNumber"].endswith("-F7"))
    device = Device(customer.client, mine, "phone", "p1")
    await device.register()
    seen = await device.changed()
    assert seen
    grace = await offered_by(customer)
    await grace.accept()

    async def is_told() -> Any:
        return await device.changed(seen["lastUpdated"])

    await until(is_told)
    void = await device.latest(tmp_path / "b")
    assert (void["voided"], void["barcodes"]) == (True, [])
    answer = await grace.call("GET", "ticket.pkpass")
    hers = await unpacked(answer.content, tmp_path / "c")
    assert (hers["serialNumber"], hers["voided"]) == (grace.id, False)
    assert "€" not in str(hers)
    other = Device(customer.client, hers, "tablet", "p2")
    assert (await other.latest(tmp_path / "d"))["barcodes"] == hers["barcodes"]
    await grace.call("POST", "return")
    assert (await other.latest(tmp_path / "e"))["voided"] is True
    assert (await device.latest(tmp_path / "f"))["voided"] is False


async def test_recipients_learn_what_becomes_of_the_showtime(customer, bus):
    await customer.buy_tickets()
    grace = await offered_by(customer, locale="de")
    await grace.accept()
    await offered_by(customer, "F8", email="hedy@example.org")
    starts_at = now() + timedelta(days=2)
    times: dict[str, Any] = {
        "ends_at": starts_at + timedelta(hours=2),
        "sales_open_at": now(),
        "sales_close_at": starts_at,
    }
    await bus.publish(ShowtimeRescheduled(showtime_id=customer.showtime_id, starts_at=starts_at, **times))
    moved = await bus.wait_for(TransferredTicketChanged, customer.is_mine)
    assert (moved.change, moved.email, moved.locale, moved.ticket_id, moved.moves) == (
        "moved",
        GRACE,
        "de",
        grace.id,
        1,
    )
    assert moved.screening.starts_at == starts_at.replace(microsecond=moved.screening.starts_at.microsecond)
    assert moved.sealed_link
    await bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="technical"))
    gone = await bus.wait_for(
        TransferredTicketChanged, lambda each: customer.is_mine(each) and each.change == "cancelled"
    )
    assert (gone.email, gone.seat) == (GRACE, given.F7)
    assert (await grace.get())["status"] == "cancelled"


# ---- personal data


async def test_a_recipients_data_is_exported_and_erased(customer, bus, signer: Signer, staff):
    await customer.buy_tickets()
    user_id = f"recipient-{new_id()}"
    grace = await offered_by(customer, message="For you")
    await grace.accept(headers=grace.headers | signer.headers(user_id))
    code = (await grace.get())["qr"]
    for person, expected in ((user_id, grace.id), (customer.holder.user_id, GRACE)):
        export = new_id()
        await bus.publish(ExportRequested(export_id=export, user_id=person))
        data = await bus.wait_for(BookingDataExported, lambda event, wanted=export: event.export_id == wanted)
        assert expected in data.model_dump_json()
        assert "For you" in data.model_dump_json()
    await bus.publish(UserDeleted(user_id=user_id))

    async def is_erased() -> bool:
        document = str(await raw_bookings().find_one({"_id": customer.id}))
        return not any(word in document for word in (user_id, GRACE, "For you"))

    await until(is_erased)
    assert await admits(customer, staff("bookings:read"), code), "the ticket stays valid"
    assert problem(await grace.call("GET")) == (404, "transfer_unknown")


async def test_the_customers_words_are_erased_and_the_ticket_stays_the_recipients(customer, bus):
    await customer.buy_tickets()
    grace = await offered_by(customer, message="For you", name="Ada")
    await grace.accept()
    await bus.publish(UserDeleted(user_id=customer.holder.user_id))
    await wait_until_erased(customer)
    page = await grace.get()
    assert (page["status"], page["sender"], page["message"]) == ("valid", None, None)


async def test_addresses_of_recipients_are_erased_after_the_showtime(customer):
    await customer.buy_tickets()
    await offered_by(customer)
    await store.erase_contacts(now())
    booking = await store.find(customer.id)
    assert booking
    assert booking.contact_until
    assert booking.transfers[0].email == GRACE
    await bookings.update({"_id": customer.id}, {"$set": {"contact_until": now(), "locale": "de"}})
    await store.erase_contacts(now())
    booking = await store.find(customer.id)
    assert booking
    assert (booking.transfers[0].email, booking.contact_until) == (None, None)
    assert (booking.email, booking.locale) == ("ada@example.org", "de"), "the customer's own stay"


# ---- races, each first with the guard off


async def write_unguarded(booking: Booking, command: Any) -> None:
    """What a change would do without the version in the filter of its write."""
    outcome = advance(booking, command, now())
    assert outcome
    fields = outcome.booking.model_dump(include=set(outcome.changed))
    await bookings.update({"_id": booking.id}, {"$set": fields}, events=outcome.events)


CANCEL = model.CancelTickets({"F7": 1250}, "by_customer", "q1")


@pytest.mark.parametrize(
    ("commands", "is_wrong"),
    [
        (lambda id_: (CANCEL, AcceptTicket(id_)), lambda after: bool(after.refunds) and len(valid_ids(after)) == 2),
        (
            lambda id_: (AcceptTicket(id_, "u8"), AcceptTicket(id_, "u9")),
            lambda after: after.transfers[0].user_id == "u9",
        ),
        (lambda id_: (AcceptTicket(id_), RecallTicket(id_)), lambda after: after.transfers[0].state == "recalled"),
    ],
    ids=["a refunded ticket admits", "two people accept", "a recalled ticket is the recipient's"],
)
async def test_without_the_guard_races_go_wrong(
    customer, state, commands: Callable[[str], tuple[Any, Any]], is_wrong: Callable[[Booking], bool]
):
    await customer.buy_tickets()
    await offered_by(customer)
    stale = await store.find(customer.id)
    assert stale
    for command in commands(f"{customer.id}-F7_1"):
        await write_unguarded(stale, command)
    state.manager.forget(customer.id)
    after = await store.find(customer.id)
    assert after
    assert is_wrong(after)


async def test_of_a_transfer_and_a_cancellation_one_wins(customer):
    await customer.buy_tickets()
    quoted, grace = await quote(customer, "F7"), await offered_by(customer)
    cancelled, accepted = await asyncio.gather(cancel(customer, quoted), grace.accept())
    booking = await store.find(customer.id)
    assert booking
    if accepted.status_code == 200:
        assert problem(cancelled) == (409, "quote_changed")
        assert (valid_ids(booking), booking.refunds) == ([f"{customer.id}-F7_1", f"{customer.id}-F8"], [])
    else:
        assert (problem(accepted), cancelled.status_code) == ((404, "transfer_unknown"), 200)
        assert (valid_ids(booking), len(booking.refunds)) == ([f"{customer.id}-F8"], 1)


async def test_of_two_people_with_the_link_one_accepts(customer, signer: Signer):
    await customer.buy_tickets()
    grace = await offered_by(customer)
    people = [signer.headers(f"recipient-{new_id()}") for _ in range(4)]
    answers = await asyncio.gather(*(grace.accept(headers=grace.headers | each) for each in people))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    listed = [(await customer.client.get("/api/tickets", headers=each)).json()["items"] for each in people]
    assert [len(items) for items in listed] == [int(answer.status_code == 200) for answer in answers]


async def test_of_a_recall_and_an_acceptance_one_wins(customer):
    await customer.buy_tickets()
    grace = await offered_by(customer)
    path = f"/api/tickets/{customer.id}-F7/transfer"
    recalled, accepted = await asyncio.gather(customer.client.delete(path, headers=customer.headers), grace.accept())
    booking = await store.find(customer.id)
    assert booking
    winner = (200, 409) if valid_ids(booking)[0].endswith("_1") else (404, 204)
    assert (accepted.status_code, recalled.status_code) == winner
    assert len(valid_ids(booking)) == 2
