"""Events that inventory publishes. A booking has the id of its hold."""

from typing import Literal

from contracts.envelope import Event
from contracts.types import Amount, Currency, Id, SeatId, Seats


class SeatsReleased(Event, type="inventory.seats_released.v1", subject="hold_id"):
    """A checkout failed because its hold has expired (`lapsed`) or has other seats (`mismatch`).

    `seats` are the seats that the hold released.
    """

    hold_id: Id
    showtime_id: Id
    seats: Seats
    reason: Literal["released", "lapsed", "cancelled", "mismatch"]


class SeatsSold(Event, type="inventory.seats_sold.v1", subject="hold_id"):
    """The seats were sold to the booking. `user_id` is its holder, unless that is a guest.

    `amount` is the amount paid in minor units, as payment reported it; 0 for a free booking. It is missing in events
    from before 2026-12.
    """

    hold_id: Id
    showtime_id: Id
    seats: Seats
    user_id: Id | None = None
    amount: Amount | None = None
    currency: Currency | None = None


class SaleRejected(Event, type="inventory.sale_rejected.v1", subject="hold_id"):
    """The seats of a paid booking cannot be sold: `lost` belong to others, or the booking or showtime was cancelled.

    Booking refunds the payment.
    """

    hold_id: Id
    showtime_id: Id
    lost: Seats


class SeatsChanged(Event, type="inventory.seats_changed.v1", subject="showtime_id"):
    """The state of some seats changed. Transient and for displays only: `SeatMapUpdated` makes up for lost events.

    `version` is the showtime's version, read shortly after the change, so it is at least the version of the change.
    """

    showtime_id: Id
    version: int
    seats: dict[SeatId, Literal["free", "held", "sold", "blocked"]]


class SeatMapUpdated(Event, type="inventory.seat_map_updated.v1", subject="showtime_id"):
    """All seats of a showtime that are not free at this `version`. One event may cover several changes."""

    showtime_id: Id
    version: int
    held: list[SeatId] = []
    sold: list[SeatId] = []
    blocked: list[SeatId] = []
