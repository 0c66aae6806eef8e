"""The waitlist's writes. Each one is guarded by the version of the waitlist, as it was read, and counts it.

So a party that leaves, another replica's round, and seats that become free are all decided by one write. Sales and
holds of other seats go on beside them: a round is also guarded by the seats that it offers.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from chassis.clock import now
from chassis.ids import new_id
from contracts.inventory import SeatsOffered, WaitlistEnded, WaitlistEvent, WaitlistJoined

from inventory.model import (
    MAX_PARTIES,
    OFFERS_PER_ROUND,
    AlreadyWaiting,
    Hold,
    HoldLimits,
    NoSuchSeats,
    NotWaiting,
    Round,
    SeatsAvailable,
    SeatState,
    ShowtimeBusy,
    ShowtimeDetails,
    WaitingParty,
    WaitingShowtime,
    WaitlistClosed,
    WaitlistFull,
    closes_at,
    joining_problem,
    network_problem,
    plan_round,
    seats_for,
)
from inventory.store import guards
from inventory.store.documents import ATTEMPTS, read_waiting, showtimes, stored, waiting_showtimes
from inventory.store.holds import IsOwner, set_held
from inventory.store.replica import Layout, Replica

ROUNDS_PER_RUN = 200


@dataclass(frozen=True)
class Place:
    """A party's place on the waitlist, with the hold of its current offer."""

    party: WaitingParty
    position: int
    offer: Hold | None
    closes_at: datetime


async def join_waitlist(replica: Replica, showtime_id: str, party: WaitingParty, limits: HoldLimits) -> Place:
    """Add the party to the waitlist. A party that is on it already stays as it is.

    An address has one place, and so has a holder who is bound to limits. Raises ShowtimeUnknown, SeatMapMissing,
    SalesClosed, WaitlistClosed, WaitlistFull, NetworkWaits, AlreadyWaiting, SeatsAvailable, NoSuchSeats and
    ShowtimeBusy.
    """
    layout, details = await replica.layout_of(showtime_id), await replica.details_of(showtime_id)
    for _ in range(ATTEMPTS):
        showtime, moment = await read_waiting(showtime_id), now()
        waiting = [each for each in showtime.waitlist if not showtime.has_served(each)]
        if known := next((each for each in waiting if each.email == party.email), None):
            if party.holder not in known.holders:
                raise AlreadyWaiting
            return _place(showtime, known)
        if party.keys and any(party.holder in each.holders for each in waiting):
            raise AlreadyWaiting(
                "You are already on this waitlist with another e-mail address. Leave it to change that."
            )
        if problem := joining_problem(showtime, moment):
            raise problem
        if details is None:
            raise WaitlistClosed
        _check_wishes(party, showtime, layout, details, moment)
        if problem := network_problem(party, waiting, limits):
            raise problem
        if len(waiting) >= MAX_PARTIES:
            raise WaitlistFull
        after = showtime.model_copy(update={"waitlist": [*waiting, party]})
        place = _place(after, party)
        joined = WaitlistJoined(
            **_mail(party, details, showtime),
            position=place.position,
            min_seats=party.smallest,
            max_seats=party.largest,
            closes_at=place.closes_at,
        )
        change = {
            "$set": {"waitlist": stored(after.waitlist), "waitlist_at": moment},
            "$inc": {"waitlist_version": 1},
        }
        where = {"_id": showtime_id, **guards.waitlist_is_unchanged(showtime)}
        if await showtimes.update(where, change, events=[joined]):
            return place
    raise ShowtimeBusy(retry_after=1)


def _check_wishes(
    party: WaitingParty, showtime: WaitingShowtime, layout: Layout, details: ShowtimeDetails, moment: datetime
) -> None:
    """Check that the auditorium has seats for the party, but not now. Raises NoSuchSeats and SeatsAvailable."""
    if unknown := sorted(set(party.categories) - layout.auditorium.categories):
        raise NoSuchSeats(f"This auditorium has no seats of the kind {', '.join(unknown)}.", categories=unknown)
    if seats_for(party, layout.auditorium, {}, details) is None:
        raise NoSuchSeats("No seats of this showtime match your choice.")
    is_waited_for = showtime.waitlist_at is not None
    states: dict[str, SeatState] = {
        seat: entry.state for seat, entry in showtime.taken.items() if is_waited_for or not entry.is_expired(moment)
    }
    if choice := seats_for(party, layout.auditorium, states, details):
        raise SeatsAvailable(f"Seats for {len(choice.seats)} are free. Please choose them now.", free=len(choice.seats))


