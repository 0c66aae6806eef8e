"""Limits of attempts: some are free, then each must wait longer than the one before."""

from datetime import timedelta
from typing import NamedTuple


class Allowance(NamedTuple):
    """`free` attempts without delay, then delays that double from `first` to `longest`; reset after `window`.

    Any number of machines together get about 120 guesses a day per account (NIST SP 800-63B, 3.2.2).
    """

    free: int
    first: timedelta
    longest: timedelta
    window: timedelta

    def waits(self) -> list[int]:
        """Delays in milliseconds after the first attempt that is not free, the second, …; the last one repeats."""
        waits, wait = [], self.first
        while wait < self.longest:
            waits.append(_milliseconds(wait))
            wait *= 2
        return [*waits, _milliseconds(self.longest)]


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


GUESSES = Allowance(9, timedelta(seconds=1), timedelta(minutes=15), timedelta(days=1))
"""For passwords and codes of one account by strangers, from one known device, and in one session: three counters, so
that strangers do not slow the owner down (OWASP, Slow Down Online Guessing Attacks with Device Cookies)."""
MAILS = Allowance(5, timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))
"""For mails to one address that anybody can request."""


def for_address(free: int) -> Allowance:
    """For passwords and codes from one client address, which a whole building may share."""
    return Allowance(free, timedelta(seconds=1), timedelta(minutes=15), timedelta(hours=1))
