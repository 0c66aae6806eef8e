"""The mails about an account: what they say, and their way from the event to a real mail server."""

import asyncio
import json
from datetime import timedelta

import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.secrets import Seal
from chassis.testing import until
from contracts.identity import (
    EmailChangeRequested,
    InvitationRequested,
    PasswordResetRequested,
    RegistrationRepeated,
    SecurityNoticed,
    VerificationRequested,
)
from notifier import accounts, languages
from notifier.delivery import LETTERS
from notifier.model import Refused, Unmailable
from notifier.store import Message
from structlog.testing import capture_logs

from .conftest import LINK_KEY

TOKEN = "the-secret-that-follows-the-hash-sign-in-it"
SITE = "http://127.0.0.1:8080"


def link_event(event_type, *, seconds=3600, key=LINK_KEY, **fields):
    told = {
        "link_id": new_id(),
        "email": "ada@usher.example",
        "name": "Ada Lovelace",
        "locale": "en",
        "sealed_token": Seal(key).close(TOKEN),
        "expires_at": now() + timedelta(seconds=seconds),
    }
    return event_type.model_validate(told | fields)


def notice(**fields):
    told = {
        "notice_id": new_id(),
        "user_id": new_id(),
        "what": "password_changed",
        "email": "ada@usher.example",
        "name": "Ada Lovelace",
        "locale": "en",
        "noticed_at": "2026-11-21T19:15:00Z",
        "device": "Firefox on Linux",
    }
    return SecurityNoticed.model_validate(told | fields)


def repeated(**fields):
    told = {"registration_id": new_id(), "email": "ada@usher.example", "name": "Ada Lovelace", "locale": "en"}
    return RegistrationRepeated.model_validate(told | fields)


LINKS = {
    "verification": (VerificationRequested, "verify-email"),
    "password_reset": (PasswordResetRequested, "reset-password"),
    "email_change": (EmailChangeRequested, "verify-email"),
    "invitation": (InvitationRequested, "accept-invitation"),
}
STRANGERS_CHOSE_THE_NAME = {"verification", "email_change"}


@pytest.mark.parametrize("kind", LINKS)
def test_a_link_stands_in_both_forms_after_a_hash_sign(kind):
    event_type, page = LINKS[kind]
    letter = LETTERS[kind](link_event(event_type).model_dump_json())
    for form in (letter.text, letter.html):
        assert f"{SITE}/{page}#token={TOKEN}" in form
        assert "works once, until" in form
        assert "UTC" in form
    assert letter.to.addr_spec == "ada@usher.example"
    assert ("Ada Lovelace" in letter.text) is (kind not in STRANGERS_CHOSE_THE_NAME)


def test_word_to_whoever_has_an_account_already():
    letter = accounts.registration_repeated(repeated().model_dump_json())
    for form in (letter.text, letter.html):
        assert "Ada Lovelace" in form
        assert "You have an account with it already" in form
        assert f"{SITE}/forgot-password" in form


HAPPENINGS = languages.words_of("en", "account")["security"]["happenings"]


@pytest.mark.parametrize("what", HAPPENINGS)
def test_each_happening_has_its_sentence_in_each_language(what):
    german = languages.words_of("de", "account")["security"]["happenings"]
    for locale, happenings in (("en", HAPPENINGS), ("de-AT", german)):
        letter = accounts.security(notice(what=what, locale=locale).model_dump_json())
        assert happenings[what] in letter.text
        assert "Firefox on Linux" in letter.text
        assert "2026" in letter.html


@pytest.mark.parametrize("what", HAPPENINGS)
def test_whoever_has_an_account_still_is_led_to_another_password(what):
    letter = accounts.security(notice(what=what).model_dump_json())
    for form in (letter.text, letter.html):
        assert ("/forgot-password" in form) is (what not in accounts.CLOSED)


def test_a_happening_of_a_later_release_is_told_in_general_words():
    letter = accounts.security(notice(what="moon_landed_on", device="").model_dump_json())
    assert HAPPENINGS["other"] in letter.text
    assert "With:" not in letter.text


@pytest.mark.parametrize(
    "section", ["verification", "registration_repeated", "password_reset", "email_change", "invitation", "security"]
)
def test_the_languages_say_the_same_things(section):
    english, german = (languages.words_of(language, "account")[section] for language in ("en", "de"))
    assert english.keys() == german.keys()
    assert english.get("happenings", {}).keys() == german.get("happenings", {}).keys()


def test_a_link_that_is_too_old_is_not_mailed():
    with pytest.raises(Refused, match="too old"):
        accounts.verification(link_event(VerificationRequested, seconds=-1).model_dump_json())


NASTY = "<script>alert(1)</script>\r\nBcc: eve@usher.example\r\n\r\n{{ 7*7 }}{name}\u202e"


def test_nasty_names_and_devices_are_only_text():
    letter = accounts.security(notice(name=NASTY, device=NASTY).model_dump_json())
    assert "\u202e" not in letter.text + letter.html
    assert "<script>" not in letter.html
    assert "{{ 7*7 }}{name}" in letter.text
    assert letter.to.addr_spec == "ada@usher.example"


async def test_every_mail_about_an_account_arrives_once(client, bus, postbox):
    told = {f"{kind}.{kind}-1": link_event(made, link_id=f"{kind}-1") for kind, (made, _) in LINKS.items()}
    told["registration_repeated.r1"] = repeated(registration_id="r1")
    told["security.n1"] = notice(notice_id="n1")
    with capture_logs() as logs:
        for event in told.values():
            for _ in range(2):
                await bus.say(event)
        for key in told:
            await postbox.has_keyed(key)
    await asyncio.sleep(0.3)
    assert [len(postbox.keyed(key)) for key in told] == [1] * len(told)
    stored = [await Message.find({"key": key}).to_list() for key in told]
    assert [len(each) for each in stored] == [1] * len(told)
    for place in (json.dumps(logs, default=str), repr(stored)):
        assert TOKEN not in place, "the secret stands in the mail alone"


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("verification", link_event(VerificationRequested, key="a key that is not ours")),
        ("password_reset", link_event(PasswordResetRequested, sealed_token="rubbish")),
        ("email_change", link_event(EmailChangeRequested, email="ada@usher.example\r\nBcc: eve@usher.example")),
        ("registration_repeated", repeated(email="no address")),
        ("security", notice(email="@")),
    ],
    ids=["other key", "rubbish", "two addresses", "no address", "no name"],
)
async def test_what_cannot_become_a_mail_is_a_dead_letter_that_tells_no_secret(client, bus, kind, event):
    with pytest.raises(Unmailable):
        LETTERS[kind](event.model_dump_json())
    with capture_logs() as logs:
        await bus.say(event)
        (letter,) = await bus.dead("notifier")
    assert "Unmailable" in letter.reason
    assert TOKEN not in letter.body.decode() + letter.reason + json.dumps(logs, default=str)


async def test_a_link_that_grew_old_while_the_server_was_away_is_given_up(client, bus, postbox):
    await postbox.close()
    event = link_event(PasswordResetRequested, seconds=1)
    await bus.say(event)

    async def failed():
        return await Message.find({"key": f"password_reset.{event.link_id}", "state": "failed"}).to_list()

    (message,) = await until(failed)
    assert message.reason == "the link is too old"
    await postbox.open()
