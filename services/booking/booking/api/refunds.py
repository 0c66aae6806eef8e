"""The list of unsettled refunds, for staff."""

from datetime import datetime
from typing import Annotated, Literal

from chassis.http.paging import CursorInvalid, Page, decode_cursor, encode_cursor
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.security.auth import Principal, require
from contracts.types import Currency, Id
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from booking import store
from booking.api.responses import RefundResponse, to_refund
from booking.model import Booking

router = APIRouter(prefix="/api/bookings", tags=["bookings"])


class RefundFilter(BaseModel):
    """Which refunds, and the position in the list."""

    model_config = ConfigDict(extra="forbid")

    state: Annotated[
        Literal["failed", "requested"],
        Field(description="`failed`: staff must repeat it. `requested`: the provider has not accepted it yet."),
    ] = "failed"
    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class UnsettledRefundsResponse(BaseModel):
    """A booking with its refunds of the wanted state. `is_disputed`: they wait for the end of a dispute."""

    booking_id: Id
    reference: str | None
    theater_id: Id | None
    movie_title: str | None
    starts_at: datetime | None
    currency: Currency | None
    is_disputed: bool
    refunds: list[RefundResponse]


@router.get("/refunds", responses=documented(Unauthenticated, Forbidden, CursorInvalid))
async def list_refunds(
    who: Annotated[Principal, Depends(require("bookings:refund"))], search: Annotated[RefundFilter, Query()]
) -> Page[UnsettledRefundsResponse]:
    """List the failed refunds, or those under way, of the bookings at the caller's theaters: the oldest first."""
    position = decode_cursor(search.cursor, str)
    found = await store.refund_page(search.state, who.theaters, position[0] if position else None, search.limit + 1)
    shown = found[: search.limit]
    last = encode_cursor(shown[-1].id) if len(found) > search.limit else None
    return Page(items=[_shown(booking, search.state) for booking in shown], next_cursor=last)


def _shown(booking: Booking, state: store.Unsettled) -> UnsettledRefundsResponse:
    wanted = [each for each in booking.refunds if each.is_requested and each.state == state and not each.repeated_as]
    screening = booking.screening
    return UnsettledRefundsResponse(
        booking_id=booking.id,
        reference=booking.reference,
        theater_id=booking.theater_id,
        movie_title=screening and screening.movie_title,
        starts_at=screening and screening.starts_at,
        currency=booking.currency,
        is_disputed=booking.is_disputed,
        refunds=[to_refund(refund, is_staff=True) for refund in wanted],
    )
