"""Tickets and receipts as PDF, read back: text, structure for screen readers, and QR codes."""

import asyncio
import io
import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import httpx
import pypdf
import pypdfium2
import pytest
import typst
import zxingcpp
from booking import documents
from booking.documents import Printer
from booking.documents.printing import FONTS, MAX_WAITING, TEMPLATES
from booking.model import (
    Booking,
    DocumentsBusy,
    Refund,
    RefundState,
    State,
    TaxShare,
    credit_notes,
    issue_tickets,
    taxes_of,
)
from chassis.clock import now
from contracts.booking import Screening
from contracts.catalog import Seller, ShowtimeCancelled
from contracts.types import Name
from hypothesis import example, given, settings
from hypothesis import strategies as st
from icalendar import Calendar
from pydantic import TypeAdapter, ValidationError
from pypdf.generic import IndirectObject

from .conftest import problem
from .examples import NOW, in_state

SELLER = Seller(legal_name="Kino International GmbH", address="Karl-Marx-Allee 33, 10178 Berlin", tax_id="DE123")
NAME = TypeAdapter(Name)
QR_POINTS = 62 / 25.4 * 72
"""The height of a ticket's QR code."""
SCRIPTS = "Amélie Ωμέγα Привет Żółć עברית مرحبا 東京物語 你好世界 기생충 नमस्ते สวัสดี 🎬 ★"
HOSTILE = [
    "#pagebreak() #panic() *bold* _it_ $x$ `raw` @ref <label> // no /* no */ \\u{41} ~ [a](b)",
    '#image("/etc/passwd") #read("base.typ") #sys.inputs.data ]) } #(',
    "x" * 200,
    "🎬" * 200,
    "عنوان طويل · 15 " * 12,
]


@pytest.fixture(scope="module")
async def printer():
    printer = Printer()
    async with printer.running():
        yield printer


def bought(**changes: Any) -> Booking:
    """A booking with two tickets, whose codes are as long as real ones. Screening's fields go to the screening."""
    booking = in_state(
        State.CONFIRMED, **{name: changes[name] for name in changes.keys() & Booking.model_fields.keys()}
    )
    assert booking is not None
    assert booking.screening is not None
    taxed = zip(booking.lines, (82, 118), strict=True)
    booking.lines = [line.model_copy(update={"tax": tax, "tax_basis_points": 700}) for line, tax in taxed]
    shown = {name: changes[name] for name in changes.keys() & Screening.model_fields.keys()}
    booking.screening = booking.screening.model_copy(update=shown)
    tickets = issue_tickets(booking)
    booking.tickets = [ticket.model_copy(update={"qr": f"{ticket.ticket_id}.{'e' * 300}"}) for ticket in tickets]
    return booking


def data_of(template: str, booking: Booking, seller: Seller | None = SELLER) -> dict[str, Any]:
    """What the template prints."""
    if template == "receipt":
        return documents.receipt_data(booking, seller)
    return documents.tickets_data(booking, booking.tickets, seller)


async def printed(printer: Printer, template: str, booking: Booking, seller: Seller | None = SELLER) -> list[str]:
    """The text of each page, with plain spaces."""
    pdf = await printer.print(template, data_of(template, booking, seller))
    sheets = pypdfium2.PdfDocument(pdf)
    texts = [sheet.get_textpage().get_text_range() for sheet in sheets]
    return ["\n".join(text.replace("\u00a0", " ").splitlines()) for text in texts]


def squeezed(text: str) -> str:
    """The text without the breaks of lines and words."""
    return "".join(text.replace("\u200b", "").split())


async def test_a_page_says_what_the_door_and_the_visitor_need(printer):
    first, second = await printed(
        printer, "tickets", bought(locale="de", name="Ada Lovelace", address="Uferweg 1, Berlin")
    )
    for text in (
        "Metropolis",
        "Samstag, 21. November 2026, 22:00",
        "Kino International, Saal 1, Uferweg 1, Berlin",
        "Ticket 1 von 2",
        "Erwachsene · Parkett · 12,50 €",
        "CDFGHJKM",
        "Ada Lovelace",
        SELLER.legal_name,
    ):
        assert text in first, first
    assert "18,00 €" in second
    english = (await printed(printer, "tickets", bought()))[0]
    assert "Saturday, 21 November 2026, 22:00" in english
    assert "€12.50" in english


def read_codes(sheet: pypdfium2.PdfPage) -> list[Any]:
    """The QR codes of a page."""
    return zxingcpp.read_barcodes(sheet.render(scale=2).to_pil())


