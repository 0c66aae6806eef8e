"""Inventory's documents and the conditional writes that keep the rules true.

A showtime is one small hot document: only seats that are not free stand in it. Each write carries its guard in its
own filter; one that misses is followed by a read that says why. The guards are local (these seats, this hold), never
the document's version, so that people who want different seats do not get in each other's way.
"""

from inventory.store.best import hold_best
from inventory.store.blocks import block_seats, unblock_seats
from inventory.store.checkout import cancel_booking, expire_checkout, pin_hold, sale_of_hold, sell_seats
from inventory.store.documents import (
    DOCUMENTS,
    LayoutResponse,
    SeatLayout,
    Showtime,
    layout,
    layout_of,
    live_states,
    read,
    seat_map_of,
    showtime_info,
)
from inventory.store.holds import change_hold, expired_holds, find_hold, hold, release_expired, release_hold, renew_hold
from inventory.store.seat_updates import SeatBroadcaster, publish_seat_maps
from inventory.store.showtimes import add_showtime, cancel_showtime, reschedule_showtime, save_layout

__all__ = [
    "DOCUMENTS",
    "LayoutResponse",
    "SeatBroadcaster",
    "SeatLayout",
    "Showtime",
    "add_showtime",
    "block_seats",
    "cancel_booking",
    "cancel_showtime",
    "change_hold",
    "expire_checkout",
    "expired_holds",
    "find_hold",
    "hold",
    "hold_best",
    "layout",
    "layout_of",
    "live_states",
    "pin_hold",
    "publish_seat_maps",
    "read",
    "release_expired",
    "release_hold",
    "renew_hold",
    "reschedule_showtime",
    "sale_of_hold",
    "save_layout",
    "seat_map_of",
    "sell_seats",
    "showtime_info",
    "unblock_seats",
]