async def place_of(showtime_id: str, is_owner: IsOwner) -> Place:
    """Return the caller's place. Raises ShowtimeUnknown, SeatMapMissing and NotWaiting."""
    showtime = await read_waiting(showtime_id)
    return _place(showtime, _own(showtime, lambda party: any(map(is_owner, party.holders)))[0])


async def places_of(showtime_id: str) -> list[Place]:
    """Return all places in their order. Raises ShowtimeUnknown and SeatMapMissing."""
    showtime = await read_waiting(showtime_id)
    return [_place(showtime, party) for party in showtime.in_turn() if not showtime.has_served(party)]


async def leave_waitlist(replica: Replica, showtime_id: str, is_own: Callable[[WaitingParty], bool]) -> None:
    """Remove the caller's parties. The seats of their offers go to the next parties, unless they are being paid for.

    Raises ShowtimeUnknown, SeatMapMissing, NotWaiting and ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        showtime = await read_waiting(showtime_id)
        own = _own(showtime, is_own)
        offers = [hold for party in own if party.hold_id and (hold := showtime.hold(party.hold_id))]
        given_up = [hold for hold in offers if not hold.pinned]
        pull = {
            "waitlist": {"id": {"$in": [party.id for party in own]}},
            "holds": {"id": {"$in": [hold.id for hold in given_up]}},
        }
        seats = [seat for hold in given_up for seat in showtime.seats_of(hold.id)]
        if await replica.change_seats(
            {
                "_id": showtime_id,
                **guards.waitlist_is_unchanged(showtime),
                **guards.offers_are_unchanged(given_up),
            },
            {"$pull": pull, "$inc": {"waitlist_version": 1}},
            seats,
            frees=seats,
        ):
            return
    raise ShowtimeBusy(retry_after=1)


def _own(showtime: WaitingShowtime, is_own: Callable[[WaitingParty], bool]) -> list[WaitingParty]:
    """Return the caller's parties in their order. Raises NotWaiting when there is none."""
    own = [party for party in showtime.in_turn() if is_own(party) and not showtime.has_served(party)]
    if not own:
        raise NotWaiting
    return own


async def forgive_offer(showtime_id: str, hold_id: str) -> None:
    """Restore the place of a party whose offer was never mailed. A repetition changes nothing.

    Raises ShowtimeUnknown, SeatMapMissing and ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        showtime = await read_waiting(showtime_id)
        if not any(hold_id in (each.hold_id, each.missed_hold_id) for each in showtime.waitlist):
            return
        parties = [
            each.without_miss(hold_id) if hold_id in (each.hold_id, each.missed_hold_id) else each
            for each in showtime.waitlist
        ]
        where = {"_id": showtime_id, **guards.waitlist_is_unchanged(showtime)}
        if await showtimes.update(where, {"$set": {"waitlist": stored(parties)}, "$inc": {"waitlist_version": 1}}):
            return
    raise ShowtimeBusy(retry_after=1)


async def with_due_rounds(moment: datetime) -> list[str]:
    """Return the ids of showtimes whose waitlist has a round to do, at most ROUNDS_PER_RUN."""
    due = {"waitlist_at": {"$lte": moment, "$type": "date"}}
    return [row["_id"] async for row in showtimes.rows(due, ("_id",), limit=ROUNDS_PER_RUN)]


async def run_round(replica: Replica, showtime_id: str) -> None:
    """Offer the seats that became free, put on sale what nobody wants, and end a waitlist that has closed.

    Raises ShowtimeUnknown, SeatMapMissing and ShowtimeBusy.
    """
    layout, details = await replica.layout_of(showtime_id), await replica.details_of(showtime_id)
    if details is None:
        return
    for _ in range(ATTEMPTS):
        showtime, moment = await read_waiting(showtime_id), now()
        if showtime.waitlist_at is None or showtime.waitlist_at > moment:
            return
        ids = [new_id() for _ in range(OFFERS_PER_ROUND)]
        plan = await _planned(plan_round(showtime, layout.auditorium, details, moment, ids))
        if await _carry_out(replica, showtime, plan, _events(showtime, plan, layout, details)):
            return
    raise ShowtimeBusy(retry_after=1)


async def _planned(steps: Generator[None, None, Round]) -> Round:
    """Return the plan. Other requests have their turn between two searches for seats."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        await asyncio.sleep(0)


