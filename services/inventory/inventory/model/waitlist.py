"""The waitlist of a showtime: who waits, who gets which seats, and until when.

A seat that becomes free while somebody waits is marked: it belongs to MARK until a round offers it to a party or puts
it on sale. A round goes through the parties in their order. A party that does not fit is skipped and keeps its place.
A party that misses an offer keeps its place the first time. The second time it moves to the end and gets no more
offers: otherwise parties who have lost interest would keep the seats off sale in turns.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from contracts.booking import Screening
from contracts.catalog import Price
from contracts.types import Holder
from pydantic import BaseModel

from inventory.model.auditorium import WHEELCHAIR, AuditoriumMap
from inventory.model.best import Choice, Party, available_seats, best_available
from inventory.model.limits import HoldLimits, holder_key
from inventory.model.problems import NetworkWaits, SalesClosed, WaitlistClosed
from inventory.model.seating import MARK, Hold, SeatState, Showtime, in_order

MAX_PARTIES = 200
OFFERS_PER_ROUND = 10
MOST_MISSED = 2
CLOSES_BEFORE = timedelta(minutes=30)
USUAL_OFFER, SHORT_OFFER = timedelta(minutes=20), timedelta(minutes=5)
SHORT_WITHIN = timedelta(hours=2)
NIGHT_BEGINS, NIGHT_ENDS = time(22), time(8)
AFTER_CLOSING = timedelta(minutes=1)
"""How often a closed waitlist is checked until its last offers have ended."""
EndReason = Literal["closed", "cancelled"]


class WaitingParty(BaseModel):
    """A party that waits for `smallest` to `largest` seats. The waitlist is in the order of `turn`.

    Without categories, every category fits; `max_price` applies to each seat, in minor units. `hold_id` is the current
    offer's hold. `mailed` is the holder of a guest's offers, whose secret only the mails contain, as `sealed_secret`:
    a person who enters a stranger's address cannot see what the stranger buys. `keys` are those of the caller who
    joined, as a hold has them. `missed_hold_id` is the last offer that counts as missed, `unsent_hold_id` one that was
    never mailed and must not count.
    """

    id: str
    holder: Holder
    keys: list[str] = []
    mailed: Holder | None = None
    email: str
    locale: str
    sealed_secret: str | None = None
    smallest: int
    largest: int
    together: bool
    categories: list[str] = []
    max_price: int | None = None
    joined_at: datetime
    turn: datetime
    missed: int = 0
    hold_id: str | None = None
    missed_hold_id: str | None = None
    unsent_hold_id: str | None = None

    @property
    def holders(self) -> list[Holder]:
        """Those who see and leave the place. The last one gets the offers."""
        return [self.holder, self.mailed] if self.mailed else [self.holder]

    def without_miss(self, hold_id: str) -> "WaitingParty":
        """Return the party after an offer that was never mailed: it does not count as missed, and the place is kept."""
        if self.hold_id == hold_id:
            return self.model_copy(update={"unsent_hold_id": hold_id})
        restored = {"missed": self.missed - 1, "turn": self.joined_at, "missed_hold_id": None}
        return self.model_copy(update=restored)


class ShowtimeDetails(BaseModel):
    """What a waitlist needs to know about its showtime. The start may have changed since (Showtime.starts_at)."""

    id: str
    screening: Screening
    currency: str
    prices: list[Price]

    def price_of(self, category: str) -> int:
        """Return the price of the most expensive ticket type in a category."""
        return max((price.amount for price in self.prices if price.category == category), default=0)

    def affordable(self, most: int | None) -> frozenset[str]:
        """Return the categories that are on sale at up to this price."""
        names = {price.category for price in self.prices}
        return frozenset(name for name in names if most is None or self.price_of(name) <= most)


class WaitingShowtime(Showtime):
    """A showtime with its waitlist, which only the waitlist's own reads include."""

    waitlist: list[WaitingParty] = []

    def in_turn(self) -> list[WaitingParty]:
        """Return the parties in their order."""
        return sorted(self.waitlist, key=lambda party: (party.turn, party.id))

    def position_of(self, entry_id: str) -> int:
        """Return the party's place in the order, starting at 1."""
        return next(place for place, party in enumerate(self.in_turn(), 1) if party.id == entry_id)

    def has_served(self, party: WaitingParty) -> bool:
        """Whether the party has bought the seats that it was offered."""
        return party.hold_id is not None and self.is_sold(party.hold_id)


