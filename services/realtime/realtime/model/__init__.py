"""The live seat map, seat presence and the messages. No I/O; the time is a parameter."""

from realtime.model.presence import SeatPresence
from realtime.model.seat_map import (
    BookingState,
    Message,
    NotSubscribed,
    RecentChanges,
    SeatMap,
    ShownChange,
    ShowtimeNotReady,
    Snapshot,
    State,
    UnknownSeat,
    UnknownShowtime,
    booking_update,
    owner_key,
)

__all__ = [
    "BookingState",
    "Message",
    "NotSubscribed",
    "RecentChanges",
    "SeatMap",
    "SeatPresence",
    "ShownChange",
    "ShowtimeNotReady",
    "Snapshot",
    "State",
    "UnknownSeat",
    "UnknownShowtime",
    "booking_update",
    "owner_key",
]