async def test_the_printed_codes_are_the_tickets(printer):
    booking = bought()
    pdf = await printer.print("tickets", data_of("tickets", booking))
    sheets = pypdfium2.PdfDocument(pdf)
    read = [read_codes(sheet) for sheet in sheets]
    assert [[code.text for code in codes] for codes in read] == [[ticket.qr] for ticket in booking.tickets]


def structure(node: Any) -> list[tuple[str, str | None]]:
    """The tags below a node of the structure tree, in reading order, with their alternative texts."""
    found: list[tuple[str, str | None]] = []
    for kid in node.get("/K", []) if isinstance(node.get("/K", []), list) else [node["/K"]]:
        each = kid.get_object() if isinstance(kid, IndirectObject) else kid
        if isinstance(each, dict) and "/S" in each:
            found += [(each["/S"], each.get("/Alt")), *structure(each)]
    return found


async def test_screen_readers_find_titles_images_and_tables(printer):
    booking = bought(locale="de")
    for template in ("tickets", "receipt"):
        data = data_of(template, booking)
        reader = pypdf.PdfReader(io.BytesIO(await printer.print(template, data)))
        root: Any = reader.trailer["/Root"]
        assert root["/MarkInfo"]["/Marked"]
        assert root["/Lang"].startswith("de")
        assert reader.metadata
        assert reader.metadata.title == data["title"]
        tags = structure(root["/StructTreeRoot"])
        if template == "tickets":
            codes = [f"QR-Code des Tickets: Reihe F, Platz {number}" for number in (7, 8)]
            assert [alt for tag, alt in tags if tag == "/Figure"] == codes
            assert [tag for tag, _ in tags].count("/H1") == 2
        else:
            assert {"/H1", "/H2", "/Table", "/TH", "/TD"} <= {tag for tag, _ in tags}


@pytest.mark.parametrize("template", ["tickets", "receipt"])
def test_the_documents_conform_to_pdf_ua(template):
    """Typst refuses what violates PDF/UA-1: missing titles, texts of images, or glyphs."""
    data = data_of(template, bought(movie_title=SCRIPTS, name=SCRIPTS, refunded_amount=1000))
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=FONTS)
    _, warnings = typst.Compiler(root=TEMPLATES, font_paths=fonts).compile_with_warnings(
        TEMPLATES / f"{template}.typ", format="pdf", sys_inputs={"data": json.dumps(data)}, pdf_standards="ua-1"
    )
    assert warnings == []


def is_name(text: str) -> bool:
    try:
        return NAME.validate_python(text) == text
    except ValidationError:
        return False


@settings(max_examples=10, deadline=None)
@given(title=st.text(min_size=1, max_size=200).filter(is_name))
@example(title=SCRIPTS)
@example(title=HOSTILE[0])
@example(title=HOSTILE[1])
@example(title=HOSTILE[2])
@example(title=HOSTILE[3])
@example(title=HOSTILE[4].strip())
async def test_whatever_is_accepted_is_printed_on_its_page(printer, title):
    names = {"theater_name": title, "auditorium_name": title[:100], "address": title, "name": title[:100]}
    texts = await printed(printer, "tickets", bought(movie_title=title, **names))
    assert len(texts) == 2, "a page for each ticket"
    if title.isascii():
        assert squeezed(title) in squeezed(texts[0]), "markup is shown as it was typed"
    assert "CDFGHJKM" in texts[0]
    assert "CDFGHJKM" in texts[1]


async def test_long_names_shrink_and_leave_room_for_the_code(printer):
    booking = bought(
        **dict.fromkeys(("movie_title", "theater_name", "auditorium_name", "address", "name"), "Wort " * 40)
    )
    text = pypdfium2.PdfDocument(await printer.print("tickets", data_of("tickets", booking)))[0].get_textpage()

    def box_of(words: str) -> tuple[float, float]:
        """Bottom and top of the words in points, from the bottom of the page."""
        index, _ = text.search(words).get_next() or (0, 0)
        _, bottom, _, top = text.get_charbox(index)
        return bottom, top

    assert box_of(SELLER.legal_name)[0] - box_of("Show this code")[1] > QR_POINTS


async def test_characters_that_change_the_direction_are_not_printed(printer):
    text = (await printed(printer, "tickets", bought(movie_title="safe\u202eexe.pdf\u2066 \x07")))[0]
    assert "safeexe.pdf" in text


