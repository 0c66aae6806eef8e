"""All requests of the campaign's customers: the time and the latency of each response, and how it failed."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from campaign.outcome import Window


class Answered(NamedTuple):
    """One request. `at`: the response's time in seconds on the monotonic clock; `failure`: empty for a success."""

    at: float
    took_s: float
    step: str
    failure: str


class Requests:
    """The requests of one row, in the order of their responses. `told_to_wait` counts 409 idempotency_key_running."""

    def __init__(self) -> None:
        self.answered: list[Answered] = []
        self.told_to_wait = 0

    def add(self, step: str, began: float, failure: str = "") -> None:
        """Record a response that arrived just now."""
        at = time.monotonic()
        self.answered.append(Answered(at, at - began, step, failure))

    @property
    def failures(self) -> list[Answered]:
        """Return the failed requests."""
        return [each for each in self.answered if each.failure]

    def kinds(self) -> dict[str, int]:
        """Count the failures by step and kind, the most frequent first."""
        return dict(Counter(f"{each.step} {each.failure}" for each in self.failures).most_common())

    def slowest_s(self) -> float:
        """Return the longest latency in seconds."""
        return max((each.took_s for each in self.answered), default=0.0)

    def unexcused(self, window: Window | None) -> int:
        """Return the failures outside the time in which the only replica was down or just back."""
        return sum(window is None or not window.has(each.at) for each in self.failures)

    def first_success_s(self, back: float) -> float | None:
        """Return the seconds from `back` until each failed step succeeded again; None if one did not."""
        firsts = [self._first_success(step, back) for step in {each.step for each in self.failures}]
        if None in firsts:
            return None
        return max((first - back for first in firsts if first is not None), default=0.0)

    def clean_second_s(self, back: float) -> float | None:
        """Return the seconds from `back` to the first second with responses and without failures; None if there is
        none.
        """
        for begin in self._candidates(back):
            within = [each for each in self.answered if begin <= each.at <= begin + 1]
            if within and not any(each.failure for each in within) and self.answered[-1].at > begin + 1:
                return begin - back
        return None

    def _first_success(self, step: str, back: float) -> float | None:
        return next(
            (each.at for each in self.answered if each.step == step and not each.failure and each.at >= back), None
        )

    def _candidates(self, back: float) -> Iterator[float]:
        """Yield `back`, and the moment after each later failure."""
        yield back
        yield from (each.at + 1e-6 for each in self.failures if each.at >= back)
