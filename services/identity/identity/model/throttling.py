"""How often one may try: some attempts at once, then each has to wait longer than the one before."""

from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import NamedTuple


class Allowance(NamedTuple):
    """`free` attempts without a wait; then waits that double from `first` to `longest`; all forgotten after `window`.

    However many machines guess one account's password, together they get some 120 tries a day (NIST SP 800-63B, 3.2.2).
    """

    free: int
    first: timedelta
    longest: timedelta
    window: timedelta

    def waits(self) -> list[int]:
        """Milliseconds to wait after the first attempt that is not free, the second, …; the last goes on."""
        waits, wait = [], self.first
        while wait < self.longest:
            waits.append(_milliseconds(wait))
            wait *= 2
        return [*waits, _milliseconds(self.longest)]


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


ACCOUNT = Allowance(9, timedelta(seconds=1), timedelta(minutes=15), timedelta(days=1))
"""Passwords and codes tried for one account."""
MAILS = Allowance(5, timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))
"""Mails to one address that anybody can ask for."""


def for_address(free: int) -> Allowance:
    """Passwords and codes tried from one client address, behind which may be a whole house."""
    return Allowance(free, timedelta(seconds=1), timedelta(minutes=15), timedelta(hours=1))


def network_of(host: str) -> str:
    """What is counted as one client address: an IPv4 address, the 64 bits of IPv6 that one customer is given."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(address.ipv4_mapped or ip_network((int(address), 64), strict=False))
