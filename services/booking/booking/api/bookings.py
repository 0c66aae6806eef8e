"""Bookings: one's own, one of them, giving it up."""

from typing import Annotated

from chassis import telemetry
from chassis.paging import Page, decode_cursor, encode_cursor
from chassis.problems import Forbidden, Unauthenticated, documented
from contracts.types import Id
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from booking import model, store
from booking.api.access import LinkKey, Who, shown_by_link, visible
from booking.api.shapes import BookingId, BookingOut, Email, Reference, shown
from booking.links import LinkVoid
from booking.model import BookingBusy, BookingUnknown, Cancel, NotCancellable

router = APIRouter(prefix="/api/bookings", tags=["bookings"])


class Search(BaseModel):
    """Which bookings to list. The filters are for staff."""

    model_config = ConfigDict(extra="forbid")

    showtime_id: Id | None = None
    reference: Reference | None = None
    email: Email | None = None
    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


@router.get("", responses=documented(Unauthenticated, Forbidden))
async def list_bookings(who: Who, search: Annotated[Search, Query()]) -> Page[BookingOut]:
    """The caller's own bookings, the newest first; with a filter, everybody's that fit (takes `bookings:read`)."""
    if who.principal is None:
        raise Unauthenticated
    filters = search.model_dump(include={"showtime_id", "reference", "email"}, exclude_none=True)
    if filters and not who.may("bookings:read"):
        raise Forbidden("Looking through other people's bookings takes the permission bookings:read.")
    position = decode_cursor(search.cursor, str)
    found = await store.page(
        filters or {"holder.user_id": who.principal.user_id}, position[0] if position else None, search.limit + 1
    )
    last = encode_cursor(found[search.limit - 1].id) if len(found) > search.limit else None
    return Page(items=[shown(booking) for booking in found[: search.limit]], next_cursor=last)


@router.get("/{booking_id}", responses=documented(Unauthenticated, BookingUnknown, LinkVoid))
async def get_booking(booking_id: BookingId, who: Who, key: LinkKey) -> BookingOut:
    """One booking: its owner, a holder of its guest secret or of a mailed link's key, or staff with `bookings:read`."""
    return shown(await (shown_by_link(who, booking_id, key) if key else visible(who, booking_id)), who)


@router.post(
    "/{booking_id}/cancel",
    responses=documented(Unauthenticated, Forbidden, BookingUnknown, NotCancellable, BookingBusy),
)
async def cancel_booking(booking_id: BookingId, who: Who) -> BookingOut:
    """Give up a booking that is not paid. While money may still be on its way it is `closing` first.

    Its owner, a holder of its guest secret, or staff with `bookings:write`. Again changes nothing.
    """
    telemetry.about(booking_id)
    booking = await visible(who, booking_id)
    if not who.owns(booking.holder) and not who.may("bookings:write"):
        raise Forbidden("Cancelling somebody's booking takes the permission bookings:write.")

    async def choose(booking: model.Booking) -> Cancel:
        if refusal := model.refuse_cancel(booking):
            raise refusal
        return Cancel("by_customer" if who.owns(booking.holder) else "by_staff")

    return shown(await store.drive(booking_id, choose), who)
