from datetime import UTC, datetime, timedelta

import pytest
from identity.model import (
    GUESSES,
    MAILS,
    PERMISSIONS,
    Account,
    Allowance,
    Name,
    RefreshToken,
    SessionLimits,
    acceptable_password,
    access_claims,
    as_allowed,
    device_of,
    is_fresh,
    is_personal,
    is_staff,
    permissions_of,
)
from pydantic import TypeAdapter, ValidationError

NONE: frozenset[str] = frozenset()


def test_permissions_of_several_roles_add_up():
    assert permissions_of([]) == permissions_of(["customer"]) == []
    assert permissions_of(["door_staff", "box_office"]) == [
        "bookings:read",
        "bookings:write",
        "seats:block",
        "tickets:check_in",
    ]


def test_an_admin_has_the_permissions_of_all_roles():
    assert PERMISSIONS["admin"] == frozenset().union(*PERMISSIONS.values())


def test_a_password_is_the_same_on_every_keyboard():
    typed = ("Cafe\u0301-und-Kuchen", "Café-und-Kuchen")
    assert len({acceptable_password(password, 8, NONE) for password in typed}) == 1
    assert acceptable_password("ﬁlmabend", 8, NONE) == "filmabend"


@pytest.mark.parametrize("password", ["", "1234567", "a\u0301" * 7, "x" * 129, "\ufdfa" * 10])
def test_a_password_is_measured_after_normalisation(password):
    with pytest.raises(ValueError, match="8 to 128"):
        acceptable_password(password, 8, NONE)


@pytest.mark.parametrize("password", ["iloveyou", "ILoveYou", "ｉｌｏｖｅｙｏｕ", "aaaaaaaaaa", "ababababab"])
def test_common_passwords_are_refused(password):
    with pytest.raises(ValueError, match="too many people"):
        acceptable_password(password, 8, frozenset({"iloveyou"}))


@pytest.mark.parametrize("password", ["ada@usher.example", "AdaLovelace", "lovelace1815", "ada.", "Usher2026!"])
def test_a_password_must_not_contain_the_name_or_address(password):
    assert is_personal(password, "ada@usher.example", "Ada Lovelace")
    assert not is_personal(f"{password} and the popcorn", "ada@usher.example", "Ada Lovelace")


@pytest.mark.parametrize("name", ["a\nb", "a\x00b", "a\u2028b", "\x1b[31m", "Ada\u202e", "A\u200bda", " ", "x" * 101])
def test_a_name_is_visible_and_stays_on_its_line(name):
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(name)


def test_claims_contain_person_issuer_and_lifetime():
    account = Account(user_id="u1", email="a@usher.example", name="Ada", roles=["door_staff"], theaters=["t1"])
    moment = datetime(2026, 11, 21, 12, 0, 0, 900_000, tzinfo=UTC)
    claims = access_claims(
        account,
        session_id="s1",
        methods=["pwd", "otp"],
        issuer="iss",
        audience="aud",
        now=moment,
        lifetime=timedelta(minutes=15),
    )
    assert claims == {
        "iss": "iss",
        "aud": "aud",
        "sub": "u1",
        "sid": "s1",
        "amr": ["pwd", "otp"],
        "epoch": 0,
        "iat": 1795262400,
        "exp": 1795262400 + 900,
        "email": "a@usher.example",
        "email_verified": True,
        "name": "Ada",
        "roles": ["door_staff"],
        "permissions": ["bookings:read", "tickets:check_in"],
        "theaters": ["t1"],
    }


def test_a_refresh_token_keeps_its_parts():
    assert RefreshToken.parse(str(RefreshToken("family", "turn"))) == RefreshToken("family", "turn")
    assert RefreshToken.parse("no dot") == RefreshToken("no dot", "")


@pytest.mark.parametrize(
    ("methods", "required", "roles"),
    [(["pwd"], False, ["admin"]), (["pwd"], True, ["customer"]), (["pwd", "otp"], True, ["admin"]),
     (["pop"], True, ["admin"])],
)  # fmt: skip
def test_an_admin_without_a_required_second_factor_has_no_permissions(methods, required, roles):
    admin = Account(user_id="u1", email="a@usher.example", name="Ada", roles=["admin"])
    assert as_allowed(admin, methods, needs_second_factor=required).roles == roles
    box_office = admin.model_copy(update={"roles": ["box_office"]})
    assert as_allowed(box_office, methods, needs_second_factor=required) == box_office


def test_a_session_ends_after_its_lifetime_or_without_a_refresh():
    opened = datetime(2026, 11, 21, tzinfo=UTC)
    limits = SessionLimits(timedelta(hours=12), timedelta(hours=1))
    assert limits.end(opened, opened) == opened + timedelta(hours=1)
    assert limits.end(opened, opened + timedelta(hours=11, minutes=30)) == opened + timedelta(hours=12)


def test_a_sign_in_is_fresh_for_ten_minutes():
    opened = datetime(2026, 11, 21, tzinfo=UTC)
    assert is_fresh(opened, opened + timedelta(minutes=9, seconds=59))
    assert not is_fresh(opened, opened + timedelta(minutes=10))


def test_everybody_with_another_role_than_customer_is_staff():
    assert not is_staff(["customer"])
    assert not is_staff([])
    assert is_staff(["customer", "door_staff"])
    assert is_staff(["admin"])


def test_delays_grow_up_to_a_maximum():
    allowance = Allowance(2, timedelta(seconds=1), timedelta(seconds=5), timedelta(hours=1))
    assert allowance.waits() == [1000, 2000, 4000, 5000]
    for each in (GUESSES, MAILS):
        assert each.waits() == sorted(each.waits())
        tries = each.free + len(each.waits()) + (each.window - timedelta(milliseconds=sum(each.waits()))) / each.longest
        assert tries < 130


CHROME = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 (KHTML, like Gecko) Safari/604.1"


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (CHROME, "Chrome on Android"),
        (SAFARI, "Safari on iPhone"),
        (CHROME + " Edg/130.0", "Edge on Android"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
        ("UsherApp/2.1 (build 7)", "UsherApp"),
        ("python-httpx/0.28", "python-httpx"),
        ("\x00\r\nSet-Cookie: a", ""),
        ("x" * 900, "x" * 60),
        ("", ""),
    ],
)
def test_a_device_has_a_short_name(user_agent, device):
    assert device_of(user_agent) == device
