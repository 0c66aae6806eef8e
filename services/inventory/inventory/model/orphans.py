"""Refused choices: seats that leave a single seat free, and reserved companion seats without a wheelchair space."""

from collections.abc import Mapping, Sequence

from contracts.catalog import OrphanRule

from inventory.model.auditorium import (
    COMPANION,
    PENALTY_AT_END,
    PENALTY_BETWEEN,
    WHEELCHAIR,
    AuditoriumMap,
    SingleSeats,
)
from inventory.model.best import Party, best_available, is_released
from inventory.model.problems import SeatsKept, SingleSeatLeft
from inventory.model.seating import SeatState


def single_seat_problem(
    auditorium: AuditoriumMap, rule: OrphanRule, seats: Sequence[str], states: Mapping[str, SeatState]
) -> SingleSeatLeft | None:
    """Return a problem when the choice would leave single seats. `states` are the seats of others.

    `strict` refuses every single seat, `lenient` allows one at the end of a row. Parties with a wheelchair are never
    refused; nor is any other party when no seats together in the same categories would be better.
    """
    if rule == "off" or not seats:
        return None
    categories = {auditorium.seat(seat_id).category for seat_id in seats}
    alone = _forbidden(auditorium.single_seats_after(seats, states), rule)
    if not alone or WHEELCHAIR in categories:
        return None
    better = best_available(auditorium, states, Party(len(seats), frozenset(categories)))
    if (
        better is None
        or not better.is_together
        or better.penalty >= (PENALTY_AT_END if rule == "strict" else PENALTY_BETWEEN)
    ):
        return None
    return SingleSeatLeft(
        f"Single seats left: {auditorium.names_of(alone)}. Available instead: {auditorium.names_of(better.seats)}.",
        seats=alone,
        instead=better.seats,
    )


def _forbidden(single: SingleSeats, rule: OrphanRule) -> list[str]:
    return [*single.between, *single.at_end] if rule == "strict" else single.between


def companion_seat_problem(
    auditorium: AuditoriumMap, seats: Sequence[str], states: Mapping[str, SeatState]
) -> SeatsKept | None:
    """Return a problem when the choice has reserved companion seats without a wheelchair space."""
    categories = {seat_id: auditorium.seat(seat_id).category for seat_id in seats}
    kept = [seat_id for seat_id, category in categories.items() if category == COMPANION]
    if not kept or WHEELCHAIR in categories.values() or is_released(auditorium, states):
        return None
    return SeatsKept(f"Reserved for companions: {auditorium.names_of(kept)}.", seats=kept)
