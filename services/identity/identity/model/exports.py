"""The progress of an export of personal data."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

EXPORT_PAUSE = timedelta(minutes=10)
"""The minimum time between two exports of a person."""


def missing_answers(asked: Iterable[str], parts: Mapping[str, Iterable[int]], last: Mapping[str, int]) -> list[str]:
    """The services with missing parts. `parts` are the received numbers, `last` the number of the last part."""
    return [
        service
        for service in asked
        if service not in last or not set(range(last[service] + 1)) <= set(parts.get(service, ()))
    ]
