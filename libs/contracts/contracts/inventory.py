"""Events that inventory publishes. A booking has the id of its hold."""

from typing import Annotated, Literal

from pydantic import Field

from contracts.booking import Screening
from contracts.envelope import Event
from contracts.payment import TenderAmounts
from contracts.personal import PersonalData
from contracts.types import Amount, Currency, Id, Moment, Seat, SeatId, Seats


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
    from before 2026-12. `tenders` are missing when a card paid everything.
    """

    hold_id: Id
    showtime_id: Id
    seats: Seats
    user_id: Id | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    tenders: list[TenderAmounts] | None = None


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


class WaitlistEvent(Event):
    """Base class of events that become a mail to a party on a showtime's waitlist.

    A guest's `sealed_secret` opens the party's page. `mail_id` identifies the mail among those of its kind.
    """

    entry_id: Id
    mail_id: Id
    showtime_id: Id
    user_id: Id | None = None
    email: str
    locale: str = "en"
    screening: Screening
    sealed_secret: Annotated[
        str | None,
        Field(
            description="a guest's secret, encrypted with LINK_KEY: only inventory and notifier can read it",
            repr=False,
        ),
    ] = None


class WaitlistJoined(WaitlistEvent, type="inventory.waitlist_joined.v1", subject="entry_id"):
    """A party joined the waitlist at this `position`, starting at 1. It waits for `min_seats` to `max_seats` seats."""

    position: int
    min_seats: int
    max_seats: int
    closes_at: Moment


class SeatsOffered(WaitlistEvent, type="inventory.seats_offered.v1", subject="entry_id"):
    """Seats are held for a party on the waitlist until `expires_at`.

    `amount` is the price at the highest ticket type, in minor units.
    """

    hold_id: Id
    seats: list[Seat]
    amount: Amount
    currency: Currency
    expires_at: Moment


class WaitlistEnded(WaitlistEvent, type="inventory.waitlist_ended.v1", subject="entry_id"):
    """A party is no longer on the waitlist: it closed before the start, or the showtime was cancelled."""

    reason: Literal["closed", "cancelled"]


class InventoryDataExported(PersonalData, type="inventory.personal_data_exported.v1", subject="export_id"):
    """A part of a person's data in inventory: their places on waitlists."""
