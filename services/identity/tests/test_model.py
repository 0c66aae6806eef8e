from datetime import UTC, datetime, timedelta

import pytest
from identity.model import (
    PERMISSIONS,
    Account,
    RefreshToken,
    acceptable_password,
    access_claims,
    normal_email,
    one_line,
    permissions_of,
)


def test_permissions_of_several_roles_add_up():
    assert permissions_of([]) == permissions_of(["customer"]) == []
    assert permissions_of(["door_staff", "box_office"]) == [
        "bookings:read",
        "bookings:write",
        "seats:block",
        "tickets:check_in",
    ]


def test_an_admin_may_whatever_anybody_may():
    assert PERMISSIONS["admin"] == frozenset().union(*PERMISSIONS.values())


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("Ada@Usher.EXAMPLE", "ada@usher.example"),
        (" ada@usher.example ", "ada@usher.example"),
        ("ada@BÜCHER.example", "ada@bücher.example"),
    ],
)
def test_one_address_has_one_spelling(typed, known):
    assert normal_email(typed) == known


@pytest.mark.parametrize(
    "typed", ["", "ada", "ada@", "@usher.example", "a da@usher.example", "ada@usher.example\nBcc:x"]
)
def test_what_is_not_an_address_is_refused(typed):
    with pytest.raises(ValueError, match="email"):
        normal_email(typed)


def test_a_password_is_the_same_on_every_keyboard():
    assert acceptable_password("Cafe\u0301-und-Kuchen") == acceptable_password("Café-und-Kuchen")
    assert acceptable_password("ﬁlmabend") == "filmabend"


@pytest.mark.parametrize("password", ["", "1234567", "a\u0301" * 7, "x" * 129, "\ufdfa" * 10])
def test_a_password_is_measured_after_normalisation(password):
    with pytest.raises(ValueError, match="8 to 128"):
        acceptable_password(password)


@pytest.mark.parametrize("name", ["a\nb", "a\x00b", "a\u2028b", "\x1b[31m"])
def test_a_name_stays_on_its_line(name):
    with pytest.raises(ValueError, match="control characters"):
        one_line(name)


def test_claims_say_who_where_and_how_long():
    account = Account(user_id="u1", email="a@usher.example", name="Ada", roles=["door_staff"], theaters=["t1"])
    moment = datetime(2026, 11, 21, 12, 0, 0, 900_000, tzinfo=UTC)
    claims = access_claims(
        account, session_id="s1", issuer="iss", audience="aud", now=moment, lifetime=timedelta(minutes=15)
    )
    assert claims == {
        "iss": "iss",
        "aud": "aud",
        "sub": "u1",
        "sid": "s1",
        "iat": 1795262400,
        "exp": 1795262400 + 900,
        "email": "a@usher.example",
        "name": "Ada",
        "roles": ["door_staff"],
        "permissions": ["bookings:read", "tickets:check_in"],
        "theaters": ["t1"],
    }


def test_a_refresh_token_keeps_its_parts():
    assert RefreshToken.parse(str(RefreshToken("family", "turn"))) == RefreshToken("family", "turn")
    assert RefreshToken.parse("no dot") == RefreshToken("no dot", "")
