"""Cancelling tickets of a confirmed booking: what the policy returns. No I/O; the time is a parameter."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts import currencies
from contracts.booking import RefundTo
from contracts.payment import TenderKind
from contracts.types import Seat
from pydantic import BaseModel

from booking.model.booking import Booking, OrderLine, Refund, State
from booking.model.discounts import without
from booking.model.funds import take
from booking.model.pricing import WHEELCHAIR, unaccompanied
from booking.model.problems import RefundTooLarge, TicketUnknown
from booking.model.sums import split
from booking.model.tickets import ticket_id_of

CHILD = "child"
"""Catalog's ticket type that needs another person in the same booking."""
Actor = Literal["by_customer", "by_staff"]
Refusal = Literal["cancelled", "checked_in", "transferred", "too_late", "policy"]


class TicketQuote(BaseModel):
    """What cancelling one ticket returns, in minor units.

    `paid` is its price after its `discount`. A ticket of a group such as 3 for 2 is worth what the remaining tickets
    cost less without it. `fee` is what the policy keeps for the cancellation. `reason` is why the
    ticket cannot be cancelled; then nothing is refunded.
    """

    ticket_id: str
    seat: Seat
    ticket_type: str
    paid: int
    discount: int
    fee: int = 0
    refund: int = 0
    reason: Refusal | None = None


@dataclass(frozen=True)
class CancellationQuote:
    """The tickets that were asked for, and those that are cancelled with them: of companions, and other halves."""

    tickets: list[TicketQuote]

    @property
    def cancellable(self) -> list[TicketQuote]:
        """The tickets that the quote cancels."""
        return [ticket for ticket in self.tickets if ticket.reason is None]

    @property
    def refunds(self) -> dict[str, int]:
        """The refund of each cancelled ticket by its seat."""
        return {ticket.seat.seat_id: ticket.refund for ticket in self.cancellable}

    @property
    def total(self) -> int:
        """The sum to refund."""
        return sum(self.refunds.values())


def quote_cancellation(
    booking: Booking, wanted: Collection[str], by: Actor, at: datetime, amount: int | None = None
) -> CancellationQuote:
    """Quote the cancellation of the tickets with the `wanted` ids (empty: all that are left) at a time.

    A companion's ticket is cancelled with the ticket of its wheelchair space, which stays if the companion's ticket was
    transferred; one half of a couch is cancelled with the other, because a couch is sold only whole. Customers are
    bound to the policy and
    cannot leave children alone; staff can cancel every ticket, and return `amount` instead of what the policy says.
    Raises TicketUnknown, and RefundTooLarge when `amount` is more than what was paid.
    """
    by_id = {ticket_id_of(booking.id, line.seat.seat_id): line for line in booking.lines}
    if unknown := sorted(set(wanted) - by_id.keys()):
        raise TicketUnknown(f"This booking has no ticket {', '.join(unknown)}.", tickets=unknown)
    asked = [line for id_, line in by_id.items() if (id_ in wanted if wanted else line.is_kept)]
    asked += other_halves(booking, asked)
    reasons: dict[str, Refusal | None] = {line.seat.seat_id: _refusal(booking, line, by, at) for line in asked}
    refused = [line for line in asked if reasons[line.seat.seat_id]]
    reasons |= {line.seat.seat_id: reasons[line.seat.pair or ""] for line in other_halves(booking, refused)}
    chosen = [line for line in asked if reasons[line.seat.seat_id] is None]
    companions = companions_left(booking, chosen)
    if by == "by_customer" and any(line.status == "transferred" for line in companions):
        reasons.update({line.seat.seat_id: "transferred" for line in chosen if line.seat.category == WHEELCHAIR})
        chosen = [line for line in chosen if line.seat.category != WHEELCHAIR]
        companions = companions_left(booking, chosen)
    chosen += companions
    if by == "by_customer" and leaves_children(booking, chosen):
        adults = [line for line in chosen if line.ticket_type != CHILD]
        adults += other_halves(booking, adults)
        reasons |= {line.seat.seat_id: "policy" for line in adults}
        chosen = [line for line in chosen if line not in adults]
    refunds = _refunds(booking, chosen, by, at, amount)
    shown = [line for line in booking.lines if line in asked or line in chosen]
    return CancellationQuote([_quoted(booking, line, reasons.get(line.seat.seat_id), refunds) for line in shown])


def _quoted(
    booking: Booking, line: OrderLine, reason: Refusal | None, refunds: dict[str, tuple[int, int]]
) -> TicketQuote:
    fee, refund = refunds.get(line.seat.seat_id, (0, 0))
    return TicketQuote(
        ticket_id=ticket_id_of(booking.id, line.seat.seat_id),
        seat=line.seat,
        ticket_type=line.ticket_type,
        paid=line.amount,
        discount=line.discount,
        fee=fee,
        refund=refund,
        reason=reason,
    )


