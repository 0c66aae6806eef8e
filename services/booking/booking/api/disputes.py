"""The list of disputes, for staff."""

from datetime import datetime
from typing import Annotated

from chassis.http.paging import CursorInvalid, Page, decode_cursor, encode_cursor
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.security.auth import Principal, require
from contracts.types import Amount, Currency, Id, StorableMoment
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from booking import store

router = APIRouter(prefix="/api/bookings", tags=["bookings"])
_TIME: TypeAdapter[datetime] = TypeAdapter(StorableMoment)


class DisputeFilter(BaseModel):
    """Which disputes, and the position in the list."""

    model_config = ConfigDict(extra="forbid")

    is_open: Annotated[bool, Field(description="Whether the bank has not decided yet.")] = True
    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class DisputeResponse(BaseModel):
    """A dispute: the customer's bank asks for the money back. `amount` is in minor units.

    `status` and `reason` are Stripe's. A dispute that `needs_response` is lost unless staff answer it at Stripe until
    `respond_by`. An inquiry comes before a dispute as `warning_…`. A refund may wait until the dispute is `won`.
    """

    dispute_id: str = Field(validation_alias="id", examples=["dp_1MtJUT2eZvKYlo2CNaw2HvEv"])
    booking_id: Id
    reference: str | None
    theater_id: Id | None
    movie_title: str | None
    starts_at: datetime | None
    amount: Amount
    currency: Currency
    status: str = Field(examples=["needs_response", "under_review", "won", "lost"])
    is_open: bool
    reason: str | None = Field(examples=["fraudulent"])
    respond_by: datetime | None
    opened_at: datetime
    changed_at: datetime


@router.get("/disputes", responses=documented(Unauthenticated, Forbidden, CursorInvalid))
async def list_disputes(
    who: Annotated[Principal, Depends(require("bookings:refund"))], search: Annotated[DisputeFilter, Query()]
) -> Page[DisputeResponse]:
    """List the disputes at the caller's theaters: open ones the oldest first, the others the newest first."""
    found = await store.dispute_page(
        is_open=search.is_open, theaters=who.theaters, after=_position(search.cursor), limit=search.limit + 1
    )
    shown = found[: search.limit]
    last = encode_cursor(shown[-1].opened_at.isoformat(), shown[-1].id) if len(found) > search.limit else None
    return Page(items=[DisputeResponse.model_validate(dict(each)) for each in shown], next_cursor=last)


def _position(cursor: str | None) -> tuple[datetime, str] | None:
    """Read the cursor. Raises CursorInvalid."""
    position = decode_cursor(cursor, str, str)
    if position is None:
        return None
    try:
        return _TIME.validate_python(position[0]), position[1]
    except ValidationError as error:
        raise CursorInvalid from error
