"""The waitlist's writes. Each one is guarded by the version of the whole showtime, as it was read.

So a party that leaves, another replica's round, a sale and a hold are all decided by one write. Showtimes with a
waitlist are sold out, so these writes seldom miss; the others have their local guards as before.
"""

from collections.abc import AsyncIterator, Callable, Sequence
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
    plan_round,
    seats_for,
)
from inventory.store import guards
from inventory.store.documents import ATTEMPTS, raise_missing, showtimes, waiting_showtimes
from inventory.store.holds import IsOwner, pull_hold, set_held
from inventory.store.replica import Layout, Replica

ROUNDS_PER_RUN = 200


@dataclass(frozen=True)
class Place:
    """A party's place on the waitlist, with the hold of its current offer."""

    party: WaitingParty
    position: int
    offer: Hold | None
    closes_at: datetime


async def join_waitlist(replica: Replica, showtime_id: str, party: WaitingParty) -> Place:
    """Add the party to the waitlist. A party that is on it already stays as it is.

    Raises ShowtimeUnknown, SeatMapMissing, SalesClosed, WaitlistClosed, WaitlistFull, AlreadyWaiting, SeatsAvailable,
    NoSuchSeats and ShowtimeBusy.
    """
    layout, details = await replica.layout_of(showtime_id), await replica.details_of(showtime_id)
    for _ in range(ATTEMPTS):
        version, showtime = await _read(showtime_id)
        moment = now()
        known = next((each for each in showtime.waitlist if each.email == party.email), None)
        if known and not showtime.has_served(known):
            if party.holder not in known.holders:
                raise AlreadyWaiting
            return _place(showtime, known)
        if problem := joining_problem(showtime, moment):
            raise problem
        if details is None:
            raise WaitlistClosed
        _check_wishes(party, showtime, layout, details, moment)
        if len(showtime.waitlist) >= MAX_PARTIES:
            raise WaitlistFull
        others = [each for each in showtime.waitlist if each is not known]
        after = showtime.model_copy(update={"waitlist": [*others, party]})
        place = _place(after, party)
        joined = WaitlistJoined(
            **_mail(party, details, showtime),
            position=place.position,
            min_seats=party.smallest,
            max_seats=party.largest,
            closes_at=place.closes_at,
        )
        change = {"$set": {"waitlist": [_stored(each) for each in after.waitlist], "waitlist_at": moment}}
        where = {"_id": showtime_id, **guards.is_unchanged(version)}
        if await showtimes.update(where, change, events=[joined]):
            return place
    raise ShowtimeBusy(retry_after=1)


def _check_wishes(
    party: WaitingParty, showtime: WaitingShowtime, layout: Layout, details: ShowtimeDetails, moment: datetime
) -> None:
    """Check that the auditorium has seats for the party, but not now. Raises NoSuchSeats and SeatsAvailable."""
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
    _, showtime = await _read(showtime_id)
    return _place(showtime, _own(showtime, lambda party: any(map(is_owner, party.holders))))


async def places_of(showtime_id: str) -> list[Place]:
    """Return all places in their order. Raises ShowtimeUnknown and SeatMapMissing."""
    _, showtime = await _read(showtime_id)
    return [_place(showtime, party) for party in showtime.in_turn() if not showtime.has_served(party)]


async def leave_waitlist(replica: Replica, showtime_id: str, is_own: Callable[[WaitingParty], bool]) -> None:
    """Remove a party. The seats of its offer go to the next parties, unless they are being paid for.

    Raises ShowtimeUnknown, SeatMapMissing, NotWaiting and ShowtimeBusy.
    """
    for _ in range(ATTEMPTS):
        version, showtime = await _read(showtime_id)
        party = _own(showtime, is_own)
        offer = showtime.hold(party.hold_id) if party.hold_id else None
        given_up = offer if offer and not offer.pinned else None
        pull: dict[str, Any] = {"waitlist": {"id": party.id}}
        if given_up:
            pull |= pull_hold(given_up.id)
        seats = showtime.seats_of(given_up.id) if given_up else []
        if await replica.change_seats(
            {"_id": showtime_id, **guards.is_unchanged(version)}, {"$pull": pull}, seats, frees=seats
        ):
            return
    raise ShowtimeBusy(retry_after=1)


def _own(showtime: WaitingShowtime, is_own: Callable[[WaitingParty], bool]) -> WaitingParty:
    own = next((party for party in showtime.in_turn() if is_own(party) and not showtime.has_served(party)), None)
    if own is None:
        raise NotWaiting
    return own


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
        version, showtime = await _read(showtime_id)
        moment = now()
        if showtime.waitlist_at is None or showtime.waitlist_at > moment:
            return
        ids = [new_id() for _ in range(OFFERS_PER_ROUND)]
        plan = plan_round(showtime, layout.auditorium, details, moment, ids)
        if await _carry_out(replica, showtime_id, version, plan, _events(showtime, plan, layout, details)):
            return
    raise ShowtimeBusy(retry_after=1)


async def _carry_out(
    replica: Replica, showtime_id: str, version: int, plan: Round, events: Sequence[WaitlistEvent]
) -> bool:
    """Write the plan with its mails. Returns False when the showtime has changed since the read."""
    change: dict[str, dict[str, Any]] = {"$set": {}, "$unset": {}}
    if plan.parties:
        change["$set"] |= {"waitlist": [_stored(party) for party in plan.parties], "waitlist_at": plan.next_at}
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
    return await replica.change_seats(
        {"_id": showtime_id, **guards.is_unchanged(version)}, update, [*offered, *plan.on_sale], events=events
    )


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


async def _read(showtime_id: str) -> tuple[int, WaitingShowtime]:
    """Read the version and the showtime with its waitlist. Raises ShowtimeUnknown and SeatMapMissing."""
    row = await showtimes.row({"_id": showtime_id}, {"outbox": 0}) or raise_missing(showtime_id)
    return row["version"], WaitingShowtime.model_validate(row | {"id": row["_id"]})


def _place(showtime: WaitingShowtime, party: WaitingParty) -> Place:
    offer = showtime.hold(party.hold_id) if party.hold_id else None
    return Place(party, showtime.position_of(party.id), offer, closes_at(showtime.starts_at))


def _stored(party: WaitingParty) -> dict[str, Any]:
    return party.model_dump(exclude_none=True)


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
