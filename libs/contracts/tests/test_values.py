"""Values for input: one spelling each, and nothing that a later step cannot use."""

import json
import subprocess
from itertools import product
from zoneinfo import available_timezones

import pytest
from contracts.types import Email, KnownEmail, LanguageTag, TimeZone, normal_email
from pydantic import TypeAdapter, ValidationError

EMAIL, KNOWN, TAG, ZONE = map(TypeAdapter, (Email, KnownEmail, LanguageTag, TimeZone))
LONGEST = f"{'a' * 64}@{'.'.join('b' * 60 for _ in range(3))}.example"  # 64 + 1 + 190
SHOWN = """
const { zones, tags } = JSON.parse(require("fs").readFileSync(0));
zones.forEach((timeZone) => new Intl.DateTimeFormat("en", { timeZone }).format(0));
tags.forEach((tag) => new Intl.DisplayNames(tag, { type: "language" }).of(tag));
"""
REFUSED = ["", "ada", "ada@", "@usher.example", "a da@usher.example", "ada@usher.example\nBcc:x", "ada@☃.example"]


def accepted(values, type_):
    def is_valid(value):
        try:
            return type_.validate_python(value) is not None
        except ValidationError:
            return False

    return [value for value in values if is_valid(value)]


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("Ada@Usher.EXAMPLE", "ada@usher.example"),
        (" ada@usher.example ", "ada@usher.example"),
        ("ada@BÜCHER.example", "ada@bücher.example"),
        ("ada@xn--bcher-kva.example", "ada@bücher.example"),
        ("ada@Straße-Kino.example", "ada@straße-kino.example"),
    ],
)
def test_one_address_has_one_spelling(typed, known):
    assert EMAIL.validate_python(typed) == normal_email(typed) == known


@pytest.mark.parametrize("typed", [*REFUSED, f"a{LONGEST}", f"{'ü' * 61}@{'ü' * 61}.{'ü' * 61}.{'ü' * 61}.example"])
def test_what_is_not_an_address_is_refused(typed):
    with pytest.raises(ValidationError):
        EMAIL.validate_python(typed)


def test_only_an_address_that_exists_already_may_need_smtputf8():
    assert KNOWN.validate_python("Käthe@usher.example") == "käthe@usher.example"
    with pytest.raises(ValidationError, match="before the @"):
        EMAIL.validate_python("käthe@usher.example")
    assert KNOWN.validate_python(f"{'a' * 65}@usher.example")
    assert EMAIL.validate_python(f"{'a' * 64}@usher.example")
    with pytest.raises(ValidationError, match="longer than 64"):
        EMAIL.validate_python(f"{'a' * 65}@usher.example")


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        *((tag, tag) for tag in ("en", "de-AT", "fil", "es-419", "zh-Hans-CN", "sr-Latn", "ca-valencia", "de-1996")),
        ("DE-at", "de-AT"),
        ("ZH-HANS-cn", "zh-Hans-CN"),
    ],
)
def test_a_language_tag_has_one_spelling(typed, known):
    assert TAG.validate_python(typed) == known


@pytest.mark.parametrize(
    "typed", ["", "e", "en-12", "klingon", "en_US", "en-US-GB", "zh-yue", "de-1996-1996", "x-a", "en-u-hc-h12", "en\n"]
)
def test_what_intl_would_throw_for_is_no_language_tag(typed):
    with pytest.raises(ValidationError):
        TAG.validate_python(typed)


def test_time_zones_are_those_of_places():
    zones = accepted(available_timezones(), ZONE)
    assert {"Europe/Berlin", "Europe/Kyiv", "Asia/Kolkata", "America/Argentina/Ushuaia"} < set(zones)
    assert len(zones) > 400
    odd = [
        "Factory",
        "localtime",
        "posixrules",
        "posix/Europe/Berlin",
        "EST5EDT",
        "GMT+5",
        "Europe",
        "America/Argentina",
    ]
    assert accepted([*odd, "Europe/Atlantis", "../etc/passwd", "Europe/../../etc/passwd", "Europe/", ""], ZONE) == []


def test_browsers_know_every_accepted_time_zone_and_language_tag():
    zones = accepted(available_timezones(), ZONE)
    parts = (
        ["de", "yue", "xx"],
        ["", "-Hans", "-yue", "-12"],
        ["", "-at", "-419", "-41"],
        ["", "-1996", "-u-hc-h12", "-oxendict"],
    )
    tags = accepted(map("".join, product(*parts)), TAG)
    assert len(tags) == 3 * 2 * 3 * 3
    node = ["node", "--eval", SHOWN]
    subprocess.run(node, input=json.dumps({"zones": zones, "tags": tags}), text=True, check=True)
