"""The saga hold → pay → confirm: its table, the parts of its transitions, and the function that applies a row."""

from booking.saga.effects import UnexpectedEvent, WrongAmount, new_booking
from booking.saga.table import EARLY, IGNORED, LIVE, TRANSITIONS, Transition, Trigger
from booking.saga.transition import Outcome, advance, name_of

__all__ = [
    "EARLY",
    "IGNORED",
    "LIVE",
    "TRANSITIONS",
    "Outcome",
    "Transition",
    "Trigger",
    "UnexpectedEvent",
    "WrongAmount",
    "advance",
    "name_of",
    "new_booking",
]
