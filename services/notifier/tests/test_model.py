from datetime import UTC, datetime, timedelta

import pytest
from notifier.model import (
    Unmailable,
    checked_address,
    masked,
    masked_reason,
    message_key,
    next_try_at,
    one_line,
)

T0 = datetime(2026, 11, 21, tzinfo=UTC)
FIVE = timedelta(seconds=5)


def test_pauses_double_up_to_15_minutes():
    tries = [next_try_at(attempts, T0, T0, FIVE) for attempts in (1, 2, 3, 4, 8, 9, 10_000)]
    assert tries == [T0 + timedelta(seconds=pause) for pause in (5, 10, 20, 40, 640, 900, 900)]


def test_delivery_ends_after_two_days():
    assert next_try_at(9, T0, T0 + timedelta(hours=47, minutes=45), FIVE) is not None
    assert next_try_at(9, T0, T0 + timedelta(hours=47, minutes=46), FIVE) is None


def test_the_key_has_the_kind_and_the_subject():
    assert message_key("confirmation", "b1") == "confirmation.b1"


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("ada@usher.example", ("ada", "usher.example")),
        ("a.d+a@bücher.example", ("a.d+a", "xn--bcher-kva.example")),
    ],
)
def test_an_address_is_split_into_local_part_and_domain(address, parts):
    assert checked_address(address) == parts


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "@usher.example",
        "ada@usher.example\r\nBcc: eve@usher.example",
        "ada@usher.example\n",
        "ada@usher.example, eve@usher.example",
        "Ada <ada@usher.example>",
        "ada@usher.example\x00",
        "ada@a@usher.example",
        "a" * 300 + "@usher.example",
        "ada@usher..example",
    ],
)
def test_an_invalid_address_is_rejected(address):
    with pytest.raises(Unmailable):
        checked_address(address)


def test_text_for_a_header_is_one_line():
    assert one_line(" Ada\r\nBcc: eve@usher.example ") == "Ada Bcc: eve@usher.example"
    assert one_line("a\u2028b\x85c\x00d\u202ee\x1b[31m") == "a b cde[31m"
    assert one_line("Zoë 👩‍👩‍👧 O'Brien") == "Zoë 👩‍👩‍👧 O'Brien"


def test_addresses_are_masked_for_staff():
    assert masked("ada@usher.example") == "a***@usher.example"
    reason = masked_reason("550 5.1.1 <ADA@usher.example>:\r\n no such user", "ada@usher.example")
    assert reason == "550 5.1.1 <a***@usher.example>: no such user"
    assert len(masked_reason("x" * 1000, "ada@usher.example")) == 300
