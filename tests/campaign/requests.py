"""Every request of the campaign's customers: when its answer came, how long that took, and how it failed."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from campaign.outcome import Window


class Answered(NamedTuple):
    """One request. `at`: seconds on the monotonic clock when the answer came; `failure`: nothing when it was no
    failure.
    """

    at: float
    took_s: float
    step: str
    failure: str


class Requests:
    """The requests of one row, in the order of their answers. `told_to_wait` counts 409 idempotency_key_running."""

    def __init__(self) -> None:
        self.answered: list[Answered] = []
        self.told_to_wait = 0

    def add(self, step: str, began: float, failure: str = "") -> None:
        """Note an answer that came just now."""
        at = time.monotonic()
        self.answered.append(Answered(at, at - began, step, failure))

    @property
    def failures(self) -> list[Answered]:
        """The requests that failed."""
        return [each for each in self.answered if each.failure]

    def kinds(self) -> dict[str, int]:
        """Failures by step and kind, the most frequent first."""
        return dict(Counter(f"{each.step} {each.failure}" for each in self.failures).most_common())

    def slowest_s(self) -> float:
        """The longest time that anybody waited for an answer, in seconds."""
        return max((each.took_s for each in self.answered), default=0.0)

    def unexcused(self, window: Window | None) -> int:
        """Failures outside the time in which the only replica was down or just back."""
        return sum(window is None or not window.has(each.at) for each in self.failures)

    def first_success_s(self, back: float) -> float | None:
        """Seconds from `back` until each step that had failed succeeded again; None if one did not."""
        firsts = [self._first_success(step, back) for step in {each.step for each in self.failures}]
        if None in firsts:
            return None
        return max((first - back for first in firsts if first is not None), default=0.0)

    def clean_second_s(self, back: float) -> float | None:
        """Seconds from `back` to the beginning of the first second with answers and without failures, if there is
        one.
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
        """`back`, and just after each later failure."""
        yield back
        yield from (each.at + 1e-6 for each in self.failures if each.at >= back)
