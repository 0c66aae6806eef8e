"""Registry, topology, snapshots and the AsyncAPI document agree."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
from contracts import asyncapi, registry, snapshots, topology
from contracts.booking import BookingCancelled, BookingConfirmed, BookingExchanged, PaymentRequested
from contracts.envelope import Event
from pydantic import ValidationError

ROOT = Path(__file__).parents[3]


def test_no_released_schema_changed_in_an_incompatible_way():
    assert snapshots.faults() == []


def test_every_event_is_snapshotted_as_it_is_now():
    now = {name: snapshots.schema_of(event) for name, event in registry.events().items()}
    stale = sorted(name for name in now if snapshots.recorded().get(name) != json.loads(json.dumps(now[name])))
    assert not stale, f"compatible changes that `make snapshots` has not recorded: {stale}"


def test_the_asyncapi_document_is_current():
    assert (ROOT / "docs/asyncapi.yaml").read_text() == asyncapi.render(), "run `make asyncapi`"


def changed(**changes) -> dict:
    schema = deepcopy(snapshots.schema_of(PaymentRequested))
    for name, value in changes.items():
        if value is None:
            schema["properties"].pop(name)
            schema["required"].remove(name)
        else:
            schema["properties"][name] = value
    return schema


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (changed(showtime_id=None), [".showtime_id is gone"]),
        (changed(booking_id={"type": "integer"}), [".booking_id was"]),
        (changed() | {"required": ["booking_id"]}, [".amount may be missing now"]),
        (
            changed(extra={"type": "string"}) | {"required": [*changed()["required"], "extra"]},
            [".extra is required now"],
        ),
        (changed(extra={"type": "string"}), []),
    ],
)
def test_an_incompatible_change_is_named(new, expected):
    found = snapshots.incompatibilities(snapshots.schema_of(PaymentRequested), new)
    assert len(found) >= len(expected)
    for sentence in expected:
        assert any(fault.startswith(sentence) for fault in found)
    assert bool(found) == bool(expected)


def test_a_description_may_change_also_inside_a_choice_of_schemas():
    old = {"anyOf": [{"type": "string", "description": "before"}, {"type": "null"}]}
    new = {"anyOf": [{"type": "string", "description": "after"}, {"type": "null"}]}
    assert snapshots.incompatibilities(old, new) == []


def test_an_optional_part_may_gain_an_optional_field_and_lose_none():
    old = snapshots.schema_of(BookingCancelled)
    wider = deepcopy(old)
    shape = wider["properties"]["screening"]["anyOf"][0]
    shape["properties"]["extra"] = {"type": "string"}
    assert snapshots.incompatibilities(old, wider) == []
    assert snapshots.incompatibilities(wider, old) == [".screening.extra is gone"]
    shape["required"].append("extra")
    assert snapshots.incompatibilities(old, wider) == [".screening.extra is required now"]
    wider["properties"]["screening"]["anyOf"].pop()
    assert snapshots.incompatibilities(old, wider)


def test_a_change_deep_inside_is_named():
    new = deepcopy(snapshots.schema_of(BookingConfirmed))
    new["properties"]["tickets"]["items"]["properties"]["qr"] = {"type": "integer"}
    (fault,) = snapshots.incompatibilities(snapshots.schema_of(BookingConfirmed), new)
    assert fault.startswith(".tickets[].qr was")


def test_each_event_belongs_to_the_service_of_its_name_and_follows_the_pattern():
    for name, event in registry.events().items():
        service, past_tense, version = name.split(".")
        assert service in registry.SERVICES
        assert past_tense.replace("_", "").isalpha()
        assert version.startswith("v")
        assert event.subject_field in event.model_fields


def test_the_topology_names_known_services_and_each_event_once():
    for table in (topology.CONSUMES, topology.BROADCAST):
        for service, events in table.items():
            assert service in registry.SERVICES
            assert len(events) == len(set(events))


def test_a_retired_type_has_no_consumer():
    for service, retired in topology.RETIRED.items():
        assert len(retired) == len(set(retired))
        assert not {event.type for event in topology.CONSUMES[service]}.intersection(retired)


def test_an_event_ignores_unknown_fields_and_refuses_wrong_ones():
    known = {"booking_id": "b1", "showtime_id": "s1", "seats": ["F7"], "holder": {}, "replaced_by": "b2"}
    assert BookingExchanged.model_validate(known | {"added_in_v1": 1}).subject == "b1"
    with pytest.raises(ValidationError):
        BookingExchanged.model_validate(known | {"seats": ["no seat"]})


def test_an_error_does_not_contain_the_input():
    body = '{"booking_id": "b1", "tickets": [{"qr": "the-signed-text", "seat": 5}], "email": ["ada@example.org"]}'
    with pytest.raises(ValidationError) as refused:
        BookingConfirmed.model_validate_json(body)
    assert "tickets.0.seat" in str(refused.value)
    assert not any(text in str(refused.value) for text in ("the-signed-text", "ada@example.org"))


def test_a_type_belongs_to_one_model():
    with pytest.raises(ValueError, match="registered twice"):

        class Again(Event, type="inventory.seats_sold.v1", subject="hold_id"):
            hold_id: str


def test_a_subject_must_be_a_field():
    with pytest.raises(TypeError, match="no field 'nothing'"):

        class Nameless(Event, type="inventory.nameless.v1", subject="nothing"):
            hold_id: str
