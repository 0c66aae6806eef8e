"""The composed mail, without a server."""

import struct
import zlib
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr
from html.parser import HTMLParser

import pytest
import zxingcpp
from chassis.security.secrets import Cipher
from contracts.types import Holder
from notifier.mails import compose, render_stored
from notifier.mails.confirmation import confirmation_context
from notifier.model import Unmailable

from .conftest import LINK_KEY, confirmed, ticket


def mailed(event):
    rendered = render_stored("confirmation", event.model_dump_json(exclude_none=True))
    sent = compose(rendered, f"confirmation.{event.booking_id}", datetime(2026, 11, 1, tzinfo=UTC))
    return message_from_bytes(sent.replace(b"\r\n", b"\n"), policy=policy.default)


def bodies(sent):
    return tuple(sent.get_body((form,)).get_content() for form in ("plain", "html"))


class Tags(HTMLParser):
    """All tags with their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_headers():
    event = confirmed()
    sent = mailed(event)
    assert sent["From"] == "Usher <tickets@usher.example>"
    assert sent["To"] == "Ada Lovelace <ada@usher.example>"
    assert sent["Message-ID"] == f"<confirmation.{event.booking_id}@usher.example>"
    assert sent["Subject"] == "Your tickets: Metropolis, Saturday, 21 November 2026, 20:15"
    assert sent["Auto-Submitted"] == "auto-generated"
    assert not [name for name in sent if name.startswith("List-")]


@pytest.mark.parametrize(
    ("locale", "subject", "sentence"),
    [
        ("en", "Exchanged: your new tickets, Metropolis", "the codes of the old ones are no longer valid"),
        ("de", "Umgetauscht: Ihre neuen Tickets, Metropolis", "die Codes der alten gelten nicht mehr"),
    ],
)
def test_the_mail_about_an_exchange_says_that_the_old_codes_are_void(locale, subject, sentence):
    sent = mailed(confirmed(replaces="b0", locale=locale))
    assert sent["Subject"].startswith(subject)
    assert all(sentence in " ".join(Tags(body).text.split()) for body in bodies(sent))


@pytest.mark.parametrize("form", [0, 1])
def test_both_forms_have_all_details(form):
    event = confirmed()
    text = bodies(mailed(event))[form]
    for expected in (
        "Ada Lovelace",
        "Metropolis",
        "PG · 2D · German",
        "K7QF2M",
        "Saturday, 21 November 2026",
        "20:15",
        "22:48",
        "Usher Mitte",
        "Auditorium 2",
        "Row F, seat 7",
        "Row F, seat 8",
        "Adult",
        "Child",
        "€12.50",
        "€8.50",
        "€21.00",
        f"http://127.0.0.1:8080/bookings/{event.booking_id}",
    ):
        assert expected in text


def test_the_theaters_address_links_to_a_map():
    text, html = bodies(mailed(confirmed(screening={"address": "Karl-Marx-Allee 33, 10178 Berlin"})))
    url = "https://www.openstreetmap.org/search?query=Usher%20Mitte%2C%20Karl-Marx-Allee%2033%2C%2010178%20Berlin"
    assert f"Karl-Marx-Allee 33, 10178 Berlin\nMap: {url}\n" in text
    assert ("a", {"class": "soft", "href": url}) in [
        (tag, {name: value for name, value in attrs.items() if name != "style"}) for tag, attrs in Tags(html).tags
    ]
    assert not [form for form in bodies(mailed(confirmed())) if "openstreetmap" in form]


def test_the_tax_is_shown_if_it_is_known():
    for form in bodies(mailed(confirmed(tax=137))):
        assert "includes €1.37 tax" in form
    for form in bodies(mailed(confirmed(tax=137, locale="de"))):
        assert "inklusive 1,37\xa0€ Steuern" in form
    for event in (confirmed(), confirmed(tax=0)):
        assert not [form for form in bodies(mailed(event)) if "includes" in form]


def test_a_confirmation_of_the_previous_release_is_mailed():
    event = confirmed().model_copy(update={"sealed_codes": None, "tickets": [ticket(qr="old")]})
    pictures = [part for part in mailed(event).walk() if part.get_content_type() == "image/png"]
    assert [read_qr(part.get_content()) for part in pictures] == ["old"]


def test_each_ticket_has_its_code_inline():
    event = confirmed(tickets=[ticket(7, qr="one"), ticket(8, qr="x" * 1200)])
    sent = mailed(event)
    shown = [attrs["src"] for tag, attrs in Tags(bodies(sent)[1]).tags if tag == "img"]
    pictures = [part for part in sent.walk() if part.get_content_type() == "image/png"]
    assert shown == [f"cid:{part['Content-ID'].strip('<>')}" for part in pictures]
    assert [part.get_filename() for part in pictures] == ["ticket-1.png", "ticket-2.png"]
    assert {part.get_content_disposition() for part in pictures} == {"inline"}
    assert [read_qr(part.get_content()) for part in pictures] == ["one", "x" * 1200]
    content, _ = sent.iter_parts()
    assert content.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in content.iter_parts()] == ["text/plain", "multipart/related"]


def read_qr(png: bytes) -> str:
    """Decode the QR code as a camera at the door would."""
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    assert width == height >= 224
    start = png.index(b"IDAT")
    lines = zlib.decompress(png[start + 4 : start + 4 + int.from_bytes(png[start - 4 : start])])
    stride, above, picture = width // 8 + 1, bytes(width // 8), bytearray()
    for at in range(0, len(lines), stride):
        kind, line = lines[at], lines[at + 1 : at + stride]
        above = line if kind == 0 else bytes((a + b) % 256 for a, b in zip(above, line, strict=True))
        picture += bytes(255 * (byte >> bit & 1) for byte in above for bit in range(7, -1, -1))
    code = zxingcpp.read_barcode(zxingcpp.ImageView(memoryview(picture), width, height, zxingcpp.ImageFormat.Lum))
    assert code is not None
    return code.text


def test_german():
    text, html = bodies(mailed(confirmed(locale="de-DE")))
    for form in (text, html):
        assert "Samstag, 21. November 2026" in form
        assert "20:15" in form
        assert "Reihe F, Platz 7" in form
        assert "21,00\xa0€" in form
    assert '<html lang="de">' in html


@pytest.mark.parametrize("locale", ["", "xx", "fr-FR", "../../etc/passwd", "de\n", "1", "x" * 500])
def test_an_unknown_language_falls_back_to_english(locale):
    assert "Row F, seat 7" in bodies(mailed(confirmed(locale=locale)))[0]


@pytest.mark.parametrize(("locale", "place"), [("en", "Circle, row 1, seat 12a"), ("de", "Circle, Reihe 1, Platz 12a")])
def test_a_seat_is_named_with_its_area(locale, place):
    """The id is opaque and not shown."""
    seats = [
        ticket(12, row="1", area="Circle", suffix="a", seat_id="QX999"),
        ticket(2, row="1", area="Circle", seat_id="QX2"),
        ticket(1, row="Ж", area="יציע", seat_id="A1"),
    ]
    event = confirmed(locale=locale, tickets=seats)
    text, html = bodies(mailed(event))
    assert place in text and place in html
    assert "Circle 1/12a, 1/2, \u2068יציע Ж1\u2069" in html
    assert "QX" not in text
    assert "\u2068יציע\u2069" in text, "an area in Hebrew does not turn the line around"


@pytest.mark.parametrize(
    ("currency", "amount", "printed"),
    [("JPY", 1800, "¥1,800"), ("KWD", 3500, "KWD\xa03.500"), ("XQZ", 100, "XQZ\xa01.00"), ("EUR", 0, "€0.00")],
)
def test_amounts_have_the_digits_of_their_currency(currency, amount, printed):
    assert printed in bodies(mailed(confirmed(currency=currency, amount=amount)))[0]


def test_times_are_in_the_theaters_time_zone():
    berlin, tokyo = (mailed(confirmed(screening={"time_zone": zone})) for zone in ("Europe/Berlin", "Asia/Tokyo"))
    assert "Saturday, 21 November 2026, 20:15" in bodies(berlin)[0]
    assert "Sunday, 22 November 2026, 04:15" in bodies(tokyo)[0]


def test_line_ends_and_lengths_follow_the_rfcs():
    """RFC 5321, 2.3.8 and RFC 2045, 6.7 and 6.8."""
    event = confirmed(name="É" * 100, screening={"movie_title": "日本語 " * 60, "theater_name": "x" * 3000})
    rendered = render_stored("confirmation", event.model_dump_json())
    lines = compose(rendered, "k", datetime(2026, 11, 1, tzinfo=UTC)).split(b"\r\n")
    assert lines[-1] == b""
    assert not [line for line in lines if b"\r" in line or b"\n" in line]
    assert max(map(len, lines)) <= 998
    assert not [line for line in lines[lines.index(b"") :] if len(line) > 76 and not line.startswith(b"Content-")]


NASTY = "<script>alert(1)</script>\r\nBcc: eve@usher.example\r\n\r\n{{ 7*7 }} {name} \"'&\u202egnp\x00"


def test_malicious_names_are_escaped():
    printed = dict.fromkeys(("movie_title", "theater_name", "auditorium_name", "certificate", "format"), NASTY)
    event = confirmed(
        name=NASTY,
        reference=NASTY,
        screening=printed,
        tickets=[ticket(ticket_type="o-neil_x", qr=NASTY)],
        holder=Holder(secret_hash="0" * 64),
    )
    sent = mailed(event)
    assert sent["Bcc"] is None
    assert [name for name in sent if name in {"To", "Subject"}] == ["To", "Subject"]
    assert [address.addr_spec for address in sent["To"].addresses] == ["ada@usher.example"]
    head = sent.as_bytes().split(b"\r\n\r\n", 1)[0]
    assert not [line for line in head.split(b"\r\n") if line.lower().startswith(b"bcc")]
    text, html = bodies(sent)
    assert "\u202e" not in text + html
    assert "{{ 7*7 }} {name}" in text
    parsed = Tags(html)
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert "<script>alert(1)</script> Bcc: eve@usher.example" in parsed.text
    assert "O neil x" in parsed.text
    assert not [attrs for _, attrs in parsed.tags if any(name.startswith("on") for name in attrs)]


def test_a_non_ascii_name_does_not_break_the_header():
    assert mailed(confirmed(name="Ζωή, 田中 👩‍👩‍👧" * 5))["To"].addresses[0].addr_spec == "ada@usher.example"
    assert mailed(confirmed(name='Eve" <eve@usher.example>, "'))["To"].addresses[0].addr_spec == "ada@usher.example"
    assert len(mailed(confirmed(name='Eve" <eve@usher.example>, "'))["To"].addresses) == 1


@pytest.mark.parametrize(
    "name",
    ["Ж" * 100, "Борис Ж " * 12, "日本語 " * 25, "👩‍👩‍👧" * 19, "A" * 100, "Ada"],
    ids=["Cyrillic", "Cyrillic words", "Japanese", "emoji", "ASCII", "short"],
)
@pytest.mark.parametrize("email", ["ada@usher.example", f"{'a' * 60}@{'b' * 60}.example"], ids=["", "long"])
def test_the_words_and_lines_of_a_header_have_their_longest_lengths(name, email):
    """RFC 2047, 2: words of 75 characters. RFC 5322, 2.1.1: lines of 78, unless an address has more."""
    rendered = render_stored("confirmation", confirmed(name=name, email=email).model_dump_json())
    rendered = rendered._replace(subject=f"{name}: {rendered.subject}")
    content = compose(rendered, "k", datetime(2026, 11, 1, tzinfo=UTC))
    head = content.split(b"\r\n\r\n")[0].decode("ascii")
    for line in head.split("\r\n"):
        assert len(line) <= 78 or line == f" <{email}>" or "A" * 100 in line
        assert not [word for word in line.split() if word.startswith("=?") and len(word) > 75]
    sent = message_from_bytes(content)  # the default policy puts spaces between the words of a name
    assert parseaddr(str(make_header(decode_header(sent["To"])))) == (rendered.to.display_name, email)
    assert str(make_header(decode_header(sent["Subject"]))).split() == rendered.subject.split()


def test_a_languages_code_becomes_its_name():
    for locale, printed in (("en", "French"), ("de", "Französisch")):
        assert f"PG · 2D · {printed}" in bodies(mailed(confirmed(locale=locale, screening={"language": "fr"})))[0]
    assert "PG · 2D · en-12" in bodies(mailed(confirmed(screening={"language": "en-12"})))[0]


def test_a_country_of_the_locale_decides_the_format():
    assert "8:15\u202fPM" in bodies(mailed(confirmed(locale="en-US")))[0]


def test_names_from_right_to_left_are_isolated():
    sent = mailed(confirmed(screening={"movie_title": "אלף", "theater_name": "קולנוע", "certificate": "١٥"}))
    text, html = bodies(sent)
    for form in (text, html):
        for expected in ("\u2068אלף\u2069", "\u2068קולנוע\u2069", "\u2068١٥\u2069 · 2D · German"):
            assert expected in form
    assert sent["Subject"].startswith("Your tickets: \u2068אלף\u2069, ")


def test_the_greeting_without_a_name():
    text, html = bodies(mailed(confirmed(name=None)))
    assert text.startswith("Hello,\n")
    assert "Hello,<" in html


@pytest.mark.parametrize(
    "change",
    [
        {"email": "ada@usher.example\r\nBcc: eve@usher.example"},
        {"screening": {"time_zone": "Mars/Olympus"}},
        {"screening": {"time_zone": "../../../etc/passwd"}},
        {"screening": {"time_zone": ""}},
        {"screening": {"time_zone": "Europe"}},
        {"tickets": [ticket(qr="x" * 1201)]},
        {"tickets": [ticket(qr="")]},
        {"sealed_codes": Cipher("another service's key").encrypt("[]")},
        {"sealed_codes": Cipher(LINK_KEY).encrypt('["one"]')},
    ],
)
def test_an_event_that_cannot_become_a_mail_is_rejected(change):
    with pytest.raises(Unmailable):
        confirmation_context(confirmed(**change))
