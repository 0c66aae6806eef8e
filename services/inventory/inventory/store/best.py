"""Choosing the best available seats and holding them in one write."""

import secrets

from chassis.clock import now

from inventory.model import (
    COMPANIONS,
    AuditoriumMap,
    Choice,
    Hold,
    HoldLimits,
    HoldOwner,
    NoSuchSeats,
    NotEnoughSeats,
    Party,
    Seating,
    ShowtimeBusy,
    TooManyCompanions,
    available_seats,
    best_available,
    in_order,
    validate_seats,
)
from inventory.store.documents import live_states, seat_map_of
from inventory.store.holds import raise_unpaid_checkout, try_hold
from inventory.store.replica import Replica

SPREAD, ATTEMPTS = 4, 20
"""After each lost race, the next attempt picks among SPREAD times as many of the best choices, because others retry as
well. Each lost race means that another request succeeded, so only a very large crowd uses up all attempts.
"""


async def hold_best(
    replica: Replica, showtime_id: str, owner: HoldOwner, party: Party, limits: HoldLimits
) -> tuple[Hold, Choice]:
    """Hold the best seats for a party; `Choice.is_together` is False when the party had to be split.

    Raises ShowtimeUnknown, SeatMapMissing, NoSuchSeats, SeatsUnknown, TooManyCompanions, SalesClosed, NotEnoughSeats,
    TooManyHolds, NetworkIsFull, CheckoutUnpaid and ShowtimeBusy.
    """
    layout = await replica.layout_of(showtime_id)
    _check_party(party, layout.auditorium)
    async with replica.limiter.reserved(owner.keys, party.size, limits) as reservation:
        for attempt in range(ATTEMPTS):
            showtime, moment = await seat_map_of(showtime_id), now()
            if problem := Seating.model_validate(showtime | {"taken": {}}).sales_problem(moment):
                raise problem
            states = live_states(showtime, moment)
            choice = best_available(layout.auditorium, states, party, nth=secrets.randbelow(SPREAD**attempt))
            if choice is None:
                raise NotEnoughSeats(free=len(available_seats(layout.auditorium, states, party)))
            if held := await try_hold(
                replica, showtime_id, owner, in_order(choice.seats), reservation, relies_on=choice.relies_on
            ):
                return held, choice
            await raise_unpaid_checkout(showtime_id, owner)
        raise ShowtimeBusy(retry_after=1)


def _check_party(party: Party, auditorium: AuditoriumMap) -> None:
    """Check that the auditorium can have seats for this party.

    Raises NoSuchSeats, SeatsUnknown and TooManyCompanions.
    """
    if party.wheelchairs and party.size - party.wheelchairs > (most := COMPANIONS * party.wheelchairs):
        raise TooManyCompanions(limit=most)
    if party.near:
        validate_seats([party.near], auditorium.positions)
    seats = [seat for run in auditorium.runs for seat in run.seats]
    if not any(party.accepts(seat, released=True) for seat in seats):
        raise NoSuchSeats
