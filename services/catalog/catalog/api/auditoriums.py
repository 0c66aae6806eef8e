"""Theaters for staff: theaters, auditoriums, and versions of seat layouts."""

from collections.abc import Sequence
from typing import Annotated, Self

from chassis.http.problems import documented
from chassis.ids import new_id
from chassis.mongo.collection import Row
from contracts.catalog import PlacedSeat
from contracts.types import ChargedCurrency, Id, LanguageTag, Moment, Name, TimeZone, visible
from fastapi import APIRouter, Path
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from catalog import store
from catalog.api.access import (
    REFUSALS,
    Body,
    CatalogWriter,
    TheaterWriter,
    check_theater,
    own_auditorium,
    own_theater,
)
from catalog.api.http import Stored
from catalog.api.theaters import AuditoriumResponse, LayoutResponse, TheaterResponse, auditorium_shown, theater_shown
from catalog.model.days import DAY_STARTS, DayStart
from catalog.model.layout import MAX_TEXT, Layout, check_layout, format_layout, parse_layout
from catalog.model.prices import Label
from catalog.model.problems import AuditoriumExists, ChangedMeanwhile, LayoutInvalid

managed = APIRouter(prefix="/api", tags=["catalog: theaters"])


Features = Annotated[list[Label], Field(max_length=30)]
Version = Annotated[int, Path(ge=1, le=1_000_000)]


class AddressRequest(Body):
    street: Label
    postal_code: Annotated[str, StringConstraints(strip_whitespace=True, max_length=20), AfterValidator(visible)]
    city: Label
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = Field(description="ISO 3166-1 alpha-2")


class SellerRequest(Body):
    """The company that sells the theater's tickets, for receipts: its address on one line, and its tax number."""

    legal_name: Label
    address: Name
    tax_id: Annotated[Name, StringConstraints(max_length=40)] | None = None


class TheaterRequest(Body):
    """A theater. Time zone and currency cannot be changed later."""

    name: Label
    address: AddressRequest
    position: store.Position
    time_zone: TimeZone
    currency: ChargedCurrency
    language: LanguageTag
    features: Features = []
    day_starts: DayStart = DAY_STARTS
    seller: SellerRequest | None = None


class TheaterUpdateRequest(Body):
    """The fields to change. A new `day_starts` applies to showtimes that are scheduled or moved from then on.

    A new `seller` applies to showtimes that are scheduled from then on.
    """

    name: Label | None = None
    address: AddressRequest | None = None
    position: store.Position | None = None
    language: LanguageTag | None = None
    features: Features | None = None
    day_starts: DayStart | None = None
    seller: SellerRequest | None = None


class LayoutRequest(Body):
    """A seat layout, as text (docs/seat-layouts.md) or as JSON."""

    text: (
        Annotated[
            str,
            StringConstraints(max_length=MAX_TEXT),
            Field(examples=["A  .._ssssssss\nD  wc_ssssssss\n\nG  ll_llllllll"]),
        ]
        | None
    ) = None
    layout: Layout | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.text is None) == (self.layout is None):
            raise ValueError("send either `text` or `layout`")
        return self

    def read(self) -> tuple[Layout, str]:
        """The layout and its text. Raises LayoutInvalid."""
        if self.text is not None:
            return parse_layout(self.text), self.text
        layout = check_layout(self.layout or Layout.model_construct())
        return layout, format_layout(layout)


class AuditoriumRequest(LayoutRequest):
    """An auditorium with its seats."""

    name: Label
    features: Features = []
    cleaning_minutes: Annotated[int, Field(ge=0, le=240)] = 20


class AuditoriumUpdateRequest(Body):
    """The fields to change. No showtimes can be added to a closed auditorium."""

    name: Label | None = None
    features: Features | None = None
    cleaning_minutes: Annotated[int, Field(ge=0, le=240)] | None = None
    closed: bool | None = None


class KeepingShowtime(BaseModel):
    """A future showtime that keeps the seats of an earlier version. `sold` and `taken` (sold, held or blocked) count
    its seats.
    """

    showtime_id: Id
    movie_title: str
    starts_at: Moment
    layout_id: Id
    sold: int
    taken: int


Keeping = Annotated[
    list[KeepingShowtime],
    Field(description="Future showtimes that keep their seats: cancel them if the auditorium is refitted earlier"),
]


class LayoutPreviewResponse(Layout):
    """A rendered layout, compared with the auditorium's current one."""

    text: str
    keeping: Keeping
    added: Annotated[list[str], Field(description="Names of seats: area, row and number")]
    dropped: list[str]


class PublishedLayoutResponse(LayoutResponse):
    """A published version, used by new showtimes from now on."""

    keeping: Keeping


class LayoutSummary(Stored):
    """A version of an auditorium's layout, without its seats."""

    version: int = Field(validation_alias="number")
    text: str


class LayoutVersionsResponse(BaseModel):
    """The versions, newest first."""

    items: list[LayoutSummary]


