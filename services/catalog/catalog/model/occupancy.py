"""How full a showtime is, merged from inventory's events in any order.

Each hold, sale or block of seats is a claim, and a claim is a set of registers that only grow (lists compare element by
element, in Python and in MongoDB alike), so an event that is repeated, late or overtaken changes nothing:

    held      [revision, seats]
    sold      [said_at, seats]
    blocked   [said_at, seats]
    released  [may_end_a_sale, said_at]

Times are Unix milliseconds; `seats` is how many.
"""

from datetime import datetime, timedelta
from typing import Literal

from contracts.inventory import HoldChanged, SeatsBlocked, SeatsHeld, SeatsReleased, SeatsSold, SeatsUnblocked

SeatEvent = SeatsHeld | HoldChanged | SeatsReleased | SeatsSold | SeatsBlocked | SeatsUnblocked
Register = Literal["held", "sold", "blocked", "released"]
Availability = Literal["plenty", "filling", "few_left", "sold_out"]

FILLING_FROM, FEW_LEFT_FROM = 0.5, 0.9
"""Shares of the seats that are taken."""
FORGET_ENDED_HOLD_AFTER = timedelta(hours=1)


def claim_of(event: SeatEvent, said_at: datetime) -> tuple[str, Register, list[int]]:
    """What an event says: the claim's id, a register and its value."""
    at = millis(said_at)
    match event:
        case SeatsHeld():
            return event.hold_id, "held", [0, len(event.seats)]
        case HoldChanged():
            return event.hold_id, "held", [event.revision, len(event.seats)]
        case SeatsSold():
            return event.hold_id, "sold", [at, len(event.seats)]
        case SeatsReleased():
            return event.hold_id, "released", [int(event.reason == "cancelled"), at]
        case SeatsBlocked():
            return event.block_id, "blocked", [at, len(event.seats)]
        case SeatsUnblocked():
            return event.block_id, "released", [0, at]


def millis(moment: datetime) -> int:
    """Unix milliseconds."""
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def availability(taken: int, capacity: int) -> Availability:
    """How full it is, as a band: an exact number would be wrong by the time it is read."""
    if taken >= capacity:
        return "sold_out"
    share = taken / capacity
    return "few_left" if share >= FEW_LEFT_FROM else "filling" if share >= FILLING_FROM else "plenty"
