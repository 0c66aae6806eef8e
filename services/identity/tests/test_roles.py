"""Roles, permissions and search as plain data."""

from typing import get_args

import pytest
from identity.model import PERMISSIONS, Grant, Role, missing_answers, permissions_of, search_words
from pydantic import ValidationError


def test_every_role_is_in_the_table():
    assert set(PERMISSIONS) == set(get_args(Role))


def test_permissions_are_named_after_what_they_allow():
    for permission in PERMISSIONS["admin"]:
        area, _, verb = permission.partition(":")
        assert area.replace("_", "").isalpha(), permission
        assert verb.replace("_", "").isalpha(), permission


@pytest.mark.parametrize("role", get_args(Role))
def test_only_admins_see_and_change_people_and_the_audit_log(role):
    may = {"users:read", "users:write", "audit:read"} & set(permissions_of([role]))
    assert bool(may) is (role == "admin")


def test_a_customer_needs_no_permission():
    assert permissions_of(["customer"]) == []


def test_a_grant_is_normalised():
    one = Grant.model_validate({"roles": ["door_staff", "box_office", "door_staff"], "theaters": ["b", "a", "b"]})
    two = Grant.model_validate({"roles": ["box_office", "door_staff"], "theaters": ["a", "b"]})
    assert one == two
    assert (one.roles, one.theaters) == (["door_staff", "box_office"], ["a", "b"])


@pytest.mark.parametrize(
    "grant",
    [
        {"roles": ["theater_manager"]},
        {"roles": ["theater_manager", "door_staff"], "theaters": []},
        {"roles": ["admin"], "theaters": ["a"]},
        {"roles": ["customer"], "theaters": ["a"]},
        {"roles": []},
    ],
)
def test_roles_and_theaters_must_match(grant):
    with pytest.raises(ValidationError):
        Grant.model_validate(grant)


def test_staff_may_be_limited_to_theaters():
    for theaters in ([], ["a"]):
        assert Grant.model_validate({"roles": ["box_office"], "theaters": theaters}).theaters == theaters


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Ada Lovelace", ["ada", "lovelace"]),
        ("  Zoë   MÜLLER  ", ["zoe", "muller"]),
        ("Straße", ["strasse"]),
        ("İpek", ["ipek"]),
        ("ada Ada ADA", ["ada"]),
        ("", []),
        (" ".join(map(str, range(50))), [str(number) for number in range(10)]),
    ],
)
def test_names_are_found_without_case_and_accents(name, words):
    assert search_words(name) == words


ASKED = ["booking", "payment"]


@pytest.mark.parametrize(
    ("parts", "last", "missing"),
    [
        ({}, {}, ASKED),
        ({"booking": [0], "payment": [0]}, {"booking": 0, "payment": 0}, []),
        ({"booking": [0, 1], "payment": [0]}, {"payment": 0}, ["booking"]),
        ({"booking": [2, 0], "payment": [0]}, {"booking": 2, "payment": 0}, ["booking"]),
        ({"booking": [2, 0, 1], "payment": [0]}, {"booking": 2, "payment": 0}, []),
        ({"stranger": [0]}, {"stranger": 0}, ASKED),
    ],
)
def test_an_answer_is_complete_with_all_its_parts(parts, last, missing):
    assert missing_answers(ASKED, parts, last) == missing