# ---- receipts


async def test_a_receipt_has_seller_tax_by_rate_and_payment(printer):
    text = "\n".join(await printed(printer, "receipt", bought(locale="de")))
    for part in (
        "Rechnung",
        SELLER.legal_name,
        SELLER.address,
        "Steuernummer: DE123",
        "Gesamtbetrag: 30,50 €",
        "Karte: 30,50 €",
        "Erwachsene, Reihe F, Platz 7",
        "7 % 28,50 € 2,00 € 30,50 €",
    ):
        assert part in text, text
    assert "Gutschrift" not in text
    assert (await printed(printer, "receipt", bought(), seller=None))[0].startswith("Kino International")


def test_tax_is_summed_by_rate():
    rated = zip(bought().lines, (1900, 700), strict=True)
    lines = [line.model_copy(update={"tax_basis_points": rate}) for line, rate in rated]
    assert taxes_of(lines) == [TaxShare(700, 1800, 118), TaxShare(1900, 1250, 82)]
    unknown = [line.model_copy(update={"tax": None, "tax_basis_points": None}) for line in lines]
    assert taxes_of(unknown) == [TaxShare(None, 3050, None)]


def refund(number: int, amount: int, state: RefundState, minute: int) -> Refund:
    at = NOW + timedelta(minutes=number)
    settled_at = NOW + timedelta(hours=1, minutes=minute) if state == "accepted" else None
    return Refund(refund_id=f"r{number}", amount=amount, state=state, at=at, settled_at=settled_at)


