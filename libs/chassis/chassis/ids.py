"""Opaque, sortable ids."""

import uuid_utils


def new_id() -> str:
    """A UUIDv7 as 32 hex digits: later ids sort after earlier ones."""
    return uuid_utils.uuid7().hex