def _refusal(booking: Booking, line: OrderLine, by: Actor, at: datetime) -> Refusal | None:
    if line.status in ("cancelled", "exchanged"):
        return "cancelled"
    if by == "by_staff":
        return None
    if line.status == "transferred":
        return "transferred"
    if line.checked_in_at:
        return "checked_in"
    if percent_at(booking, at):
        return None
    policy = booking.refund_policy
    return "too_late" if policy and any(tier.refund_percent for tier in policy.tiers) else "policy"


def is_full_refund_due(booking: Booking, at: datetime) -> bool:
    """Whether the cinema moved the showtime far, so that everything is refunded until the start."""
    return booking.is_moved_far and booking.screening is not None and at < booking.screening.starts_at


class MoveChoice(BaseModel):
    """The customer's choice after a move, until the new start: keep the tickets, or get `refund` minor units back."""

    previous_starts_at: datetime
    starts_at: datetime
    refund: int
    is_kept: bool


def move_choice(booking: Booking, at: datetime) -> MoveChoice | None:
    """The choice that the customer has at a time; None if there is none."""
    if booking.state is not State.CONFIRMED or not is_full_refund_due(booking, at):
        return None
    quote = quote_cancellation(booking, [], "by_customer", at)
    if not quote.cancellable or booking.screening is None or booking.booked_starts_at is None:
        return None
    return MoveChoice(
        previous_starts_at=booking.booked_starts_at,
        starts_at=booking.screening.starts_at,
        refund=quote.total,
        is_kept=booking.kept_starts_at == booking.screening.starts_at,
    )


def percent_at(booking: Booking, at: datetime) -> int:
    """The percentage that is refunded at a time: the policy's, or 100 after a change that the cinema caused."""
    if is_full_refund_due(booking, at):
        return 100
    if booking.refund_policy is None or booking.screening is None:
        return 0
    minutes = (booking.screening.starts_at - at).total_seconds() / 60
    open_tiers = (tier for tier in booking.refund_policy.tiers if minutes >= tier.minutes_before_start)
    percent = next((tier.refund_percent for tier in open_tiers), 0)
    return min(percent, booking.exchange.max_refund_percent) if booking.exchange else percent


def other_halves(booking: Booking, lines: Sequence[OrderLine]) -> list[OrderLine]:
    """The tickets for the other halves of these seats' couches, as far as they are kept and not among the lines."""
    wanted = {line.seat.pair for line in lines}
    return [line for line in booking.kept_lines if line.seat.seat_id in wanted and line not in lines]


def companions_left(booking: Booking, chosen: Sequence[OrderLine]) -> list[OrderLine]:
    """The companion tickets that lose their wheelchair space."""
    left = [line for line in booking.kept_lines if line not in chosen]
    types = {line.seat.seat_id: line.ticket_type for line in left}
    alone = unaccompanied([line.seat for line in left], types)
    return [line for line in left if line.seat.seat_id in alone]


def leaves_children(booking: Booking, chosen: Sequence[OrderLine]) -> bool:
    """Whether only children would be left of a booking with adults."""
    left = [line.ticket_type for line in booking.kept_lines if line not in chosen]
    return CHILD in left and set(left) == {CHILD} and any(line.ticket_type != CHILD for line in chosen)


