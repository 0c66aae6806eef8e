"""Access checks for staff. Staff who are limited to theaters can act only there."""

from typing import Annotated

from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.security.auth import Principal, require, require_everywhere
from contracts.types import Id
from fastapi import Depends
from pydantic import BaseModel, ConfigDict

from catalog import store
from catalog.model.problems import NotFound

TheaterWriter = Annotated[Principal, Depends(require("theaters:write"))]
PriceWriter = Annotated[Principal, Depends(require("prices:write"))]
ShowtimeWriter = Annotated[Principal, Depends(require("showtimes:write"))]
CatalogWriter = Annotated[Principal, Depends(require_everywhere("catalog:write"))]
REFUSALS = documented(Unauthenticated, Forbidden, NotFound)


class Body(BaseModel):
    """A request body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


def check_theater(staff: Principal, theater_id: str) -> None:
    """Raises Forbidden when the person is limited to other theaters."""
    if not staff.works_at(theater_id):
        raise Forbidden("You do not have access to this theater.")


async def own_theater(staff: Principal, theater_id: Id) -> store.Theater:
    """The theater. Raises Forbidden and NotFound."""
    check_theater(staff, theater_id)
    return await store.theater_of(theater_id)


async def own_auditorium(staff: Principal, auditorium_id: Id) -> store.Auditorium:
    """The auditorium. Raises Forbidden and NotFound."""
    auditorium = await store.auditorium_of(auditorium_id)
    check_theater(staff, auditorium.theater_id)
    return auditorium


async def own_showtime(staff: Principal, showtime_id: Id) -> store.Showtime:
    """The showtime. Raises Forbidden and NotFound."""
    showtime = await store.published(showtime_id)
    check_theater(staff, showtime.theater_id)
    return showtime
