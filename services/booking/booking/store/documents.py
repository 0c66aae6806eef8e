"""MongoDB documents of bookings, lookups, showtimes and ticket keys."""

from datetime import datetime

from beanie import Document
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from contracts.booking import Screening
from contracts.catalog import Price, RefundPolicy, Seller, ShowtimeCancelled, ShowtimeRescheduled
from contracts.types import Moment
from pydantic import BaseModel
from pymongo import ASCENDING, DESCENDING, IndexModel

from booking.model import (
    Booking,
    ChangeWanted,
    HouseChangeState,
    Impact,
    Promotion,
    RowState,
    ShowtimeOffer,
    UseState,
)


class BookingDocument(Aggregate, Booking):
    """A stored booking. Its rules are in `model` and `saga`."""

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
                [("contact_until", ASCENDING)],
                name="contact",
                partialFilterExpression={"contact_until": {"$type": "date"}},
            ),
            IndexModel(
                [("transfers.user_id", ASCENDING), ("_id", DESCENDING)],
                name="recipient",
                partialFilterExpression={"transfers.user_id": {"$type": "string"}},
            ),
            IndexModel(
                [("has_open_uses", ASCENDING), ("_id", ASCENDING)],
                name="open_uses",
                partialFilterExpression={"has_open_uses": True},
            ),
            IndexModel(
                [("email", ASCENDING), ("_id", DESCENDING)],
                name="email",
                partialFilterExpression={"email": {"$type": "string"}},
            ),
            IndexModel(
                [("refunds.state", ASCENDING), ("_id", ASCENDING)],
                name="refunds",
                partialFilterExpression={"refunds.state": {"$exists": True}},
            ),
        ]


class Showtime(Document):
    """A showtime's data from catalog's events.

    `timed_at`: the time of the event that last set its times. `cascade_at`: when its bookings must be updated again.
    `change_id`: the last change, see HouseChange. `theater_id` is null until catalog publishes a showtime from before
    2026-12 again. `movie_id` and `local_date`, its business
    day, are null for a showtime from before there were promotions.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - catalog's id, not an ObjectId
    screening: Screening
    theater_id: str | None = None
    currency: str
    prices: list[Price]
    refund_policy: RefundPolicy = RefundPolicy()
    sales_open_at: Moment
    sales_close_at: Moment
    timed_at: datetime
    is_cancelled: bool = False
    cascade_at: datetime | None = None
    change_id: str | None = None
    seller: Seller | None = None
    movie_id: str | None = None
    local_date: str | None = None

    class Settings:
        name = "showtimes"
        indexes = [
            IndexModel(
                [("cascade_at", ASCENDING)], name="cascade", partialFilterExpression={"cascade_at": {"$type": "date"}}
            )
        ]

    @property
    def offer(self) -> ShowtimeOffer:
        """The data that quotes and checkouts use."""
        return ShowtimeOffer(
            self.screening,
            self.theater_id,
            self.currency,
            self.prices,
            self.is_cancelled,
            self.refund_policy,
            self.movie_id,
            self.local_date,
        )

    def after(self, wanted: ChangeWanted) -> "Showtime":
        """The showtime after the change."""
        if wanted.starts_at is None:
            return self.model_copy(update={"is_cancelled": True})
        length = self.screening.ends_at - self.screening.starts_at
        times = {"starts_at": wanted.starts_at, "ends_at": wanted.starts_at + length}
        return self.model_copy(update={"screening": self.screening.model_copy(update=times)})

    @property
    def as_event(self) -> ShowtimeCancelled | ShowtimeRescheduled:
        """The showtime's current state as an event for its bookings. The reason of a cancellation is not stored."""
        if self.is_cancelled:
            return ShowtimeCancelled(showtime_id=self.id, reason="other")
        return ShowtimeRescheduled(
            showtime_id=self.id,
            starts_at=self.screening.starts_at,
            ends_at=self.screening.ends_at,
            sales_open_at=self.sales_open_at,
            sales_close_at=self.sales_close_at,
            local_date=self.local_date,
        )


class HouseChange(Aggregate):
    """A change of a showtime by the cinema, from its dry run until the bookings are updated.

    `impact`, `requested_by` and the times are missing for a change without a dry run. `confirmed_by`: the second
    person. `code` and `detail` say why catalog refused it.
    """

    showtime_id: str
    theater_id: str | None
    wanted: ChangeWanted
    state: HouseChangeState
    previous_starts_at: datetime
    impact: Impact | None = None
    created_at: datetime
    created_by: str | None = None
    requested_by: str | None = None
    confirmed_by: str | None = None
    code: str | None = None
    detail: str | None = None

    class Settings:
        name = "house_changes"
        indexes = [IndexModel([("showtime_id", ASCENDING), ("_id", DESCENDING)], name="showtime")]


