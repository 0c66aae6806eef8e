"""Inventory's documents and the conditional writes that enforce the rules.

A showtime is one small hot document that contains only the seats that are not free. The guard of each write is part of
its filter; when nothing matches, a read finds out why. Guards are local (these seats, this hold) instead of the
document's version, so that requests for different seats do not conflict.
"""

from inventory.store.best import hold_best
from inventory.store.blocks import block_seats, unblock_seats
from inventory.store.checkout import (
    cancel_booking,
    expire_checkout,
    pin_hold,
    return_seats,
    sale_of_hold,
    sell_seats,
)
from inventory.store.documents import (
    DOCUMENTS,
    live_states,
    read,
    seat_map_of,
    showtimes,
)
from inventory.store.holds import (
    adopt_hold,
    change_hold,
    find_hold,
    hold,
    release_expired,
    release_hold,
    renew_hold,
    with_expired_holds,
)
from inventory.store.replica import Replica
from inventory.store.scheduling import add_showtime, cancel_showtime, reschedule_showtime, save_layout
from inventory.store.seat_updates import SeatBroadcaster, publish_seat_maps
from inventory.store.waitlist import (
    Place,
    erase_waiting,
    forgive_offer,
    join_waitlist,
    leave_waitlist,
    place_of,
    places_of,
    run_round,
    waiting_of,
    with_due_rounds,
)

__all__ = [
    "DOCUMENTS",
    "Place",
    "Replica",
    "SeatBroadcaster",
    "add_showtime",
    "adopt_hold",
    "block_seats",
    "cancel_booking",
    "cancel_showtime",
    "change_hold",
    "erase_waiting",
    "expire_checkout",
    "find_hold",
    "forgive_offer",
    "hold",
    "hold_best",
    "join_waitlist",
    "leave_waitlist",
    "live_states",
    "pin_hold",
    "place_of",
    "places_of",
    "publish_seat_maps",
    "read",
    "release_expired",
    "release_hold",
    "renew_hold",
    "reschedule_showtime",
    "return_seats",
    "run_round",
    "sale_of_hold",
    "save_layout",
    "seat_map_of",
    "sell_seats",
    "showtimes",
    "unblock_seats",
    "waiting_of",
    "with_due_rounds",
    "with_expired_holds",
]
