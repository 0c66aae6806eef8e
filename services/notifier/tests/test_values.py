"""Whatever the services accept can be mailed: by a server without SMTPUTF8, in the recipient's language."""

from datetime import UTC, datetime
from zoneinfo import available_timezones

from chassis.locales import money
from contracts.currencies import CHARGED, EXPONENTS, decimal
from contracts.identity import RegistrationRepeated
from contracts.types import Email, LanguageTag, TimeZone
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from notifier.mails import compose, render
from notifier.mails.account import registration_repeated_context
from notifier.mails.languages import date_and_time, locale_of
from notifier.model import checked_address
from notifier.settings import get
from notifier.smtp import SmtpClient
from pydantic import TypeAdapter, ValidationError

EMAIL, TAG, ZONE = map(TypeAdapter, (Email, LanguageTag, TimeZone))
MOMENT = datetime(2027, 3, 28, 1, 15, tzinfo=UTC)

labels = st.text("abcxyz09-ßäüñçıœðკиноκύαςñ日本語नमस", min_size=1, max_size=63)
domains = st.lists(labels, min_size=1, max_size=5).map(".".join)
local_parts = st.text("abcXYZ09.!#$%&'*+/=?^_`{|}~-äß", min_size=1, max_size=64)
addresses = st.emails() | st.builds("{}@{}.example".format, local_parts, domains)
tags = st.from_regex(r"\A[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z")


def valid(value: str, type_: TypeAdapter[str]) -> str:
    """Return the value as it is accepted, or an empty text."""
    try:
        return type_.validate_python(value)
    except ValidationError:
        return ""


@settings(max_examples=150, deadline=None)
@given(typed=addresses)
@example(typed="ada@straße-kino.example")
@example(typed=f"{'a' * 64}@{'.'.join('b' * 60 for _ in range(3))}.kinos")
@example(typed=f"a@{'ü' * 50}.{'ß' * 50}.{'é' * 50}.example")
async def test_an_accepted_address_is_mailed_without_smtputf8(typed, session_mail_server, link_key):
    address = valid(typed, EMAIL)
    assume(address)
    smtp = SmtpClient(get().model_copy(update={"smtp_port": session_mail_server.port}))
    event = RegistrationRepeated(registration_id="r1", email=address, name="Ada", locale="en")
    rendered = render(event, registration_repeated_context(event))
    await smtp.send(compose(rendered, "k1", MOMENT), rendered.to.addr_spec)
    envelope, mail = session_mail_server.mails.pop()
    assert envelope.rcpt_tos == [mail["To"].addresses[0].addr_spec] == [rendered.to.addr_spec]
    assert rendered.to.addr_spec.isascii()
    assert valid(rendered.to.addr_spec, EMAIL) == address, "the mail goes to the address that was accepted"


def test_a_domain_has_its_own_name_in_dns():
    assert checked_address("ada@straße-kino.example")[1] == "xn--strae-kino-83a.example"


@settings(deadline=None)
@given(typed=tags)
def test_an_accepted_language_can_be_written_in(typed):
    tag = valid(typed, TAG)
    assume(tag)
    assert date_and_time(MOMENT, "Europe/Berlin", locale_of(tag))


def test_times_in_every_accepted_zone_can_be_written():
    zones = [zone for zone in available_timezones() if valid(zone, ZONE)]
    assert all(date_and_time(MOMENT, zone, locale_of("de")) for zone in zones)


@given(amount=st.integers(0, 10**9), currency=st.sampled_from(sorted(CHARGED)), language=st.sampled_from(["en", "de"]))
def test_an_amount_is_written_with_the_digits_in_which_it_is_charged(amount, currency, language):
    written = "".join(sign for sign in money(amount, currency, locale_of(language)) if sign.isdigit())
    assert int(written) == amount
    assert len(written) > EXPONENTS.get(currency, 2)
    assert decimal(amount, currency) * 10 ** EXPONENTS.get(currency, 2) == amount


def test_amounts_are_written_as_people_do():
    shown = [
        money(1290, "EUR", locale_of("de")),
        money(2190, "ISK", locale_of("en")),
        money(5125, "KWD", locale_of("en")),
    ]
    assert shown == ["12,90\xa0€", "ISK\xa02,190", "KWD\xa05.125"]
    assert money(350_000, "HUF", locale_of("en")) == "HUF\xa03,500.00"