class CascadeRow(Document):
    """One booking of a HouseChange and whether it was updated. The id is change and booking.

    `reason`: why it failed or needs a person.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - not an ObjectId
    change_id: str
    booking_id: str
    state: RowState
    reason: str | None = None
    changed_at: datetime

    class Settings:
        name = "cascade_rows"
        indexes = [
            IndexModel([("change_id", ASCENDING), ("_id", ASCENDING)], name="change"),
            IndexModel([("change_id", ASCENDING), ("state", ASCENDING), ("_id", ASCENDING)], name="state"),
        ]


class TicketKey(Document):
    """A key that signs or has signed tickets. Only the generated key, whose id is `own`, has a `sealed_pem`.

    `sealed_pem` is encrypted with LINK_KEY. `pem` is what the previous version stored; the migrations remove it.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - `own` or the key's thumbprint
    jwk: dict[str, str]
    sealed_pem: str | None = None
    pem: str | None = None

    class Settings:
        name = "ticket_keys"


class Dispute(Document):
    """A dispute of a booking's payment, as payment last reported it. The id is Stripe's.

    `rank`: see contracts.payment.dispute_rank. `reference` and the film are kept for lists; they are no personal data.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - Stripe's id, not an ObjectId
    booking_id: str
    reference: str | None
    theater_id: str | None
    movie_title: str | None
    starts_at: datetime | None
    amount: int
    currency: str
    status: str
    rank: int
    is_open: bool
    reason: str | None
    respond_by: datetime | None
    opened_at: datetime
    changed_at: datetime

    class Settings:
        name = "disputes"
        indexes = [IndexModel([("is_open", ASCENDING), ("opened_at", ASCENDING), ("_id", ASCENDING)], name="open")]


class Lookup(Aggregate):
    """A request for a link to a booking that may not exist. The id is a hash of the reference and the address."""

    asked_at: datetime

    class Settings:
        name = "lookups"
        indexes = [IndexModel("asked_at", expireAfterSeconds=24 * 3600)]


class WalletPass(Document):
    """A ticket's pass on an Apple device. The id is device and ticket. `push_token`: the device's address."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - not an ObjectId
    device: str
    ticket_id: str
    booking_id: str
    push_token: str
    changed_at: datetime
    expires_at: datetime

    class Settings:
        name = "wallet_passes"
        indexes = [
            IndexModel([("device", ASCENDING), ("changed_at", ASCENDING)], name="device"),
            IndexModel([("booking_id", ASCENDING)], name="booking"),
            IndexModel("expires_at", expireAfterSeconds=0),
        ]


class PromotionDocument(Document, Promotion):
    """A stored promotion."""

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - not an ObjectId

    class Settings:
        name = "promotions"
        indexes = [
            IndexModel(
                [("code", ASCENDING)],
                name="code",
                unique=True,
                partialFilterExpression={"code": {"$type": "string"}, "is_active": True},
            ),
            IndexModel([("is_active", ASCENDING), ("code", ASCENDING)], name="active"),
        ]


class Use(BaseModel):
    """One use of a promotion by the tickets of these seats, and the slots that it occupies: see `promotion_uses`."""

    promotion_id: str
    seats: list[str]
    state: UseState
    slots: list[str] = []


class PromotionUses(Document):
    """The uses of promotions by one booking. `slots` are those of its uses that are not released.

    `revision` counts the changes.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - not an ObjectId
    booking_id: str
    uses: list[Use]
    slots: list[str]
    is_reserved: bool
    reserved_at: datetime
    revision: int = 0

    class Settings:
        name = "promotion_uses"
        indexes = [
            IndexModel(
                [("slots", ASCENDING)],
                name="slots",
                unique=True,
                partialFilterExpression={"slots": {"$type": "string"}},
            ),
            IndexModel([("reserved_at", ASCENDING)], name="reserved", partialFilterExpression={"is_reserved": True}),
            IndexModel([("uses.promotion_id", ASCENDING)], name="promotion"),
        ]


class CodeAttempts(Document):
    """How many unknown codes a client network has tried, or tickets were offered to an address, until `expires_at`.

    The id is a hash of the network or the address.
    """

    id: str  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] - not an ObjectId
    attempts: int
    expires_at: datetime

    class Settings:
        name = "code_attempts"
        indexes = [IndexModel("expires_at", expireAfterSeconds=0)]


DOCUMENTS = [
    BookingDocument,
    Showtime,
    HouseChange,
    CascadeRow,
    TicketKey,
    Dispute,
    Lookup,
    WalletPass,
    PromotionDocument,
    PromotionUses,
    CodeAttempts,
]
bookings: Collection[Booking] = Collection(BookingDocument, Booking)
showtimes = Collection(Showtime)
house_changes = Collection(HouseChange)
cascade_rows = Collection(CascadeRow)
ticket_keys = Collection(TicketKey)
disputes = Collection(Dispute)
lookups = Collection(Lookup)
wallet_passes = Collection(WalletPass)
promotions: Collection[Promotion] = Collection(PromotionDocument, Promotion)
promotion_uses = Collection(PromotionUses)
code_attempts = Collection(CodeAttempts)