def _refunds(
    booking: Booking, chosen: Sequence[OrderLine], by: Actor, at: datetime, amount: int | None
) -> dict[str, tuple[int, int]]:
    """The fee and the refund of each seat's ticket. Together they never exceed what is left of the payment.

    Both are multiples of what the provider can move, rounded in the customer's favor.
    """
    left, step = refundable(booking), currencies.step(booking.currency or "")
    gone = {line.seat.seat_id for line in chosen}
    values = {line.seat.seat_id: line.amount for line in without(booking, gone) if line.seat.seat_id in gone}
    if amount is not None:
        most = min(left, max(sum(line.amount for line in chosen), sum(values.values())))
        if amount > most or amount % step:
            raise RefundTooLarge(f"At most {most} can be refunded for these tickets.", refundable=most, step=step)
        shares = split(amount, [max(line.amount, values[line.seat.seat_id]) for line in chosen], step)
        return {line.seat.seat_id: (0, share) for line, share in zip(chosen, shares, strict=True)}
    policy, percent = booking.refund_policy, percent_at(booking, at)
    most_kept = 0 if policy is None or is_full_refund_due(booking, at) else policy.fee // step * step
    found: dict[str, tuple[int, int]] = {}
    for line in chosen:
        value = values[line.seat.seat_id]
        returned = min(-(-value * percent // (100 * step)) * step, value // step * step)
        fee = min(most_kept, returned)
        refund = min(returned - fee, left)
        left -= refund
        found[line.seat.seat_id] = fee, refund
    return found


def refundable(booking: Booking) -> int:
    """What is left of the payments after the refunds that were made or requested, in minor units."""
    return sum(funds(booking).values())


def funds(booking: Booking) -> dict[str, int]:
    """The money that is left on each payment for this booking, by the payment's booking, in the order of payment.

    The money of a failed refund is not left: it is still owed for the tickets of that refund.
    """
    return {booking_id: max(0, amount) for booking_id, amount in _left(booking).items()}


def _left(booking: Booking) -> dict[str, int]:
    """The same; negative where others have refunded more than was left."""
    left = {source.booking_id: source.amount for source in booking.sources}
    left[booking.id] = (booking.due or 0) - booking.refunded_amount + sum(booking.passed_on.values())
    failed = [refund for refund in booking.refunds if refund.must_be_repeated]
    for refund in [*booking.open_refunds, *failed]:
        left[refund.payment_id or booking.id] -= refund.amount
    for refund in booking.source_refunds:
        left[refund.payment_id or booking.id] -= refund.paid_back
    for part in (part for exchange in booking.exchanges for part in exchange.sources):
        left[part.booking_id] -= part.amount
    return left


def owed_of(booking: Booking, failed: Refund) -> int:
    """What is still owed of a failed refund, in minor units.

    Refunds that others have made since it failed, at the provider or by a dispute, count once: they may already be its
    replacement.
    """
    left = max(0, _left(booking)[failed.payment_id or booking.id] + failed.amount)
    if failed.payment_id:
        return min(failed.amount, left)
    by_id = {each.refund_id: each for each in booking.refunds}
    since = failed.settled_at or failed.at
    others = sum(
        each.amount
        for each in booking.refunds
        if not each.is_requested and each.state == "accepted" and (each.settled_at or each.at) >= since
    )
    counted = sum(
        each.amount - by_id[each.repeated_as].amount
        for each in booking.refunds
        if each.repeated_as and not each.payment_id
    )
    return min(max(0, failed.amount - max(0, others - counted)), left)


class Destination(BaseModel):
    """Where a part of a refund goes, in minor units. `bonus` is credited beside `amount`."""

    to: TenderKind
    amount: int
    bonus: int = 0


def destinations(
    booking: Booking, amount: int, refund_to: RefundTo, payers: Mapping[str, Booking] | None = None
) -> list[Destination]:
    """Where a refund goes: gift cards and credit get back what they paid first, the rest is the card's part.

    `payers` are the bookings of the booking's sources, by their ids.
    """
    by_id = {**(payers or {}), booking.id: booking}
    returned: dict[TenderKind, int] = {}
    rest = amount
    for part in take(funds(booking), amount, newest_first=True):
        payer, unassigned = by_id[part.booking_id], part.amount
        before = sum(
            refund.amount
            for each in {booking.id: booking, payer.id: payer}.values()
            for refund in each.open_refunds
            if (refund.payment_id or each.id) == payer.id
        )
        for tender in payer.paid_with:
            if tender.kind == "card":
                continue
            left = tender.captured - tender.refunded
            waiting = min(left, before)
            before -= waiting
            share = min(left - waiting, unassigned)
            returned[tender.kind] = returned.get(tender.kind, 0) + share
            unassigned -= share
            rest -= share
    found = [Destination(to=kind, amount=share) for kind, share in returned.items() if share]
    if rest:
        found.append(Destination(to=refund_to, amount=rest, bonus=_bonus(booking, rest, refund_to)))
    return found


def _bonus(booking: Booking, amount: int, refund_to: RefundTo) -> int:
    percent = booking.refund_policy.credit_bonus_percent if booking.refund_policy else 0
    step = currencies.step(booking.currency or "")
    return amount * percent // 100 // step * step if refund_to == "credit" else 0


def cancelled_lines(lines: Iterable[OrderLine], refunds: Mapping[str, int] | None) -> list[OrderLine]:
    """The lines after the cancellation of the tickets of these seats, or of all valid ones without a known refund."""
    return [
        line.model_copy(update={"status": "cancelled", "refund": refunds.get(line.seat.seat_id) if refunds else None})
        if line.is_kept and (refunds is None or line.seat.seat_id in refunds)
        else line
        for line in lines
    ]
