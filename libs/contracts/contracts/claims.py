"""Signed facts that a client carries from one service to the next, so that no service waits for another one's event.

They state facts and grant no rights: each use is still checked against the caller. The text form is signed by
`chassis.signed`.
"""

from typing import ClassVar

from contracts.types import Amount, Currency, Holder, Id, Moment, Seat, Seats, Shape


class HoldClaim(Shape):
    """Inventory's statement about a hold, for booking. `revision` counts the hold's changes from 0."""

    audience: ClassVar[str] = "usher:hold-claim"

    hold_id: Id
    showtime_id: Id
    seats: list[Seat]
    holder: Holder
    revision: int
    expires_at: Moment


class PaymentOrder(Shape):
    """Booking's statement about a checkout, for payment. `amount` in minor units."""

    audience: ClassVar[str] = "usher:payment-order"

    booking_id: Id
    reference: str
    holder: Holder
    email: str
    showtime_id: Id
    seats: Seats
    amount: Amount
    currency: Currency
    payment_deadline_at: Moment
