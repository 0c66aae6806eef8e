"""Where the money of a booking is: on payments of its own and of the bookings that it replaces. No I/O.

An exchange moves no money. The value of the exchanged tickets stays on the payments that captured it, and the new
booking notes its part of each as a source. Its refunds go there.
"""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel


class Source(BaseModel):
    """Money in minor units on the payment of the booking with this id."""

    booking_id: str
    amount: int


class Exchange(BaseModel):
    """The terms of an exchange, stored in both bookings. Amounts are in minor units.

    `seats` are those of the tickets that are exchanged, worth `value` together. `carried` is the part of it that pays
    for the new tickets, `refund` the part that is returned, and the rest is the `fee`. `waived`: a difference that is
    too small to be charged. `sources`: where the carried money is; known once the tickets are exchanged. `counts`:
    whether it is one of the exchanges that the policy limits. `max_refund_percent`: what the policy of the exchanged
    tickets refunds at the time, which no later cancellation exceeds. `quote_id`: a digest of the committed quote's.
    """

    replaces: str
    replaced_by: str
    seats: list[str]
    value: int
    fee: int
    carried: int
    refund: int
    waived: int = 0
    counts: bool = True
    max_refund_percent: int = 100
    quote_id: str
    at: datetime
    sources: list[Source] = []


def take(funds: Mapping[str, int], amount: int, *, newest_first: bool) -> list[Source]:
    """Take an amount from the payments with these funds, which are in the order of payment; as much as there is."""
    parts: list[Source] = []
    for booking_id in reversed(list(funds)) if newest_first else funds:
        if part := min(amount, funds[booking_id]):
            parts.append(Source(booking_id=booking_id, amount=part))
            amount -= part
    return parts


def less(funds: Mapping[str, int], parts: list[Source]) -> dict[str, int]:
    """What the parts leave of the funds."""
    taken = {part.booking_id: part.amount for part in parts}
    return {booking_id: amount - taken.get(booking_id, 0) for booking_id, amount in funds.items()}
