"""The availability of a showtime for visitors."""

from typing import Literal

Availability = Literal["plenty", "filling", "few_left", "sold_out"]

FILLING_FROM, FEW_LEFT_FROM = 0.5, 0.9
"""Shares of the seats that are taken."""


def availability(taken: int, capacity: int) -> Availability:
    """The availability as a band: an exact number would be outdated when it is read."""
    if taken >= capacity:
        return "sold_out"
    share = taken / capacity
    return "few_left" if share >= FEW_LEFT_FROM else "filling" if share >= FILLING_FROM else "plenty"
