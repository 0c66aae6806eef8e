"""What booking's events do to seats: pin, sell, take back."""

from collections.abc import Sequence
from datetime import datetime

from chassis.clock import now
from contracts.envelope import Event
from contracts.errors import RejectedEvent
from contracts.inventory import SaleRejected, SeatsSold

from inventory.model import Hold, Sale, SeatsUnknown, ShowtimeBusy, checked_seats, in_order
from inventory.store import guards
from inventory.store.documents import ATTEMPTS, Showtime, layout_of, read
from inventory.store.holds import changed_hold, give_back, let_go


async def pin(showtime_id: str, booking_id: str, seats: list[str], until: datetime) -> None:
    """Keep a checkout's seats until `until`, or say that it has no hold with exactly these seats.

    Nearly always the hold is as it should be, so nothing is read first. Raises ShowtimeUnknown and ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        if await _pin(showtime_id, booking_id, seats, until):
            return
        showtime = await read(showtime_id)
        hold = showtime.hold(booking_id)
        reason = showtime.why_not_pinned(booking_id, seats)
        if reason is None and (hold is None or hold.pinned):
            return
        if reason and await give_back(showtime, booking_id, reason, instead_of=seats):
            return
    raise ShowtimeBusy(retry_after=1)


async def _pin(showtime_id: str, booking_id: str, seats: list[str], until: datetime) -> bool:
    would_change = [{"pinned": False}, {"expires_at": {"$lt": until}}]
    return await Showtime.write(
        {
            "_id": showtime_id,
            "holds": {"$elemMatch": {"id": booking_id, "seats": seats, "$or": would_change}},
            **guards.seats_belong_to(seats, booking_id),
        },
        {
            "$set": {"holds.$.pinned": True, "holds.$.expires_at": until}
            | {f"taken.{seat}.until": until for seat in seats},
            "$inc": {"holds.$.revision": 1},
        },
    )


async def sell(showtime_id: str, booking_id: str, seats: list[str], user_id: str | None) -> None:
    """Give a paid booking all of its seats for good, or reject the sale and free what it still holds.

    Nearly always its hold is as it should be, so nothing is read first. Raises RejectedEvent when a seat does not
    exist, ShowtimeUnknown and ShowtimeBusy.
    """
    sold = SeatsSold(hold_id=booking_id, showtime_id=showtime_id, seats=seats, user_id=user_id)
    if await _sell_hold(sold):
        return
    for _ in range(ATTEMPTS):
        moment = now()
        showtime = await read(showtime_id)
        sale = showtime.sale(booking_id, seats, moment)
        if sale is None:
            return
        if sale.lost:
            rejected = SaleRejected(hold_id=booking_id, showtime_id=showtime_id, lost=sale.lost)
            if await give_back(showtime, booking_id, "cancelled", instead_of=seats, after=[rejected], for_good=True):
                return
        elif await _sell(showtime, sold, sale, moment):
            return
    raise ShowtimeBusy(retry_after=1)


async def _sell_hold(sold: SeatsSold) -> bool:
    """Turn a hold with exactly these seats into a sale."""
    booking_id, seats = sold.hold_id, sold.seats
    return await Showtime.write(
        {
            "_id": sold.showtime_id,
            "cancelled": False,
            "holds": {"$elemMatch": {"id": booking_id, "seats": seats}},
            **guards.seats_belong_to(seats, booking_id),
        },
        {"$set": _sold_to(booking_id, seats), "$pull": {"holds": {"id": booking_id}}},
        events=[sold],
    )


async def _sell(showtime: Showtime, sold: SeatsSold, sale: Sale, moment: datetime) -> bool:
    """Sell to a booking whose hold is gone or has other seats. False when something has changed since the read."""
    booking_id, seats = sold.hold_id, sold.seats
    try:
        checked_seats(seats, (await layout_of(showtime.id)).seats)
    except SeatsUnknown as error:
        raise RejectedEvent(error.detail) from error
    return await Showtime.write(
        {
            "_id": showtime.id,
            "cancelled": False,
            "ended": {"$ne": booking_id},
            **guards.owner_stands_as_read(showtime, booking_id),
            **guards.seats_are_free(seats, moment, booking_id),
        },
        {
            "$set": _sold_to(booking_id, seats),
            "$unset": {f"taken.{seat}": "" for seat in sale.spare},
            "$pull": {"holds": {"id": booking_id}},
        },
        events=[*await _adapted(showtime, showtime.hold(booking_id), seats, sale.spare), sold],
    )


async def _adapted(showtime: Showtime, hold: Hold | None, seats: Sequence[str], spare: Sequence[str]) -> list[Event]:
    """The hold takes the booking's shape before it becomes the sale, so that whoever draws it frees the spare seats."""
    if hold is None or not spare:
        return []
    after = hold.model_copy(update={"seats": list(seats), "revision": hold.revision + 1})
    return [await changed_hold(showtime.id, after, in_order(set(seats) - set(hold.seats)), spare)]


def _sold_to(booking_id: str, seats: Sequence[str]) -> dict[str, dict[str, str]]:
    return {f"taken.{seat}": {"by": booking_id, "state": "sold"} for seat in seats}


async def expire(showtime_id: str, booking_id: str) -> None:
    """Free the seats of a checkout that ended unpaid. Late money may have bought them since: a sale stays."""
    await let_go(showtime_id, booking_id, lambda hold, _: "cancelled" if hold else None)


async def cancel(showtime_id: str, booking_id: str) -> None:
    """Free the seats of a booking that was given up or taken back, held or sold."""
    await let_go(showtime_id, booking_id, lambda hold, own: "cancelled" if hold or own else None)
