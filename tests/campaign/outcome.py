"""The effect of one fault on customers and on the platform, and whether it meets the aims."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

EXCUSED_AFTER_S = 3.0
"""How long after the only replica is back a request may still fail."""


class Window(NamedTuple):
    """The time in which requests may fail, in seconds on the monotonic clock."""

    begin: float
    end: float

    def has(self, moment: float) -> bool:
        """Whether the moment is in this period."""
        return self.begin <= moment <= self.end


@dataclass(frozen=True)
class Outcome:
    """One row of the table.

    `failures` counts failed requests by kind, `unexcused` those outside the time in which the only replica was down or
    just back. `gave_up` counts customers without an answer, by the step; `wrong` counts final answers that were wrong.
    `fell` names processes that ended without being asked to. `down_s` is the time from the fault until the process was
    back; `first_success_s` and `clean_second_s` count from then; None means never. All are in seconds.
    """

    fault: str
    replicas: int
    customers: int = 0
    confirmed: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    unexcused: int = 0
    told_to_wait: int = 0
    gave_up: Mapping[str, int] = field(default_factory=dict)
    wrong: Mapping[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    down_s: float = 0.0
    first_success_s: float | None = None
    clean_second_s: float | None = None
    slowest_s: float = 0.0
    fell: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def misses(self) -> list[str]:
        """Return the aims that the row misses."""
        found = {
            "violations": len(self.violations),
            "stuck": len(self.stuck),
            "wrong answers": sum(self.wrong.values()),
            "customers gave up": sum(self.gave_up.values()),
            "failed requests while a replica was up": self.unexcused,
            "no recovery": int(self.clean_second_s is None),
            "no sale": int(not self.confirmed),
        }
        missed = [f"{what}: {count}" if count > 1 else what for what, count in found.items() if count]
        return [*missed, *([self.error] if self.error else [])]

    @property
    def is_clean(self) -> bool:
        """Whether it cannot affect the next row on the same platform."""
        return not (self.violations or self.stuck or self.error or self.gave_up or self.wrong)
