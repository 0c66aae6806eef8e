"""The effects of booking's and payment's events on seats: pin, sell, release.

One write decides between payment, cancellation, expiry and other buyers, so that events can arrive in any order.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chassis.clock import now
from contracts.errors import RejectedEvent
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold

from inventory.model import (
    CouchDivided,
    Hold,
    SaleDecision,
    SeatsUnknown,
    Showtime,
    ShowtimeBusy,
    check_couches,
    holder_key,
    validate_seats,
)
from inventory.store import guards
from inventory.store.documents import ATTEMPTS, lapsed_holds, read, showtimes
from inventory.store.holds import find_hold, pull_sold, record_lapse, release_seats, set_held, set_hold
from inventory.store.replica import Replica


async def pin_hold(replica: Replica, showtime_id: str, wanted: Hold) -> None:
    """Pin a checkout's hold as `wanted`, or publish that there is no hold with exactly these seats.

    The hold is nearly always live, so the first write needs no read. An expired hold is pinned as well if all of its
    seats are still free. A hold that its holder has released is not pinned, nor is a second checkout of the holder.
    Raises RejectedEvent when a seat does not exist or only half a couch is wanted, ShowtimeUnknown and
    ShowtimeBusy.
    """
    booking_id, seats = wanted.id, wanted.seats
    for _ in range(ATTEMPTS):
        moment = now()
        if await _pin(showtime_id, wanted, moment):
            return
        showtime = await read(showtime_id)
        hold = showtime.hold(booking_id)
        if showtime.is_settled(booking_id) or (hold and hold.pinned):
            return
        lapsed = None if hold else await lapsed_holds.get(booking_id)
        if lapsed:
            wanted.keys = lapsed.keys
        if reason := showtime.pin_failure(wanted, moment, has_lapsed=lapsed is not None):
            released = SeatsReleased(
                hold_id=booking_id, showtime_id=showtime_id, seats=showtime.seats_of(booking_id), reason=reason
            )
            if await release_seats(
                replica, showtime, booking_id, guarded_seats=seats, record_in="closed", events=[released]
            ):
                return
        elif await _pin_expired(replica, showtime, wanted, moment):
            return
    raise ShowtimeBusy(retry_after=1)


async def _pin(showtime_id: str, wanted: Hold, moment: datetime) -> bool:
    """Pin a live hold with exactly these seats. The seats stay held, so there is nothing to broadcast."""
    live = {"id": wanted.id, "seats": wanted.seats, "pinned": False, "expires_at": {"$gt": moment}}
    until = wanted.expires_at
    return await showtimes.update(
        {
            "_id": showtime_id,
            "holds": {"$elemMatch": live},
            **guards.seats_belong_to(wanted.seats, wanted.id),
            **guards.has_no_checkout(holder_key(wanted.holder), moment, wanted.id),
        },
        {
            "$set": {"holds.$.pinned": True, "holds.$.expires_at": until}
            | {f"taken.{seat}.until": until for seat in wanted.seats},
            "$inc": {"holds.$.revision": 1},
        },
    )


async def _pin_expired(replica: Replica, showtime: Showtime, wanted: Hold, moment: datetime) -> bool:
    """Pin an expired hold, which may already be released. Returns False when something has changed since the read.

    Without a hold, the booking's own seats do not count as free, because it has bought them.
    """
    await _check_seats(replica, showtime, wanted.seats)
    hold = showtime.hold(wanted.id)
    update: dict[str, Any]
    if hold is None:
        update = {"$set": set_held(wanted, wanted.seats), "$push": {"holds": wanted.model_dump(exclude_none=True)}}
    else:
        pinned = hold.model_copy(
            update={"pinned": True, "expires_at": wanted.expires_at, "revision": hold.revision + 1}
        )
        update = {"$set": set_held(pinned, pinned.seats) | set_hold(pinned)}
    return await replica.change_seats(
        {
            "_id": showtime.id,
            "cancelled": False,
            **guards.is_not_ended(wanted.id),
            **guards.is_not_closed(wanted.id),
            **guards.owner_is_unchanged(showtime, wanted.id),
            **guards.seats_are_free(wanted.seats, moment, wanted.id if hold else ""),
            **guards.has_no_checkout(holder_key(wanted.holder), moment, wanted.id),
        },
        update,
        wanted.seats,
    )


async def sell_seats(replica: Replica, sale: SeatsSold) -> None:
    """Sell all of its seats to a paid booking, or reject the sale and release the seats that it still holds.

    The hold nearly always has these seats, so the first write needs no read. Raises RejectedEvent when a seat does not
    exist or only half a couch is wanted, ShowtimeUnknown and ShowtimeBusy.
    """
    if await _sell_hold(replica, sale):
        return
    for _ in range(ATTEMPTS):
        moment = now()
        showtime = await read(sale.showtime_id)
        result = showtime.decide_sale(sale.hold_id, sale.seats, moment)
        if result is None:
            return
        if result.lost:
            if await _reject(replica, showtime, sale, result):
                return
        elif await _sell_seats(replica, showtime, sale, result, moment):
            return
    raise ShowtimeBusy(retry_after=1)


async def sale_of_hold(hold_id: str, amount: int, currency: str) -> SeatsSold:
    """Return the sale of a hold's seats to its holder, for a payment without seats. Raises HoldUnknown."""
    showtime_id, hold = await find_hold(hold_id, lambda _: True)
    return SeatsSold(
        hold_id=hold_id,
        showtime_id=showtime_id,
        seats=hold.seats,
        user_id=hold.holder.user_id,
        amount=amount,
        currency=currency,
    )


