"""The protocol as it is written down for others."""

from pathlib import Path

from realtime.api import asyncapi


def test_the_document_is_up_to_date():
    document = Path(__file__).parents[3] / "docs/asyncapi-live.yaml"
    assert document.read_text() == asyncapi.render(), "run `make asyncapi`"
