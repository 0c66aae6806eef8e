"""Signed claims that a client carries from one service to the next, so that no service waits for another's event.

A claim states facts and grants no rights: the service that receives it still checks the caller.
`chassis.security.signed` signs the text form.
"""

from typing import ClassVar

from contracts.types import Amount, Currency, Holder, Id, Moment, Seat, Seats, Shape


class HoldClaim(Shape):
    """Inventory's claim about a hold, for booking. `revision` is the number of changes to the hold."""

    audience: ClassVar[str] = "usher:hold-claim"

    hold_id: Id
    showtime_id: Id
    seats: list[Seat]
    holder: Holder
    revision: int
    expires_at: Moment


class PaymentOrder(Shape):
    """Booking's claim about a checkout, for payment. `amount` is in minor units.

    `was_guests`: a guest made the booking and then signed in; missing in other orders.
    """

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
    was_guests: bool | None = None