@managed.post("/theaters", status_code=201, responses=REFUSALS)
async def add_theater(body: TheaterRequest, _: CatalogWriter) -> TheaterResponse:
    """Add a theater. Only for staff who are not limited to theaters."""
    theater_id = new_id()
    theater = store.Theater(id=theater_id, **body.model_dump())
    await store.add_theater(theater)
    return await theater_shown(theater_id)


@managed.patch("/theaters/{theater_id}", responses=REFUSALS)
async def change_theater(theater_id: Id, body: TheaterUpdateRequest, staff: TheaterWriter) -> TheaterResponse:
    """Change a theater's details. Published showtimes keep the name that they have."""
    check_theater(staff, theater_id)
    await store.change_theater(theater_id, body.model_dump(exclude_none=True))
    return await theater_shown(theater_id)


@managed.post(
    "/theaters/{theater_id}/auditoriums",
    status_code=201,
    responses=REFUSALS | documented(LayoutInvalid, AuditoriumExists),
)
async def add_auditorium(theater_id: Id, body: AuditoriumRequest, staff: TheaterWriter) -> AuditoriumResponse:
    """Add an auditorium with the first version of its layout."""
    await own_theater(staff, theater_id)
    layout, text = body.read()
    seats = store.SeatLayout.of(new_id(), auditorium_id := new_id(), layout, text)
    room = store.Auditorium(
        id=auditorium_id,
        theater_id=theater_id,
        **body.model_dump(include={"name", "features", "cleaning_minutes"}),
        layout_id=seats.id,
        capacity=len(layout.seats),
        categories=layout.categories,
    )
    await store.publish_layout(seats)
    await store.add_auditorium(room)
    return await auditorium_shown(auditorium_id)


@managed.patch("/auditoriums/{auditorium_id}", responses=REFUSALS | documented(AuditoriumExists))
async def change_auditorium(
    auditorium_id: Id, body: AuditoriumUpdateRequest, staff: TheaterWriter
) -> AuditoriumResponse:
    """Change an auditorium, but not its seats."""
    await own_auditorium(staff, auditorium_id)
    await store.change_auditorium(auditorium_id, body.model_dump(exclude_none=True))
    return await auditorium_shown(auditorium_id)


@managed.post("/auditoriums/{auditorium_id}/layouts/preview", responses=REFUSALS | documented(LayoutInvalid))
async def preview_layout(auditorium_id: Id, body: LayoutRequest, staff: TheaterWriter) -> LayoutPreviewResponse:
    """Render a layout without publishing it, and list what would change."""
    await own_auditorium(staff, auditorium_id)
    layout, text = body.read()
    newest = await store.newest_layout(auditorium_id)
    before, after = _names(newest.seats), _names(layout.seats)
    return LayoutPreviewResponse(
        **dict(layout),
        text=text,
        keeping=await _keeping(auditorium_id, newest.id if newest.text == text else ""),
        added=[name for name in after if name not in before],
        dropped=[name for name in before if name not in after],
    )


async def _keeping(auditorium_id: str, layout_id: str) -> list[KeepingShowtime]:
    """The future showtimes with a different layout."""
    found = await store.future_showtimes_with_other_seats(auditorium_id, layout_id)
    counted = await store.occupancy_of([each["_id"] for each in found])
    return [_kept(each, *counted.get(each["_id"], (0, 0))) for each in found]


def _kept(showtime: Row, taken: int, sold: int) -> KeepingShowtime:
    return KeepingShowtime(showtime_id=showtime["_id"], taken=taken, sold=sold, **showtime)


def _names(seats: Sequence[PlacedSeat]) -> dict[str, None]:
    return dict.fromkeys(seat.full_name for seat in seats)


@managed.post(
    "/auditoriums/{auditorium_id}/layouts",
    status_code=201,
    responses=REFUSALS | documented(LayoutInvalid, ChangedMeanwhile),
)
async def publish_layout(auditorium_id: Id, body: LayoutRequest, staff: TheaterWriter) -> PublishedLayoutResponse:
    """Publish a new layout for an auditorium. Scheduled showtimes keep theirs; the answer lists
    them, with the seats that are sold.
    """
    await own_auditorium(staff, auditorium_id)
    layout, text = body.read()
    made = await store.publish_version(auditorium_id, layout, text)
    return PublishedLayoutResponse.model_validate(dict(made) | {"keeping": await _keeping(auditorium_id, made.id)})


@managed.get("/auditoriums/{auditorium_id}/layouts", responses=REFUSALS)
async def list_layouts(auditorium_id: Id, staff: TheaterWriter) -> LayoutVersionsResponse:
    """All versions of an auditorium's layout."""
    await own_auditorium(staff, auditorium_id)
    found = await store.layout_versions(auditorium_id)
    return LayoutVersionsResponse(items=[LayoutSummary.model_validate(each) for each in found])


@managed.get("/auditoriums/{auditorium_id}/layouts/{version}", responses=REFUSALS)
async def get_layout(auditorium_id: Id, version: Version, staff: TheaterWriter) -> LayoutResponse:
    """One version of an auditorium's layout."""
    await own_auditorium(staff, auditorium_id)
    return LayoutResponse.model_validate(await store.layout_version(auditorium_id, version))
