"""The saga hold → pay → confirm: its table, the parts of its transitions, and the function that applies a row."""

from booking.saga.amendments import (
    UNSETTLED,
    Amendment,
    adopt,
    adoption,
    change_email,
    keep_tickets,
    record_passed_on,
    refuse_exchange,
    send_again,
)
from booking.saga.effects import UnexpectedEvent, WrongAmount, new_booking, refunded_booking
from booking.saga.table import EARLY, IGNORED, LIVE, TRANSITIONS, Transition, Trigger
from booking.saga.transition import Outcome, advance, name_of

__all__ = [
    "EARLY",
    "IGNORED",
    "LIVE",
    "TRANSITIONS",
    "UNSETTLED",
    "Amendment",
    "Outcome",
    "Transition",
    "Trigger",
    "UnexpectedEvent",
    "WrongAmount",
    "adopt",
    "adoption",
    "advance",
    "change_email",
    "keep_tickets",
    "name_of",
    "new_booking",
    "record_passed_on",
    "refunded_booking",
    "refuse_exchange",
    "send_again",
]
