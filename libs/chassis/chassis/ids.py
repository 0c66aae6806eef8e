"""Opaque, sortable ids (UUIDv7)."""

import re
from datetime import datetime, timedelta

import uuid_utils

FRESH_FOR = timedelta(hours=1)
"""Longer than events are delayed, also after an outage of RabbitMQ."""
CLOCKS_APART = timedelta(minutes=1)
_UUID7 = re.compile(r"[0-9a-f]{12}7[0-9a-f]{19}")


def new_id() -> str:
    """Return a UUIDv7 as 32 hex digits. Later ids sort after earlier ones."""
    return uuid_utils.uuid7().hex


def is_older(an_id: str, moment: datetime) -> bool:
    """Whether the id was created before `moment`, by the clock of its creator (RFC 9562, 5.7)."""
    return an_id < f"{int(moment.timestamp() * 1000):012x}"


def is_fresh(an_id: str, moment: datetime) -> bool:
    """Whether the id was created within FRESH_FOR before `moment`, so that the event about it may still be on its way.

    For such an id, a service that depends on the event answers "not yet known" (503) instead of "unknown" (404).
    """
    if not _UUID7.fullmatch(an_id):
        return False
    return not is_older(an_id, moment - FRESH_FOR) and is_older(an_id, moment + CLOCKS_APART)