async def _carry_out(replica: Replica, showtime: WaitingShowtime, plan: Round, events: Sequence[WaitlistEvent]) -> bool:
    """Write the plan with its mails. Returns False when what it was planned on has changed since the read."""
    change: dict[str, dict[str, Any]] = {"$set": {}, "$unset": {}, "$inc": {"waitlist_version": 1}}
    if plan.parties:
        change["$set"] |= {"waitlist": stored(plan.parties), "waitlist_at": plan.next_at}
    else:
        change["$unset"] |= {"waitlist": "", "waitlist_at": ""}
    for offer in plan.offers:
        change["$set"] |= set_held(offer.hold, offer.hold.seats)
    change["$unset"] |= {f"taken.{seat}": "" for seat in plan.on_sale}
    holds = [offer.hold.model_dump(exclude_none=True) for offer in plan.offers]
    offered = [seat for offer in plan.offers for seat in offer.hold.seats]
    update: dict[str, Any] = {operator: part for operator, part in change.items() if part}
    if holds:
        update["$push"] = {"holds": {"$each": holds}}
    where = {"_id": showtime.id, **guards.round_still_fits(showtime, plan, now())}
    return await replica.change_seats(where, update, [*offered, *plan.on_sale], events=events)


def _events(
    showtime: WaitingShowtime, plan: Round, layout: Layout, details: ShowtimeDetails
) -> Sequence[WaitlistEvent]:
    offers = [
        SeatsOffered(
            **_mail(party, details, showtime),
            hold_id=hold.id,
            seats=layout.details_of(hold.seats),
            amount=sum(details.price_of(layout.seats[seat].category) for seat in hold.seats),
            currency=details.currency,
            expires_at=hold.expires_at,
        )
        for party, hold in ((offer.party, offer.hold) for offer in plan.offers)
    ]
    ended = [WaitlistEnded(**_mail(party, details, showtime), reason=reason) for party, reason in plan.ended]
    return [*offers, *ended]


async def erase_waiting(replica: Replica, user_id: str) -> None:
    """Remove a person from all waitlists."""
    found = showtimes.rows(_waiting(user_id), ("_id",))
    for showtime_id in [row["_id"] async for row in found]:
        try:
            await leave_waitlist(replica, showtime_id, lambda party: party.holder.user_id == user_id)
        except NotWaiting:  # another replica was faster, or the seats are bought and the next round removes the place
            continue


async def waiting_of(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """Yield a person's places on waitlists, oldest first."""
    async for showtime in waiting_showtimes.find(_waiting(user_id), sort=[("_id", 1)]):
        for party in showtime.in_turn():
            if party.holder.user_id == user_id:
                kept = {"email", "locale", "smallest", "largest", "together", "categories", "max_price", "joined_at"}
                yield {"showtime_id": showtime.id, **party.model_dump(include=kept)}


def _waiting(user_id: str) -> dict[str, Any]:
    return {"waitlist.holder.user_id": {"$eq": user_id, "$type": "string"}}  # the type selects the partial index


def _place(showtime: WaitingShowtime, party: WaitingParty) -> Place:
    offer = showtime.hold(party.hold_id) if party.hold_id else None
    return Place(party, showtime.position_of(party.id), offer, closes_at(showtime.starts_at))


def _mail(party: WaitingParty, details: ShowtimeDetails, showtime: WaitingShowtime) -> dict[str, Any]:
    """Return the fields of a WaitlistEvent. The start is the current one."""
    return {
        "entry_id": party.id,
        "mail_id": party.hold_id or _mail_id(party.email, showtime.id),
        "showtime_id": showtime.id,
        "user_id": party.holder.user_id,
        "email": party.email,
        "locale": party.locale,
        "screening": details.screening.model_copy(update={"starts_at": showtime.starts_at}),
        "sealed_secret": party.sealed_secret,
    }


def _mail_id(email: str, showtime_id: str) -> str:
    """Return one id for an address and a showtime: who joins again and again gets one mail."""
    return sha256(f"{showtime_id} {email}".encode()).hexdigest()
