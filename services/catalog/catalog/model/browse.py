"""Filters for visitors."""

from datetime import time
from typing import Literal

Daypart = Literal["morning", "afternoon", "evening", "night"]
Sort = Literal["title", "newest", "rating", "relevance"]


def daypart_of(clock: time) -> Daypart:
    """The part of the theater's local day in which a showtime starts; a midnight show belongs to the night."""
    if clock.hour < 5 or clock.hour >= 21:
        return "night"
    return "morning" if clock.hour < 12 else "afternoon" if clock.hour < 17 else "evening"
