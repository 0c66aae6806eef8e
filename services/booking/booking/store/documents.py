"""Bookings, lookups, showtimes and ticket keys as MongoDB keeps them."""

from datetime import datetime

from beanie import Document
from chassis.outbox import Aggregate
from contracts.booking import Screening
from contracts.catalog import Price, ShowtimeCancelled, ShowtimeRescheduled
from contracts.types import Moment
from pymongo import ASCENDING, DESCENDING, IndexModel

from booking import model
from booking.model import Offer


class Booking(Aggregate, model.Booking):
    """A booking as it is stored. Its rules are in `model` and `saga`."""

    class Settings:
        name = "bookings"
        indexes = [
            IndexModel([("due_at", ASCENDING)], name="due", partialFilterExpression={"due_at": {"$type": "date"}}),
            IndexModel(
                [("reference", ASCENDING)],
                name="reference",
                unique=True,
                partialFilterExpression={"reference": {"$type": "string"}},
            ),
            IndexModel([("showtime_id", ASCENDING), ("_id", DESCENDING)], name="showtime"),
            IndexModel(
                [("holder.user_id", ASCENDING), ("_id", DESCENDING)],
                name="owner",
                partialFilterExpression={"holder.user_id": {"$type": "string"}},
            ),
            IndexModel(
                [("email", ASCENDING), ("_id", DESCENDING)],
                name="email",
                partialFilterExpression={"email": {"$type": "string"}},
            ),
        ]


class Showtime(Document):
    """What booking keeps of a showtime from catalog's events.

    `timed_at`: when its times were last set. `cascade_at`: when its bookings must be updated a second time.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - catalog's id, not an ObjectId
    screening: Screening
    currency: str
    prices: list[Price]
    sales_open_at: Moment
    sales_close_at: Moment
    timed_at: datetime
    is_cancelled: bool = False
    cascade_at: datetime | None = None

    class Settings:
        name = "showtimes"
        indexes = [
            IndexModel(
                [("cascade_at", ASCENDING)], name="cascade", partialFilterExpression={"cascade_at": {"$type": "date"}}
            )
        ]

    @property
    def offer(self) -> Offer:
        """The showtime as the rules see it."""
        return Offer(self.screening, self.currency, self.prices, self.is_cancelled)

    @property
    def change(self) -> ShowtimeCancelled | ShowtimeRescheduled:
        """Its present state as the event that tells a booking. The reason of a cancellation is not kept."""
        if self.is_cancelled:
            return ShowtimeCancelled(showtime_id=self.id, reason="other")
        return ShowtimeRescheduled(
            showtime_id=self.id,
            starts_at=self.screening.starts_at,
            ends_at=self.screening.ends_at,
            sales_open_at=self.sales_open_at,
            sales_close_at=self.sales_close_at,
        )


class TicketKey(Document):
    """A key that tickets are or were signed with. `pem` only for booking's own, whose id is `own`."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - `own` or the key's thumbprint
    jwk: dict[str, str]
    pem: str | None = None

    class Settings:
        name = "ticket_keys"


class Lookup(Aggregate):
    """A request for a link to a booking that may not exist. The id is a hash of the reference and the address."""

    asked_at: datetime

    class Settings:
        name = "lookups"
        indexes = [IndexModel("asked_at", expireAfterSeconds=24 * 3600)]


DOCUMENTS = [Booking, Showtime, TicketKey, Lookup]
