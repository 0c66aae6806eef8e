"""Signed claims: verified as they were signed, and rejected in every other case."""

import base64
from collections.abc import Callable
from hashlib import sha256

import jwt
import pytest
from chassis.security.signed import NotSigned, SignedText
from pydantic import BaseModel, SecretStr

AUDIENCE, KEY, OTHER_KEY = "usher:test", "a key for the tests", "another key for them"


class Fact(BaseModel):
    name: str
    count: int = 0


class OtherFact(BaseModel):
    title: str


def signed_with(keys: str = KEY, audience: str = AUDIENCE, model: type[BaseModel] = Fact):
    return SignedText(model, audience, SecretStr(keys))


FACT = Fact(name="Ada", count=3)


def test_a_signed_claim_is_read_as_it_was_signed():
    assert signed_with().read(signed_with().sign(FACT)) == FACT


CHANGES: list[Callable[[str], str]] = [
    lambda text: text[:-4] + "AAAA",
    lambda text: "",
    lambda text: "a.b.c",
    lambda text: "ü" + text,
    lambda text: text + "\x00",
    lambda text: text.replace(".", "", 1),
    lambda text: text * 30,
]


@pytest.mark.parametrize("changed", CHANGES)
def test_a_changed_text_is_refused(changed):
    with pytest.raises(NotSigned):
        signed_with().read(changed(signed_with().sign(FACT)))


@pytest.mark.parametrize("header", ["[" * 2500, '{"a":' * 600, "[]", "null", '{"alg": []}', "9" * 2900])
def test_an_odd_header_is_refused(header):
    text = ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, "{}", "x"))
    with pytest.raises(NotSigned):
        signed_with().read(text)


def test_another_key_audience_or_model_is_refused():
    text = signed_with().sign(FACT)
    for reader in (
        signed_with(OTHER_KEY),
        signed_with(audience="usher:other"),
        signed_with(model=OtherFact),
    ):
        with pytest.raises(NotSigned):
            reader.read(text)


def test_an_unsigned_token_is_refused():
    claims = FACT.model_dump() | {"aud": AUDIENCE}
    with pytest.raises(NotSigned):
        signed_with().read(jwt.encode(claims, "", "none"))


def test_a_token_without_an_audience_is_refused():
    key = sha256(f"{AUDIENCE} {KEY}".encode()).digest()
    with pytest.raises(NotSigned):
        signed_with().read(jwt.encode(FACT.model_dump(), key, "HS256"))


def test_a_key_can_be_replaced():
    old, both, new = (
        signed_with(),
        signed_with(f"{OTHER_KEY}, {KEY}"),
        signed_with(OTHER_KEY),
    )
    assert both.read(old.sign(FACT)) == new.read(both.sign(FACT)) == FACT
    with pytest.raises(NotSigned):
        old.read(both.sign(FACT))


@pytest.mark.parametrize("keys", [",,,,,,,,,,,,,,,,,,,,", f"x,{KEY}", "short"])
def test_a_key_that_is_too_short_is_refused_at_the_start(keys):
    with pytest.raises(ValueError, match="16 characters"):
        signed_with(keys)