@dataclass(frozen=True)
class Offer:
    """Seats for a party. `relies_on` are free seats that must stay free, as in a Choice."""

    party: WaitingParty
    hold: Hold
    relies_on: list[str]


@dataclass
class Round:
    """What one round decides. `parties` stay on the list; `on_sale` are marked seats that nobody wants.

    `next_at` is the time of the next round; None when the waitlist is empty and no seat is marked.
    """

    parties: list[WaitingParty] = field(default_factory=list[WaitingParty])
    offers: list[Offer] = field(default_factory=list[Offer])
    on_sale: list[str] = field(default_factory=list[str])
    ended: list[tuple[WaitingParty, EndReason]] = field(default_factory=list[tuple[WaitingParty, EndReason]])
    next_at: datetime | None = None


def closes_at(starts_at: datetime) -> datetime:
    """Return the time at which the waitlist of a showtime closes."""
    return starts_at - CLOSES_BEFORE


def joining_problem(showtime: Showtime, now: datetime) -> SalesClosed | WaitlistClosed | None:
    """Return a problem when nobody can join the waitlist."""
    if problem := showtime.sales_problem(now):
        return problem
    return WaitlistClosed() if now >= closes_at(showtime.starts_at) else None


def network_problem(party: WaitingParty, others: Iterable[WaitingParty], limits: HoldLimits) -> NetworkWaits | None:
    """Return a problem when as many parties of the same client network wait as it may have holds."""
    network_keys = party.keys[1:]
    waiting = sum(1 for each in others if not set(network_keys).isdisjoint(each.keys[1:]))
    most = limits.per_network.holds
    return NetworkWaits(f"At most {most} parties of one network can wait.", limit=most) if waiting >= most else None


def offer_deadline(now: datetime, showtime: Showtime, time_zone: str) -> datetime:
    """Return the deadline of an offer: the usual one, a short one near the start, or the morning after a night.

    The nights are the theater's. An offer for a showtime of the same night has the usual deadline.
    """
    if showtime.starts_at - now <= SHORT_WITHIN:
        return min(now + SHORT_OFFER, showtime.sales_close_at)
    local, last = now.astimezone(ZoneInfo(time_zone)), closes_at(showtime.starts_at)
    deadline = now + USUAL_OFFER
    if local.time() >= NIGHT_BEGINS or local.time() < NIGHT_ENDS:
        day = local.date() + timedelta(days=local.time() >= NIGHT_BEGINS)
        morning = datetime.combine(day, NIGHT_ENDS, local.tzinfo)
        if morning < last:
            deadline = min(morning + USUAL_OFFER, last).astimezone(now.tzinfo)
    return min(deadline, showtime.sales_close_at)


def seats_for(
    party: WaitingParty, auditorium: AuditoriumMap, states: Mapping[str, SeatState], details: ShowtimeDetails
) -> Choice | None:
    """Return the best seats for as many people of the party as possible; None when there are not enough."""
    return next(filter(None, searches(party, auditorium, states, details)), None)


def searches(
    party: WaitingParty, auditorium: AuditoriumMap, states: Mapping[str, SeatState], details: ShowtimeDetails
) -> Iterator[Choice | None]:
    """Search for the best seats of the largest size first; yield None after each search that finds none."""
    people = _wanted(party, details)
    if people is None:
        return
    most = min(party.largest, len(available_seats(auditorium, states, people)))
    for size in range(most, party.smallest - 1, -1):
        choice = best_available(auditorium, states, replace(people, size=size))
        if choice and (choice.is_together or not party.together) and _is_affordable(choice, party, auditorium, details):
            yield choice
            return
        yield None


def _wanted(party: WaitingParty, details: ShowtimeDetails) -> Party | None:
    """Return the people as `best_available` expects them. The category `wheelchair` asks for one wheelchair space."""
    if WHEELCHAIR in party.categories:
        return Party(party.largest, wheelchairs=1)
    fitting = details.affordable(party.max_price)
    categories = fitting.intersection(party.categories) if party.categories else fitting
    return Party(party.largest, categories) if categories else None


