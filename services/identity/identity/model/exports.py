"""An export of everything that is kept about a person: what has come, and what is still missing."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

EXPORT_PAUSE = timedelta(minutes=10)
"""How soon a person may ask again."""


def missing_answers(asked: Iterable[str], parts: Mapping[str, Iterable[int]], last: Mapping[str, int]) -> list[str]:
    """The services whose answer is not all there. `parts` are those that came, `last` the number of the last one."""
    return [
        service
        for service in asked
        if service not in last or not set(range(last[service] + 1)) <= set(parts.get(service, ()))
    ]
