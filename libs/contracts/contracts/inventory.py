"""What inventory says. The subject is the hold, which is the booking from its first moment."""

from typing import Literal

from contracts.envelope import Event
from contracts.types import Holder, Id, Moment, Seat, SeatId, Seats


class SeatsHeld(Event, type="inventory.seats_held.v1", subject="hold_id"):
    """All these seats belong to the hold until `expires_at`."""

    hold_id: Id
    showtime_id: Id
    seats: list[Seat]
    holder: Holder
    expires_at: Moment


class HoldChanged(Event, type="inventory.hold_changed.v1", subject="hold_id"):
    """A hold has other seats or a later deadline. `seats` are all that it has now.

    `revision` counts the hold's own changes from 1 (the hold itself is 0): the highest one is the truth.
    """

    hold_id: Id
    showtime_id: Id
    revision: int
    seats: list[Seat]
    added: Seats
    dropped: Seats
    expires_at: Moment


class SeatsReleased(Event, type="inventory.seats_released.v1", subject="hold_id"):
    """The hold, or the sale that it became, is over. `seats` are those that it gave back.

    `mismatch`: a checkout came for a hold that no longer had exactly the seats to be paid.
    """

    hold_id: Id
    showtime_id: Id
    seats: Seats
    reason: Literal["released", "lapsed", "cancelled", "mismatch"]


class SeatsSold(Event, type="inventory.seats_sold.v1", subject="hold_id"):
    """The seats of a paid booking are its own. `user_id`: whose it is, unless it is a guest's."""

    hold_id: Id
    showtime_id: Id
    seats: Seats
    user_id: Id | None = None


class SaleRejected(Event, type="inventory.sale_rejected.v1", subject="hold_id"):
    """A paid booking cannot have its seats: `lost` are taken by others. The money must go back."""

    hold_id: Id
    showtime_id: Id
    lost: Seats


class SeatsBlocked(Event, type="inventory.seats_blocked.v1", subject="showtime_id"):
    """Staff took seats out of sale."""

    showtime_id: Id
    block_id: Id
    seats: list[SeatId]
    reason: str


class SeatsUnblocked(Event, type="inventory.seats_unblocked.v1", subject="showtime_id"):
    """Staff put seats back on sale."""

    showtime_id: Id
    block_id: Id
    seats: list[SeatId]