async def _sell_hold(replica: Replica, sale: SeatsSold) -> bool:
    """Turn a hold with exactly these seats into a sale."""
    booking_id, seats = sale.hold_id, sale.seats
    return await replica.change_seats(
        {
            "_id": sale.showtime_id,
            "cancelled": False,
            "holds": {"$elemMatch": {"id": booking_id, "seats": seats}},
            **guards.seats_belong_to(seats, booking_id),
        },
        {"$set": _set_sold(booking_id, seats), "$pull": pull_sold(booking_id)},
        seats,
        events=[sale],
    )


async def _sell_seats(
    replica: Replica, showtime: Showtime, sale: SeatsSold, result: SaleDecision, moment: datetime
) -> bool:
    """Sell to a booking whose hold has ended or has other seats. Returns False when something has changed since the
    read.
    """
    booking_id, seats = sale.hold_id, sale.seats
    await _check_seats(replica, showtime, seats)
    return await replica.change_seats(
        {
            "_id": showtime.id,
            "cancelled": False,
            **guards.is_not_ended(booking_id),
            **guards.owner_is_unchanged(showtime, booking_id, seats),
            **guards.seats_are_free(seats, moment, booking_id),
        },
        {
            "$set": _set_sold(booking_id, seats),
            "$pull": pull_sold(booking_id),
        },
        [*seats, *result.to_release],
        frees=result.to_release,
        events=[sale],
    )


async def _reject(replica: Replica, showtime: Showtime, sale: SeatsSold, result: SaleDecision) -> bool:
    """Publish that the money must be refunded, and release the booking's seats.

    A booking that has ended is rejected each time it is paid. Returns False when something has changed since the read.
    """
    rejected = SaleRejected(hold_id=sale.hold_id, showtime_id=showtime.id, lost=result.lost)
    if sale.hold_id in showtime.ended:
        return await showtimes.update({"_id": showtime.id}, {}, events=[rejected])
    return await release_seats(
        replica, showtime, sale.hold_id, guarded_seats=sale.seats, record_in="ended", events=[rejected]
    )


async def _check_seats(replica: Replica, showtime: Showtime, seats: Sequence[str]) -> None:
    layout = await replica.layout_of(showtime.id)
    try:
        validate_seats(seats, layout.seats)
        check_couches(seats, layout.auditorium)
    except (SeatsUnknown, CouchDivided) as error:
        raise RejectedEvent(error.detail) from error


def _set_sold(booking_id: str, seats: Sequence[str]) -> Mapping[str, dict[str, str]]:
    return {f"taken.{seat}": {"by": booking_id, "state": "sold"} for seat in seats}


async def expire_checkout(replica: Replica, showtime_id: str, booking_id: str) -> None:
    """Release the seats of a checkout that ended unpaid. A late payment may have bought them since; a sale stays.

    Raises ShowtimeUnknown and ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        showtime = await read(showtime_id)
        if showtime.is_settled(booking_id):
            return
        if hold := showtime.hold(booking_id):
            await record_lapse(hold)
        if await release_seats(replica, showtime, booking_id, record_in="closed"):
            return
    raise ShowtimeBusy(retry_after=1)


async def cancel_booking(replica: Replica, showtime_id: str, booking_id: str, seats: Sequence[str]) -> None:
    """Release the seats of a cancelled or exchanged booking, held or sold. Later payments are rejected.

    `seats` are the booking's seats: a late payment may buy them between the read and the write, even without a hold.
    Raises ShowtimeUnknown and ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        showtime = await read(showtime_id)
        if booking_id in showtime.ended:
            return
        if await release_seats(replica, showtime, booking_id, guarded_seats=seats, record_in="ended"):
            return
    raise ShowtimeBusy(retry_after=1)


async def return_seats(replica: Replica, showtime_id: str, booking_id: str, seats: Sequence[str]) -> None:
    """Release these seats as far as they still belong to the booking: a repeat must not free another buyer's seat.

    Raises ShowtimeUnknown and ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        showtime = await read(showtime_id)
        own = [seat for seat in showtime.seats_of(booking_id) if seat in seats]
        if not own or await replica.change_seats(
            {"_id": showtime_id, **guards.seats_belong_to(own, booking_id)}, {}, own, frees=own
        ):
            return
    raise ShowtimeBusy(retry_after=1)
