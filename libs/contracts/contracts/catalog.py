"""Events that catalog publishes."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.envelope import Event
from contracts.personal import PersonalData
from contracts.types import Amount, Code, Currency, Id, Moment, Seat, Shape


class PlacedSeat(Seat):
    """A seat on the grid of a layout: `x` grows to the right, `y` downwards; half steps are allowed."""

    x: float
    y: float


class Point(Shape):
    """A point on the grid of a seat layout. The center of a seat is at its `x` + 0.5, `y` + 0.5."""

    x: float
    y: float


class Aisle(Shape):
    """An aisle. `x`, `y` is its upper left corner on the grid."""

    x: float
    y: float
    width: float
    depth: float


class Price(Shape):
    """The price of one ticket type in one seat category, taxes and fees included.

    `fee` is the booking fee and `tax` the tax that the amount includes, at the rate `tax_basis_points`: 700 is 7 %.
    """

    category: Code
    ticket_type: Code
    amount: Amount
    fee: Amount | None = None
    tax: Amount | None = None
    tax_basis_points: Annotated[int, Field(ge=0, le=10_000)] | None = None


class Seller(Shape):
    """The company that sells a theater's tickets, as receipts name it. `address` is on one line."""

    legal_name: str
    address: str
    tax_id: str | None = None


class RefundTier(Shape):
    """Until `minutes_before_start`, a cancelled ticket is refunded at `refund_percent` of its price."""

    minutes_before_start: Annotated[int, Field(ge=0, le=525_600)]
    refund_percent: Annotated[int, Field(ge=0, le=100)]


class ExchangeRules(Shape):
    """Until `minutes_before_start`, a booking can be exchanged for `fee` per ticket, at most `max_exchanges` times."""

    minutes_before_start: Annotated[int, Field(ge=0, le=525_600)] = 30
    fee: Amount = 0
    max_exchanges: Annotated[int, Field(ge=0, le=100)] = 3


class RefundPolicy(Shape):
    """What a customer who cancels gets back. After the last tier nothing is refunded.

    `fee` is kept for each cancelled ticket, in minor units, but never more than its refund. What the cinema causes is
    refunded in full, whatever the policy says. Customers who take store credit instead of money on their card get
    `credit_bonus_percent` more of it.
    """

    tiers: Annotated[list[RefundTier], Field(max_length=10)] = [
        RefundTier(minutes_before_start=120, refund_percent=100),
        RefundTier(minutes_before_start=30, refund_percent=50),
    ]
    fee: Amount = 0
    exchange: ExchangeRules = ExchangeRules()
    credit_bonus_percent: Annotated[int, Field(ge=0, le=100)] = 0

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        for earlier, later in pairwise(self.tiers):
            if later.minutes_before_start >= earlier.minutes_before_start:
                raise ValueError("each tier ends later than the one before: minutes_before_start must fall")
            if later.refund_percent > earlier.refund_percent:
                raise ValueError("a later cancellation refunds no more: refund_percent must not rise")
        return self


ScreenSide = Literal["top", "bottom", "left", "right"]
OrphanRule = Literal["strict", "lenient", "off"]
"""Whether a selection may leave a single free seat: never, only at the end of a row, or always."""
CancelReason = Literal["technical", "low_demand", "distributor", "other"]


class MoviePublished(Event, type="catalog.movie_published.v1", subject="movie_id"):
    """A film was published and can be found. A running time of 0 is not known yet."""

    movie_id: Id
    title: str
    runtime_minutes: int
    certificate: str


class MovieChanged(Event, type="catalog.movie_changed.v1", subject="movie_id"):
    """A film's title, running time or age rating was corrected. A running time of 0 is not known yet."""

    movie_id: Id
    title: str
    runtime_minutes: int
    certificate: str


class MovieDeleted(Event, type="catalog.movie_deleted.v1", subject="movie_id"):
    """A film was deleted. Its future showtimes are being cancelled."""

    movie_id: Id


class ReviewChanged(Event, type="catalog.review_changed.v1", subject="review_id"):
    """A review was created, edited, hidden, restored or deleted. The film's rating is recalculated."""

    review_id: Id
    movie_id: Id


class SeatLayoutPublished(Event, type="catalog.seat_layout_published.v1", subject="layout_id"):
    """A version of an auditorium's seats was published. It never changes; a refit gets a new layout.

    `screen` is the side of the layout where the screen is; `focal_point` is the point with the best view.
    """

    layout_id: Id
    auditorium_id: Id
    columns: float
    rows: float
    seats: Annotated[list[PlacedSeat], Field(min_length=1, max_length=2000)]
    screen: ScreenSide = "top"
    focal_point: Point | None = None
    aisles: list[Aisle] = []


class ShowtimeScheduled(Event, type="catalog.showtime_scheduled.v1", subject="showtime_id"):
    """A showtime was scheduled. The event has everything that is needed to sell its seats.

    `address` is the theater's, on one line. `local_date` is the showtime's business day, `YYYY-MM-DD`.
    """

    showtime_id: Id
    movie_id: Id
    movie_title: str
    theater_id: Id
    theater_name: str
    address: str | None = None
    auditorium_id: Id
    auditorium_name: str
    layout_id: Id
    time_zone: str
    starts_at: Moment
    ends_at: Moment
    sales_open_at: Moment
    sales_close_at: Moment
    format: str
    language: str
    subtitles: str | None = None
    certificate: str
    currency: Currency
    prices: Annotated[list[Price], Field(min_length=1)]
    orphan_rule: OrphanRule = "off"
    seller: Seller | None = None
    refund_policy: RefundPolicy = RefundPolicy()
    local_date: str | None = None


class ShowtimeRescheduled(Event, type="catalog.showtime_rescheduled.v1", subject="showtime_id"):
    """A showtime was moved to another time. Its seats and prices stay the same.

    `change_id`: the approved change that moved it. `local_date` is its business day, `YYYY-MM-DD`.
    """

    showtime_id: Id
    starts_at: Moment
    ends_at: Moment
    sales_open_at: Moment
    sales_close_at: Moment
    change_id: Id | None = None
    local_date: str | None = None


class ShowtimeCancelled(Event, type="catalog.showtime_cancelled.v1", subject="showtime_id"):
    """A showtime was cancelled. Every ticket is refunded in full, fees included.

    `change_id`: the approved change that cancelled it.
    """

    showtime_id: Id
    reason: CancelReason
    change_id: Id | None = None


class ShowtimeChangeRefused(Event, type="catalog.showtime_change_refused.v1", subject="change_id"):
    """An approved change of a showtime is impossible. `code` and `detail` are those of the problem."""

    change_id: Id
    showtime_id: Id
    code: Code
    detail: str


class CatalogDataExported(PersonalData, type="catalog.personal_data_exported.v1", subject="export_id"):
    """A part of a person's data export: their reviews and showtimes."""
