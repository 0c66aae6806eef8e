"""Choices that are refused for the sake of others: seats left alone, and seats that are kept for some."""

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
    """The seats that this choice would leave without a neighbour, as a problem; `states` are the seats of others.

    `strict` counts all of them, `lenient` does not mind one at the end of a row. A party with a wheelchair may sit
    where it can, and so may any other when no seats together of the same categories would do better.
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
        f"{', '.join(alone)} would be left alone. {', '.join(better.seats)} would do, for example.",
        seats=alone,
        instead=better.seats,
    )


def _forbidden(single: SingleSeats, rule: OrphanRule) -> list[str]:
    return [*single.between, *single.at_end] if rule == "strict" else single.between


def companion_seat_problem(
    auditorium: AuditoriumMap, seats: Sequence[str], states: Mapping[str, SeatState]
) -> SeatsKept | None:
    """The seats for companions that nobody who comes without a wheelchair can have yet, as a problem."""
    categories = {seat_id: auditorium.seat(seat_id).category for seat_id in seats}
    kept = [seat_id for seat_id, category in categories.items() if category == COMPANION]
    if not kept or WHEELCHAIR in categories.values() or is_released(auditorium, states):
        return None
    return SeatsKept(f"{', '.join(kept)} belongs to a place for a wheelchair.", seats=kept)
