"""What catalog says."""

from typing import Annotated, Literal

from pydantic import Field

from contracts.envelope import Event
from contracts.personal import PersonalData
from contracts.types import Amount, Code, Currency, Id, Moment, Seat, Shape


class PlacedSeat(Seat):
    """A seat on the grid: `x` grows to the right, `y` downwards in the drawing; half steps are allowed.

    `area` is the part of the auditorium that it is in, for example `Circle`.
    """

    x: float
    y: float
    area: str | None = None


class Point(Shape):
    """A place on the grid of a seat layout; the middle of a seat is half a step right of and below its `x`, `y`."""

    x: float
    y: float


class Aisle(Shape):
    """A place to walk: `x`, `y` is its left upper corner on the grid."""

    x: float
    y: float
    width: float
    depth: float


class Price(Shape):
    """What one ticket type costs in one seat category, taxes and fees included.

    `fee` is the booking fee and `tax` the tax that are in the amount.
    """

    category: Code
    ticket_type: Code
    amount: Amount
    fee: Amount | None = None
    tax: Amount | None = None


ScreenSide = Literal["top", "bottom", "left", "right"]
OrphanRule = Literal["strict", "lenient", "off"]
"""Whether a choice of seats may leave a single seat alone: never, only at the end of a row, always."""
CancelReason = Literal["technical", "low_demand", "distributor", "other"]


class MoviePublished(Event, type="catalog.movie_published.v1", subject="movie_id"):
    """A film can be found."""

    movie_id: Id
    title: str
    runtime_minutes: int
    certificate: str


class MovieChanged(Event, type="catalog.movie_changed.v1", subject="movie_id"):
    """What a film is called, how long it runs or who may see it is put right."""

    movie_id: Id
    title: str
    runtime_minutes: int
    certificate: str


class MovieDeleted(Event, type="catalog.movie_deleted.v1", subject="movie_id"):
    """A film is gone; showtimes of it that lay ahead are being cancelled."""

    movie_id: Id


class ReviewChanged(Event, type="catalog.review_changed.v1", subject="review_id"):
    """A review was written, edited, hidden, shown again or taken back: the film's rating follows."""

    review_id: Id
    movie_id: Id


class SeatLayoutPublished(Event, type="catalog.seat_layout_published.v1", subject="layout_id"):
    """A version of an auditorium's seats. It never changes; a refit is a new layout.

    `screen` is the side of the drawing that the screen is on; from `focal_point` the film is seen best.
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
    """A film is shown, with everything that selling it takes."""

    showtime_id: Id
    movie_id: Id
    movie_title: str
    theater_id: Id
    theater_name: str
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


class ShowtimeRescheduled(Event, type="catalog.showtime_rescheduled.v1", subject="showtime_id"):
    """A showtime starts at another time; seats and prices stay."""

    showtime_id: Id
    starts_at: Moment
    ends_at: Moment
    sales_open_at: Moment
    sales_close_at: Moment


class ShowtimeCancelled(Event, type="catalog.showtime_cancelled.v1", subject="showtime_id"):
    """A showtime will not take place: every ticket is refunded, fee included."""

    showtime_id: Id
    reason: CancelReason


class CatalogDataExported(PersonalData, type="catalog.personal_data_exported.v1", subject="export_id"):
    """A person's reviews and showtimes."""
