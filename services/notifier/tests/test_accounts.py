"""The mails about an account: their content, and the way from the event to a real mail server."""

import asyncio
import json
import re
from datetime import timedelta

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher
from chassis.testing import until
from contracts.identity import (
    EmailChangeRequested,
    InvitationRequested,
    PasswordResetRequested,
    RegistrationRepeated,
    SecurityNoticed,
    VerificationRequested,
)
from notifier.mails import account, languages, render_stored
from notifier.model import Refused, Unmailable
from notifier.store import Message
from structlog.testing import capture_logs

from .conftest import LINK_KEY

TOKEN = "the-secret-that-follows-the-hash-sign-in-it"
SITE = "http://127.0.0.1:8080"


def link_event(event_type, *, seconds=3600, key=LINK_KEY, **fields):
    defaults = {
        "link_id": new_id(),
        "email": "ada@usher.example",
        "name": "Ada Lovelace",
        "locale": "en",
        "sealed_token": Cipher(key).encrypt(TOKEN),
        "expires_at": now() + timedelta(seconds=seconds),
    }
    return event_type.model_validate(defaults | fields)


def notice(**fields):
    defaults = {
        "notice_id": new_id(),
        "user_id": new_id(),
        "what": "password_changed",
        "email": "ada@usher.example",
        "name": "Ada Lovelace",
        "locale": "en",
        "noticed_at": "2026-11-21T19:15:00Z",
        "device": "Firefox on Linux",
    }
    return SecurityNoticed.model_validate(defaults | fields)


def repeated(**fields):
    defaults = {"registration_id": new_id(), "email": "ada@usher.example", "name": "Ada Lovelace", "locale": "en"}
    return RegistrationRepeated.model_validate(defaults | fields)


LINKS = {
    "verification": (VerificationRequested, "verify-email"),
    "password_reset": (PasswordResetRequested, "reset-password"),
    "email_change": (EmailChangeRequested, "verify-email"),
    "invitation": (InvitationRequested, "accept-invitation"),
}
WITHOUT_NAME = {"verification", "email_change"}


@pytest.mark.parametrize("kind", LINKS)
def test_both_forms_have_the_link_with_the_token_after_a_hash_sign(kind):
    event_type, page = LINKS[kind]
    mail = render_stored(kind, link_event(event_type).model_dump_json())
    for form in (mail.text, mail.html):
        assert f"{SITE}/{page}#token={TOKEN}" in form
        assert "One-time link, valid until" in form
        assert re.search(r"\d \w+ \d{4}, \d\d:\d\d UTC", form), "without seconds"
    assert mail.to.addr_spec == "ada@usher.example"
    assert ("Ada Lovelace" in mail.text) is (kind not in WITHOUT_NAME)


def test_the_owner_learns_that_somebody_signed_up_with_their_address():
    mail = render_stored("registration_repeated", repeated().model_dump_json())
    for form in (mail.text, mail.html):
        assert "Ada Lovelace" in form
        assert "You already have an account with this address" in form
        assert f"{SITE}/forgot-password" in form


SECURITY_EVENTS = languages.texts_of("en", "account")["security"]["events"]


@pytest.mark.parametrize("what", SECURITY_EVENTS)
def test_each_security_event_has_a_text_in_each_language(what):
    german = languages.texts_of("de", "account")["security"]["events"]
    for locale, events in (("en", SECURITY_EVENTS), ("de-AT", german)):
        mail = render_stored("security", notice(what=what, locale=locale).model_dump_json())
        assert events[what] in mail.text
        assert "Firefox on Linux" in mail.text
        assert "2026" in mail.html


@pytest.mark.parametrize("what", SECURITY_EVENTS)
def test_the_owner_of_an_open_account_gets_a_link_to_choose_a_new_password(what):
    mail = render_stored("security", notice(what=what).model_dump_json())
    for form in (mail.text, mail.html):
        assert ("/forgot-password" in form) is (what not in account.CLOSED)


def test_a_security_event_of_a_later_release_has_a_general_text():
    mail = render_stored("security", notice(what="moon_landed_on", device="").model_dump_json())
    assert SECURITY_EVENTS["other"] in mail.text
    assert "Device:" not in mail.text


@pytest.mark.parametrize(
    "section", ["verification", "registration_repeated", "password_reset", "email_change", "invitation", "security"]
)
def test_both_languages_have_the_same_texts(section):
    english, german = (languages.texts_of(language, "account")[section] for language in ("en", "de"))
    assert english.keys() == german.keys()
    assert english.get("events", {}).keys() == german.get("events", {}).keys()


def test_an_expired_link_is_not_mailed():
    with pytest.raises(Refused, match="expired"):
        render_stored("verification", link_event(VerificationRequested, seconds=-1).model_dump_json())


NASTY = "<script>alert(1)</script>\r\nBcc: eve@usher.example\r\n\r\n{{ 7*7 }}{name}\u202e"


def test_malicious_names_and_devices_are_escaped():
    mail = render_stored("security", notice(name=NASTY, device=NASTY).model_dump_json())
    assert "\u202e" not in mail.text + mail.html
    assert "<script>" not in mail.html
    assert "{{ 7*7 }}{name}" in mail.text
    assert mail.to.addr_spec == "ada@usher.example"


async def test_every_mail_about_an_account_is_sent_once(client, bus, mail_server):
    events = {f"{kind}.{kind}-1": link_event(made, link_id=f"{kind}-1") for kind, (made, _) in LINKS.items()}
    events["registration_repeated.r1"] = repeated(registration_id="r1")
    events["security.n1"] = notice(notice_id="n1")
    with capture_logs() as logs:
        for event in events.values():
            for _ in range(2):
                await bus.publish(event)
        for key in events:
            await mail_server.mail_with_key(key)
    await asyncio.sleep(0.3)
    assert [len(mail_server.mails_with_key(key)) for key in events] == [1] * len(events)
    stored = [await Message.find({"key": key}).to_list() for key in events]
    assert [len(each) for each in stored] == [1] * len(events)
    for place in (json.dumps(logs, default=str), repr(stored)):
        assert TOKEN not in place, "only the mail contains the secret"


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("verification", link_event(VerificationRequested, key="another service's key")),
        ("password_reset", link_event(PasswordResetRequested, sealed_token="rubbish")),
        ("email_change", link_event(EmailChangeRequested, email="ada@usher.example\r\nBcc: eve@usher.example")),
        ("registration_repeated", repeated(email="no address")),
        ("security", notice(email="@")),
    ],
    ids=["other key", "rubbish", "two addresses", "no address", "no name"],
)
async def test_an_event_that_cannot_become_a_mail_is_a_dead_letter_without_secrets(client, bus, kind, event):
    with pytest.raises(Unmailable):
        render_stored(kind, event.model_dump_json())
    with capture_logs() as logs:
        await bus.publish(event)
        (letter,) = await bus.dead("notifier")
    assert "Unmailable" in letter.reason
    assert TOKEN not in letter.body.decode() + letter.reason + json.dumps(logs, default=str)


async def test_a_link_that_expires_during_an_outage_is_not_mailed(client, bus, mail_server):
    await mail_server.close()
    event = link_event(PasswordResetRequested, seconds=1)
    await bus.publish(event)

    async def failed():
        return await Message.find({"key": f"password_reset.{event.link_id}", "state": "failed"}).to_list()

    (message,) = await until(failed)
    assert message.reason == "the link or the offer has expired"
    await mail_server.open()
