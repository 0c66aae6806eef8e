"""The current time, corrected by MongoDB's clock. All other code reads the time here.

Several processes compare deadlines with the time. A process whose clock is wrong would reject requests that are in
time, or sell seats that are still held.
"""

from datetime import UTC, datetime, timedelta

TOLERATED = timedelta(seconds=5)
"""Smaller differences are not corrected, because the measurement is not more precise."""
_correction = timedelta()


def local() -> datetime:
    """Return the time of the local clock, UTC."""
    return datetime.now(UTC)


def now() -> datetime:
    """Return the current time, UTC, truncated to milliseconds as in MongoDB."""
    moment = local() + _correction
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def correct(difference: timedelta) -> None:
    """Correct the time from now on: MongoDB's clock is ahead of the local one by `difference`."""
    global _correction  # noqa: PLW0603 - the process has one clock
    _correction = difference if abs(difference) > TOLERATED else timedelta()