def taxed(booking: Booking, rates: tuple[int, int], refunds: list[Refund]) -> Booking:
    """The booking with these tax rates and refunds."""
    booking.lines = [
        line.model_copy(update={"tax_basis_points": rate, "tax": line.amount * rate // (10_000 + rate)})
        for line, rate in zip(booking.lines, rates, strict=True)
    ]
    refunded = sum(each.amount for each in refunds if each.state == "accepted")
    return booking.model_copy(update={"refunds": refunds, "refunded_amount": refunded})


STATES: list[RefundState] = ["requested", "accepted", "failed"]


@given(
    parts=st.lists(st.tuples(st.integers(1, 3050), st.sampled_from(STATES), st.integers(0, 3)), max_size=6),
    rates=st.sampled_from([(700, 700), (700, 1900)]),
)
def test_credit_notes_add_up_and_keep_their_numbers(parts, rates):
    amounts = [amount for amount, *_ in parts]
    while sum(amounts) > 3050:
        amounts = [amount // 2 for amount in amounts]
    facts = zip(amounts, parts, strict=True)
    refunds = [refund(n, amount, state, minute) for n, (amount, (_, state, minute)) in enumerate(facts, 1)]
    booking = taxed(bought(), rates, refunds)
    notes = credit_notes(booking)
    assert sum(note.amount for note in notes) == booking.refunded_amount
    assert len({note.number for note in notes}) == len(notes)
    for note in notes:
        assert sum(share.gross for share in note.taxes) == note.amount
        assert all(share.gross > 0 and share.tax is not None and 0 <= share.tax <= share.gross for share in note.taxes)
    # All that is under way is accepted later, and the rest is refunded.
    later = [
        each if each.state != "requested" else refund(n, each.amount, "accepted", 30 + n)
        for n, each in enumerate(refunds, 1)
    ]
    rest = 3050 - sum(each.amount for each in later if each.state == "accepted")
    whole = credit_notes(taxed(bought(), rates, [*later, refund(len(later) + 1, rest, "accepted", 59)]))
    assert whole[: len(notes)] == notes, "what was given to a customer does not change"
    found: Counter[int | None] = Counter()
    for note in whole:
        found.update({share.basis_points: share.tax for share in note.taxes})
    assert found == {share.basis_points: share.tax for share in taxes_of(booking.lines)}


async def test_a_receipt_has_the_credit_notes_of_its_refunds(printer):
    refunds = [refund(1, 500, "failed", 0), refund(2, 1250, "accepted", 5), refund(3, 700, "requested", 0)]
    text = "\n".join(await printed(printer, "receipt", taxed(bought(locale="de"), (700, 700), refunds)))
    assert "Gutschrift CDFGHJKM-2" in text
    assert "7 % 11,69 € 0,81 € 12,50 €" in text, text
    assert "Bezahlt nach Erstattungen: 18,00 €" in text
    assert "CDFGHJKM-1" not in text
    old = bought().model_copy(update={"refunded_amount": 1000})
    assert "Credit note CDFGHJKM-0" in "\n".join(await printed(printer, "receipt", old))


# ---- over HTTP


@pytest.fixture
async def downloads(client, customer):
    """A booking with tickets, and a function that downloads a document of it."""
    await customer.buy_tickets()

    async def download(name: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return await client.get(f"/api/bookings/{customer.id}/{name}", headers=headers or customer.headers)

    return customer, download


def in_calendar(answer: httpx.Response) -> Any:
    """The parsed calendar file."""
    return Calendar.from_ical(answer.content)


NAMES = ["tickets.pdf", "receipt.pdf", "calendar.ics"]


async def test_a_booking_lists_its_documents_and_delivers_them(downloads):
    customer, download = downloads
    booking = await customer.get_booking()
    assert booking["documents"] == ["tickets", "receipt", "calendar", "apple_wallet", "google_wallet"]
    tickets, receipt, calendar = [await download(name) for name in NAMES]
    assert [answer.status_code for answer in (tickets, receipt, calendar)] == [200] * 3
    assert tickets.headers["content-type"] == receipt.headers["content-type"] == "application/pdf"
    assert tickets.headers["content-disposition"] == f'attachment; filename="tickets-{booking["reference"]}.pdf"'
    assert tickets.headers["cache-control"] == "private, no-store"
    codes = [code.text for page in pypdfium2.PdfDocument(tickets.content) for code in read_codes(page)]
    assert codes == [ticket["qr"] for ticket in booking["tickets"]]
    assert booking["reference"] in pypdf.PdfReader(io.BytesIO(receipt.content)).pages[0].extract_text()
    [event] = in_calendar(calendar).walk("VEVENT")
    assert (event["UID"], event["SEQUENCE"]) == (f"{customer.id}@usher", 0)
    assert event["SUMMARY"] == "Metropolis"
    assert event["DTSTART"].dt == datetime.fromisoformat(booking["screening"]["starts_at"]).replace(microsecond=0)
    assert calendar.headers["content-type"] == "text/calendar; charset=utf-8; method=PUBLISH"


async def test_only_people_who_may_see_the_booking_get_its_documents(downloads, state, signer, guest, staff):
    customer, download = downloads
    key = state.signer.link_key(customer.id, now() + timedelta(days=1))
    for name in NAMES:
        assert problem(await download(name, {"X-Nobody": "1"})) == (401, "unauthenticated")
        assert problem(await download(name, signer.headers("somebody-else"))) == (404, "booking_unknown")
        assert problem(await download(name, guest.headers)) == (404, "booking_unknown")
        assert problem(await download(name, {"X-Booking-Key": f"{key}x"})) == (404, "booking_link_void")
        assert problem(await download(name, staff("bookings:read", theaters=["t2"]))) == (404, "booking_unknown")
        for headers in ({"X-Booking-Key": key}, staff("bookings:read", theaters=["t1"])):
            assert (await download(name, headers)).status_code == 200


async def test_the_documents_follow_the_bookings_state(client, customer, bus):
    booking = await customer.place_order()
    addresses = {name: f"/api/bookings/{customer.id}/{name}" for name in NAMES}
    assert booking["documents"] == []
    for address in addresses.values():
        assert problem(await client.get(address, headers=customer.headers)) == (404, "document_unavailable")
    await bus.publish(customer.sold())
    await customer.wait_for_state("confirmed")
    await bus.publish(ShowtimeCancelled(showtime_id=customer.showtime_id, reason="other"))
    ended = await customer.wait_for_state("refunding")
    assert ended["documents"] == ["receipt", "calendar"]
    tickets = await client.get(addresses["tickets.pdf"], headers=customer.headers)
    assert problem(tickets) == (404, "document_unavailable")
    calendar = await client.get(addresses["calendar.ics"], headers=customer.headers)
    parsed = in_calendar(calendar)
    [event] = parsed.walk("VEVENT")
    assert (parsed["METHOD"], event["STATUS"], event["SEQUENCE"]) == ("CANCEL", "CANCELLED", 1)


async def test_too_many_documents_at_once_are_refused(printer):
    data = data_of("tickets", bought())
    printing = [asyncio.create_task(printer.print("tickets", data)) for _ in range(MAX_WAITING + 1)]
    results = await asyncio.gather(*printing, return_exceptions=True)
    assert [type(result) for result in results] == [bytes] * MAX_WAITING + [DocumentsBusy]
    assert await printer.print("tickets", data)