def _is_affordable(choice: Choice, party: WaitingParty, auditorium: AuditoriumMap, details: ShowtimeDetails) -> bool:
    """Whether each seat is within the maximum price; released reserved seats are offered whatever their category."""
    most = party.max_price
    return most is None or all(details.price_of(auditorium.seat(seat).category) <= most for seat in choice.seats)


def shape_of(party: WaitingParty, details: ShowtimeDetails) -> tuple[object, ...]:
    """Return what decides whether seats fit. Parties of one shape fit, or do not fit, together."""
    wishes = (party.together, frozenset(party.categories), details.affordable(party.max_price))
    return party.smallest, party.largest, *wishes


def plan_round(
    showtime: WaitingShowtime,
    auditorium: AuditoriumMap,
    details: ShowtimeDetails,
    now: datetime,
    new_ids: Iterable[str],
) -> Generator[None, None, Round]:
    """Decide on all marked seats; yield after each search for seats, so that nothing else has to wait for all of them.

    `new_ids` are the ids of new holds. The search is done once for parties of the same shape that do not fit, because
    seats only become fewer.
    """
    plan = Round()
    marked = [seat for seat, entry in showtime.taken.items() if entry.by == MARK]
    plan.parties, missed_now = _after_missed_offers(showtime, now)
    if showtime.cancelled or now >= closes_at(showtime.starts_at):
        reason: EndReason = "cancelled" if showtime.cancelled else "closed"
        plan.ended = [(party, reason) for party in plan.parties if showtime.cancelled or not party.hold_id]
        plan.parties = [party for party in plan.parties if not showtime.cancelled and party.hold_id]
        plan.on_sale = in_order(marked)
        plan.next_at = now + AFTER_CLOSING if plan.parties else None
        return plan
    states: dict[str, SeatState] = {seat: entry.state for seat, entry in showtime.taken.items() if entry.by != MARK}
    until, ids = offer_deadline(now, showtime, details.screening.time_zone), iter(new_ids)
    failed = set[tuple[object, ...]]()
    for at, party in enumerate(plan.parties):
        # Others come first for the seats that a party has just missed.
        if party.hold_id or party.missed >= MOST_MISSED or party.id in missed_now:
            continue
        if (shape := shape_of(party, details)) in failed:
            continue
        if len(plan.offers) == OFFERS_PER_ROUND:
            # The seats stay marked: the next round continues with the other parties at once.
            plan.next_at = now
            return plan
        choice = None
        for choice in searches(party, auditorium, states, details):  # noqa: B007 - the last one counts
            yield
        if choice is None:
            failed.add(shape)
            continue
        hold = _hold_for(party, next(ids), choice.seats, until)
        plan.parties[at] = party.model_copy(update={"hold_id": hold.id})
        plan.offers.append(Offer(plan.parties[at], hold, choice.relies_on))
        states |= dict.fromkeys(hold.seats, "held")
    plan.on_sale = in_order(set(marked) - states.keys())
    plan.next_at = closes_at(showtime.starts_at) if plan.parties else None
    return plan


def _after_missed_offers(showtime: WaitingShowtime, now: datetime) -> tuple[list[WaitingParty], set[str]]:
    """Return the parties that still wait, in their order, and the ids of those whose offer has ended unused."""
    waiting, missed_now = list[WaitingParty](), set[str]()
    for party in showtime.in_turn():
        if showtime.has_served(party):
            continue
        if party.hold_id is None or showtime.hold(party.hold_id):
            waiting.append(party)
            continue
        missed_now.add(party.id)
        ended: dict[str, object] = {"hold_id": None, "unsent_hold_id": None}
        if party.hold_id != party.unsent_hold_id:
            turn = now if party.missed else party.turn
            ended |= {"missed": party.missed + 1, "turn": turn, "missed_hold_id": party.hold_id}
        waiting.append(party.model_copy(update=ended))
    return waiting, missed_now


def _hold_for(party: WaitingParty, hold_id: str, seats: Sequence[str], until: datetime) -> Hold:
    """Return the hold of an offer. It counts for its holder, not for the network in which the party joined."""
    holder = party.holders[-1]
    return Hold(
        id=hold_id,
        holder=holder,
        keys=[holder_key(holder)] if party.keys else [],
        seats=in_order(seats),
        expires_at=until,
        cap_at=until,
        is_offer=True,
    )
