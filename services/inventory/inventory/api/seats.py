"""The route of the live seat map."""

from typing import Annotated

from chassis.clock import now
from chassis.http.problems import documented
from contracts.catalog import Aisle, OrphanRule, PlacedSeat, Point, ScreenSide
from contracts.types import Id, Moment, SeatId
from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from inventory import store
from inventory.api.http import ShowtimeId, ThisReplica
from inventory.model import (
    SeatMapMissing,
    SeatState,
    ShowtimeUnknown,
)

router = APIRouter(prefix="/api", tags=["inventory"])


class LayoutResponse(BaseModel):
    """An auditorium's seats on a grid of `columns` by `rows`. `screen` is the side on which the screen is."""

    layout_id: str
    auditorium_id: str
    columns: float
    rows: float
    seats: list[PlacedSeat]
    screen: ScreenSide = "top"
    focal_point: Point | None = None
    aisles: list[Aisle] = []


class SeatMapResponse(BaseModel):
    """A showtime's seats. Seats that are not in `taken` are free. `version` increases with every change."""

    showtime_id: Id
    version: int
    server_time: Moment
    starts_at: Moment
    sales_open_at: Moment
    sales_close_at: Moment
    cancelled: bool
    orphan_rule: OrphanRule = Field(description="Whether a selection may leave a single free seat")
    taken: dict[SeatId, SeatState]
    layout: LayoutResponse


@router.get(
    "/showtimes/{showtime_id}/seats",
    responses={
        200: {"model": SeatMapResponse},
        304: {"description": "The caller's copy with this ETag is still valid."},
    }
    | documented(ShowtimeUnknown, SeatMapMissing),
)
async def seat_map(
    showtime_id: ShowtimeId, replica: ThisReplica, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Return the seat map with the state of every seat. It is the same for all callers and never shows a holder."""
    moment = now()
    showtime = await store.seat_map_of(showtime_id)
    layout = await replica.layout(showtime["layout_id"])
    taken = store.live_states(showtime, moment)
    # Within one version, time can only free seats, so the number of taken seats identifies a state.
    etag = f'W/"{showtime["version"]}-{len(taken)}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if if_none_match == etag:
        return Response(status_code=304, headers=headers)
    states = {
        "showtime_id": showtime_id,
        "version": showtime["version"],
        "server_time": moment,
        **{name: showtime[name] for name in ("starts_at", "sales_open_at", "sales_close_at", "cancelled")},
        "orphan_rule": showtime.get("orphan_rule", "off"),
        "taken": taken,
    }
    # The layout is most of the response and never changes, so its JSON is created once per process.
    body = to_json(states)[:-1] + b',"layout":' + layout.json + b"}"
    return Response(body, media_type="application/json", headers=headers)
