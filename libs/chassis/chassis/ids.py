"""Opaque, sortable ids."""

from datetime import datetime

import uuid_utils


def new_id() -> str:
    """A UUIDv7 as 32 hex digits: later ids sort after earlier ones."""
    return uuid_utils.uuid7().hex


def is_older(an_id: str, moment: datetime) -> bool:
    """Whether the id was made before that moment, by the clock of its maker (RFC 9562, 5.7)."""
    return an_id < f"{int(moment.timestamp() * 1000):012x}"
