"""The one place that reads the time. Replicas whose clocks differ agree on MongoDB's.

Deadlines are compared with the time in several processes. A process whose clock is wrong would refuse people who are in
time, or sell what is somebody else's.
"""

from datetime import UTC, datetime, timedelta

TOLERATED = timedelta(seconds=5)
"""Smaller differences are not corrected: the measurement is about as wrong."""
_correction = timedelta()


def local() -> datetime:
    """The time of this process's own clock, UTC."""
    return datetime.now(UTC)


def now() -> datetime:
    """The current time, UTC, cut to milliseconds as in MongoDB."""
    moment = local() + _correction
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def correct(difference: timedelta) -> None:
    """Follow MongoDB's clock from now on, which is ahead of the local one by `difference`."""
    global _correction  # noqa: PLW0603 - the process has one clock
    _correction = difference if abs(difference) > TOLERATED else timedelta()
