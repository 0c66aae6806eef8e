"""What inventory publishes. A booking has the id of the hold that it began with."""

from typing import Literal

from contracts.envelope import Event
from contracts.types import Amount, Currency, Id, SeatId, Seats


class SeatsReleased(Event, type="inventory.seats_released.v1", subject="hold_id"):
    """A checkout cannot have its seats kept, because its hold is over (`lapsed`) or has other seats (`mismatch`).

    `seats` are those that the hold gave back.
    """

    hold_id: Id
    showtime_id: Id
    seats: Seats
    reason: Literal["released", "lapsed", "cancelled", "mismatch"]


class SeatsSold(Event, type="inventory.seats_sold.v1", subject="hold_id"):
    """The seats belong to the booking. `user_id` is its holder, unless that is a guest.

    `amount` in minor units is what was paid, as payment said it; 0 for a free booking. It is missing in events from
    before 2026-12.
    """

    hold_id: Id
    showtime_id: Id
    seats: Seats
    user_id: Id | None = None
    amount: Amount | None = None
    currency: Currency | None = None


class SaleRejected(Event, type="inventory.sale_rejected.v1", subject="hold_id"):
    """A paid booking cannot have its seats: `lost` belong to others, or it or its showtime was cancelled.

    The money must go back.
    """

    hold_id: Id
    showtime_id: Id
    lost: Seats


class SeatsChanged(Event, type="inventory.seats_changed.v1", subject="showtime_id"):
    """Seats have another state. For screens only: it is transient, and `SeatMapUpdated` heals what gets lost.

    `version` is the showtime's, as it was read soon after the change: at least that of the change.
    """

    showtime_id: Id
    version: int
    seats: dict[SeatId, Literal["free", "held", "sold", "blocked"]]


class SeatMapUpdated(Event, type="inventory.seat_map_updated.v1", subject="showtime_id"):
    """All seats of a showtime that are not free, at this `version`. Published soon after changes, not for each one."""

    showtime_id: Id
    version: int
    held: list[SeatId] = []
    sold: list[SeatId] = []
    blocked: list[SeatId] = []
