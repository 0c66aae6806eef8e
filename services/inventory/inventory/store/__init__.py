"""Inventory's documents and the conditional writes that keep the rules true.

A showtime is one small hot document: only seats that are not free stand in it. Each write carries its guard in its
own filter; one that misses is followed by a read that says why. The guards are local (these seats, this hold), never
the document's version, so that people who want different seats do not get in each other's way.
"""

from inventory.store.best import hold_best
from inventory.store.blocks import block, unblock
from inventory.store.checkout import cancel, expire, pin, sale_of_hold, sell
from inventory.store.documents import (
    DOCUMENTS,
    LayoutView,
    SeatLayout,
    Showtime,
    layout,
    layout_of,
    live_states,
    place_of,
    read,
    seat_map_of,
)
from inventory.store.holds import change, hold, lapse, lapsed_holds, own_hold, release, renew
from inventory.store.program import cancel_showtime, publish_layout, reschedule, schedule
from inventory.store.screens import Screens, publish_seat_maps

__all__ = [
    "DOCUMENTS",
    "LayoutView",
    "Screens",
    "SeatLayout",
    "Showtime",
    "block",
    "cancel",
    "cancel_showtime",
    "change",
    "expire",
    "hold",
    "hold_best",
    "lapse",
    "lapsed_holds",
    "layout",
    "layout_of",
    "live_states",
    "own_hold",
    "pin",
    "place_of",
    "publish_layout",
    "publish_seat_maps",
    "read",
    "release",
    "renew",
    "reschedule",
    "sale_of_hold",
    "schedule",
    "seat_map_of",
    "sell",
    "unblock",
]
