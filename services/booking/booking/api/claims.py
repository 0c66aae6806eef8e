"""Requests about a hold, which they identify by its claim. Inventory signed it, so booking need not read the hold."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from chassis.http.problems import Unauthenticated
from chassis.security.auth import Caller
from chassis.security.signed import NotSigned
from contracts.claims import HoldClaim
from contracts.types import Code, Holder, Id, SeatId
from pydantic import BaseModel, ConfigDict, Field

from booking import settings, store
from booking.model import (
    BookingUnknown,
    ClaimInvalid,
    ClaimRequired,
    ShowtimeNotReady,
    ShowtimeOffer,
    TicketsDoNotMatch,
)


class TicketChoice(BaseModel):
    """The ticket type for one held seat."""

    model_config = ConfigDict(extra="forbid")

    seat_id: SeatId
    ticket_type: Code


def check_unique_seats(seat_ids: Iterable[str]) -> None:
    """Raises TicketsDoNotMatch when a seat has two tickets."""
    if twice := sorted(seat_id for seat_id, count in Counter(seat_ids).items() if count > 1):
        raise TicketsDoNotMatch(f"There is more than one ticket for {', '.join(twice)}.", seats=twice)


class ClaimRequest(BaseModel):
    """Base class of requests that identify a hold by its claim."""

    model_config = ConfigDict(extra="forbid")

    claim: Annotated[
        str | None, Field(description="The `claim` of the hold. Required; inventory returns it with each hold.")
    ] = None
    hold_id: Annotated[
        Id | None, Field(description="No longer used: the claim contains the hold's id.", deprecated=True)
    ] = None

    def hold(self, caller: Caller) -> HoldClaim:
        """Verify the claim and return the hold. A guest's hold is the account's once its guest has signed in.

        Raises Unauthenticated, ClaimRequired, ClaimInvalid, and BookingUnknown when the hold is not the caller's.
        """
        if caller.principal is None and caller.secret is None:
            raise Unauthenticated
        if self.claim is None:
            raise ClaimRequired
        try:
            hold = settings.get().hold_claims.read(self.claim)
        except NotSigned as error:
            raise ClaimInvalid from error
        if not caller.owns(hold.holder):
            raise BookingUnknown
        if caller.principal and hold.holder.user_id is None:
            return hold.model_copy(update={"holder": Holder(user_id=caller.principal.user_id)})
        return hold


async def offer_of(hold: HoldClaim, showtimes: store.Showtimes) -> ShowtimeOffer:
    """The offer of the hold's showtime. Raises ShowtimeNotReady."""
    offer = await showtimes.offer_of(hold.showtime_id)
    if offer is None:
        raise ShowtimeNotReady(retry_after=2)
    return offer
