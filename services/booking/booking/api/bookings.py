"""Bookings: list and get."""

from typing import Annotated

from chassis.http.paging import Page, decode_cursor, encode_cursor
from chassis.http.problems import Forbidden, Unauthenticated, documented
from contracts.types import Id, KnownEmail
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from booking import store
from booking.api.access import CurrentCaller, LinkKey, Manager, Signer, visible_booking, visible_by_link
from booking.api.responses import BookingId, BookingResponse, Reference, to_response
from booking.model import BookingUnknown, LinkVoid, State

router = APIRouter(prefix="/api/bookings", tags=["bookings"])


class BookingFilter(BaseModel):
    """Filters and position of a list of bookings. The filters require staff permissions."""

    model_config = ConfigDict(extra="forbid")

    showtime_id: Id | None = None
    reference: Reference | None = None
    email: KnownEmail | None = None
    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


@router.get("", responses=documented(Unauthenticated, Forbidden))
async def list_bookings(
    caller: CurrentCaller, search: Annotated[BookingFilter, Query()], signer: Signer
) -> Page[BookingResponse]:
    """List the caller's own bookings, newest first; with a filter, all matching bookings (needs `bookings:read`).

    Staff who are limited to theaters find only bookings of these.
    """
    if caller.principal is None:
        raise Unauthenticated
    filters = search.model_dump(include={"showtime_id", "reference", "email"}, exclude_none=True)
    if filters and "bookings:read" not in caller.principal.permissions:
        raise Forbidden("Filtering other people's bookings requires the permission bookings:read.")
    position = decode_cursor(search.cursor, str)
    found = await store.page(
        filters or {"holder.user_id": caller.principal.user_id},
        caller.principal.theaters if filters else [],
        position[0] if position else None,
        search.limit + 1,
    )
    last = encode_cursor(found[search.limit - 1].id) if len(found) > search.limit else None
    return Page(items=[to_response(booking, signer) for booking in found[: search.limit]], next_cursor=last)


@router.get("/{booking_id}", responses=documented(Unauthenticated, BookingUnknown, LinkVoid))
async def get_booking(
    booking_id: BookingId, caller: CurrentCaller, key: LinkKey, manager: Manager, signer: Signer
) -> BookingResponse:
    """Get one booking. For its owner, with the guest secret or a mailed link's key, or staff with `bookings:read`."""
    booking = await (visible_by_link(caller, booking_id, key) if key else visible_booking(caller, booking_id))
    if booking.state is State.EXCHANGING:  # its tickets are valid as soon as the earlier booking's are void
        booking = await store.complete_exchange(manager, booking)
    return to_response(booking, signer, caller)
