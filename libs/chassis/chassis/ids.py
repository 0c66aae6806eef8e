"""Opaque, sortable ids."""

import re
from datetime import datetime, timedelta

import uuid_utils

FRESH_FOR = timedelta(hours=1)
"""Longer than events are late, also after an outage of RabbitMQ."""
CLOCKS_APART = timedelta(minutes=1)
_UUID7 = re.compile(r"[0-9a-f]{12}7[0-9a-f]{19}")


def new_id() -> str:
    """A UUIDv7 as 32 hex digits: later ids sort after earlier ones."""
    return uuid_utils.uuid7().hex


def is_older(an_id: str, moment: datetime) -> bool:
    """Whether the id was made before that moment, by the clock of its maker (RFC 9562, 5.7)."""
    return an_id < f"{int(moment.timestamp() * 1000):012x}"


def is_fresh(an_id: str, moment: datetime) -> bool:
    """Whether the event about what has this id may still be on its way: it was made within FRESH_FOR before `moment`.

    A service that learns of it by an event answers then that it does not know it yet (503), and not that there is no
    such thing (404).
    """
    if not _UUID7.fullmatch(an_id):
        return False
    return not is_older(an_id, moment - FRESH_FOR) and is_older(an_id, moment + CLOCKS_APART)
