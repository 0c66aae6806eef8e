"""Applying promotions to order lines, exactly to the minor unit, and working them out again on what remains. No I/O."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Literal

from contracts import currencies

from booking.model.booking import Booking, OrderLine, State
from booking.model.problems import PromotionRefused
from booking.model.promotions import (
    AppliedPromotion,
    Discount,
    FixedAmount,
    FixedPrice,
    NForM,
    Percentage,
    Place,
    Promotion,
    Reason,
    Refusal,
    in_order,
    refusal,
    refusal_at,
)
from booking.model.sums import split


@dataclass(frozen=True)
class Allowance:
    """How many uses of a promotion are left for a person at a showtime, and which limit says so."""

    uses: int
    limit: Reason = "used_up"


SENTENCES: dict[Reason, str] = {
    "used_up": "This code is used up.",
    "used_by_you": "You have used this code as often as one person can.",
    "showtime_used_up": "This code is used up for this showtime.",
}
UNLIMITED = Allowance(10)
"""More than a booking can use: it has at most ten tickets."""


@dataclass(frozen=True)
class Priced:
    """Order lines with the promotions that apply to them."""

    lines: list[OrderLine]
    promotions: list[AppliedPromotion]

    @property
    def amount(self) -> int:
        """The price to pay in minor units."""
        return sum(line.amount for line in self.lines)


def best_price(
    lines: Sequence[OrderLine],
    place: Place,
    moment: datetime,
    *,
    codes: Mapping[str, Promotion | None],
    automatic: Iterable[Promotion],
    allowances: Mapping[str, Allowance],
) -> Priced:
    """Apply the promotions of the codes and the automatic ones, so that the price is the lowest.

    Exclusive promotions compete with the combination of all others. Of equal prices, the combination is chosen.
    Raises PromotionRefused for a code that does not apply or does not lower the price.
    """
    given = {code: _usable(code, promotion, place, moment) for code, promotion in codes.items()}
    usable = [each for each in automatic if refusal_at(each, place, moment) is None]
    for code, promotion in given.items():
        if why := _refusal_of(promotion, lines, place, allowances):
            raise _refused(code, why)
    combinable = [each for each in usable if not each.is_exclusive]
    alone = [[each] for each in usable if each.is_exclusive]
    without_codes = _cheapest([combinable, *alone], lines, place.currency, allowances)
    if not given:
        return without_codes
    exclusive = next((code for code, promotion in given.items() if promotion.is_exclusive), None)
    if exclusive and len(given) > 1:
        why = refusal("not_combinable", "This code cannot be combined with others.")
        raise _refused(exclusive, why)
    chosen = list(given.values()) if exclusive else [*given.values(), *combinable]
    with_codes = _apply(chosen, lines, place.currency, allowances)
    unused = given.keys() - {each.code for each in with_codes.promotions}
    if unused or with_codes.amount >= without_codes.amount:
        why = refusal("better_price", "The price is already as low without this code.")
        raise _refused(min(unused or given), why)
    return with_codes


def _usable(code: str, promotion: Promotion | None, place: Place, moment: datetime) -> Promotion:
    if promotion is None:
        raise _refused(code, refusal("unknown", "This code is unknown. Please check the spelling."))
    if why := refusal_at(promotion, place, moment):
        raise _refused(code, why)
    return promotion


def _refused(code: str, why: Refusal) -> PromotionRefused:
    return PromotionRefused(why.sentence, promotion_code=code, reason=why.reason, **why.facts)


def _refusal_of(
    promotion: Promotion, lines: Sequence[OrderLine], place: Place, allowances: Mapping[str, Allowance]
) -> Refusal | None:
    """Why the promotion alone would not lower the price of these lines."""
    types = promotion.conditions.ticket_types
    eligible = _eligible(promotion.conditions.ticket_types, lines)
    if types and not eligible:
        return refusal("ticket_type", f"This code is valid for {', '.join(types)} tickets.", ticket_types=types)
    if isinstance(promotion.discount, NForM) and len(eligible) < promotion.discount.tickets:
        sentence = f"This code is valid for {promotion.discount.tickets} tickets or more."
        return refusal("too_few_tickets", sentence, tickets=promotion.discount.tickets)
    allowance = allowances.get(promotion.id, UNLIMITED)
    if not allowance.uses:
        return refusal(allowance.limit, SENTENCES[allowance.limit])
    if not _apply([promotion], lines, place.currency, allowances).promotions:
        return refusal("no_saving", "This code does not lower the price of these tickets.")
    return None


def _cheapest(
    choices: Iterable[Sequence[Promotion]], lines: Sequence[OrderLine], currency: str, left: Mapping[str, Allowance]
) -> Priced:
    return min((_apply(each, lines, currency, left) for each in choices), key=lambda priced: priced.amount)


def _apply(
    promotions: Iterable[Promotion], lines: Sequence[OrderLine], currency: str, allowances: Mapping[str, Allowance]
) -> Priced:
    """Apply all promotions one after the other. What the provider could not charge is waived."""
    prices = {line.seat.seat_id: line.amount for line in lines}
    applied: list[AppliedPromotion] = []
    for each in in_order(promotions):
        seats = [line.seat.seat_id for line in _eligible(each.conditions.ticket_types, lines)]
        uses, shares = _discount(each.discount, seats, prices, currency, allowances.get(each.id, UNLIMITED).uses)
        if not any(shares.values()):
            continue
        prices = {seat: price - shares.get(seat, 0) for seat, price in prices.items()}
        facts = {"name": each.name, "code": each.code, "discount": each.discount, "seats": seats}
        applied.append(AppliedPromotion(promotion_id=each.id, version=each.version, uses=uses, shares=shares, **facts))
    if applied and 0 < sum(prices.values()) < currencies.minimum(currency):
        applied[-1] = _with_rest(applied[-1], prices)
        prices = dict.fromkeys(prices, 0)
    return Priced([repriced(line, prices[line.seat.seat_id]) for line in lines], applied)


def _with_rest(applied: AppliedPromotion, rest: Mapping[str, int]) -> AppliedPromotion:
    """The promotion with the rest of the price as a part of its discount."""
    shares = {seat: applied.shares.get(seat, 0) + amount for seat, amount in rest.items()}
    return applied.model_copy(update={"shares": {seat: share for seat, share in shares.items() if share}})


def _eligible(ticket_types: Collection[str], lines: Iterable[OrderLine]) -> list[OrderLine]:
    return [line for line in lines if line.amount and (not ticket_types or line.ticket_type in ticket_types)]


def _discount(
    discount: Discount, seats: Sequence[str], prices: Mapping[str, int], currency: str, most: int
) -> tuple[list[list[str]], dict[str, int]]:
    """The seats of each use, at most `most`, and the discount of each seat. The most expensive tickets come first."""
    step = currencies.step(currency)
    ranked = sorted((seat for seat in seats if prices[seat]), key=lambda seat: -prices[seat])
    match discount:
        case Percentage():
            uses = [[seat] for seat in ranked[:most]]
            whole = sum(prices[seat] for seat in ranked[:most])
            total = (whole * discount.percent + 50 * step) // (100 * step) * step
        case FixedPrice():
            uses = [[seat] for seat in ranked[:most] if prices[seat] > discount.amount]
            return uses, {seat: prices[seat] - discount.amount for [seat] in uses}
        case FixedAmount():
            uses = [ranked] if ranked and most else []
            total = min(discount.amount, sum(prices[seat] for seat in ranked))
        case NForM():
            size = discount.tickets
            uses = [ranked[start : start + size] for start in range(0, len(ranked) - size + 1, size)][:most]
            saved = [_split_over(use, sum(prices[seat] for seat in use[discount.pay :]), prices, step) for use in uses]
            return uses, dict(chain.from_iterable(share.items() for share in saved))
    return uses, _split_over([seat for use in uses for seat in use], total, prices, step)


def _split_over(seats: Sequence[str], total: int, prices: Mapping[str, int], step: int) -> dict[str, int]:
    return dict(zip(seats, split(total, [prices[seat] for seat in seats], step), strict=True)) if seats else {}


def repriced(line: OrderLine, amount: int) -> OrderLine:
    """The line at another price: with its discount, and the fee and the tax of that price."""
    before = line.amount + line.discount
    if amount == line.amount:
        return line
    tax = line.tax
    if line.tax_basis_points is not None and tax is not None:
        whole = 10_000 + line.tax_basis_points
        tax = (2 * amount * line.tax_basis_points + whole) // (2 * whole)
    elif tax is not None:
        tax = tax * amount // line.amount if line.amount else 0
    fee = None if line.fee is None else min(line.fee, amount)
    return line.model_copy(update={"amount": amount, "discount": before - amount, "fee": fee, "tax": tax})


def without(booking: Booking, cancelled: Collection[str]) -> list[OrderLine]:
    """The booking's lines when the tickets of these seats are cancelled.

    A group's discount is worked out again on the tickets that remain, with the terms of the checkout. A cancelled
    line's amount is then what the rest costs less: from 0 to its price. The sum of all lines stays the same. After a
    change that the cinema caused, each ticket keeps its share instead.
    """
    before = [line for line in booking.lines if line.is_kept]
    kept = [line for line in before if line.seat.seat_id not in cancelled]
    gone = [line for line in before if line.seat.seat_id in cancelled]
    has_groups = any(isinstance(each.discount, NForM) for each in booking.promotions)
    if not has_groups or booking.is_moved_far or not kept or not gone:
        return booking.lines
    step, paid = currencies.step(booking.currency or ""), sum(line.amount for line in before)
    prices = _again(booking, kept)
    least = paid - sum(line.amount + line.discount for line in gone)  # a ticket returns at most its price
    rest = min(max(sum(prices.values()), least), paid)  # what remains never costs more than was paid
    if rest != sum(prices.values()):
        prices = _spread(rest, kept, step)
    prices |= _spread(paid - rest, gone, step)
    return [
        repriced(line, prices[line.seat.seat_id]) if line.seat.seat_id in prices else line for line in booking.lines
    ]


def _spread(total: int, lines: Sequence[OrderLine], step: int) -> dict[str, int]:
    prices = {line.seat.seat_id: line.amount + line.discount for line in lines}
    return _split_over(list(prices), total, prices, step)


def _again(booking: Booking, kept: Sequence[OrderLine]) -> dict[str, int]:
    """The prices of the lines with the booking's promotions on them alone. An amount off the sum keeps its shares."""
    prices = {line.seat.seat_id: line.amount + line.discount for line in kept}
    currency = booking.currency or ""
    for each in booking.promotions:
        seats = [seat for seat in each.seats if seat in prices]
        if isinstance(each.discount, FixedAmount):
            shares = {seat: min(each.shares.get(seat, 0), prices[seat]) for seat in seats}
        else:
            _, shares = _discount(each.discount, seats, prices, currency, len(each.uses))
        prices = {seat: price - shares.get(seat, 0) for seat, price in prices.items()}
    return prices


UseState = Literal["reserved", "taken", "released"]


def use_states(booking: Booking) -> list[tuple[str, list[str], UseState]]:
    """Each use of a promotion by the booking: the promotion, the seats, and what the booking's state makes of it.

    A use is released with the last of its tickets.
    """
    kept = {line.seat.seat_id for line in booking.kept_lines}
    is_open = booking.state in (State.AWAITING_PAYMENT, State.CLOSING, State.CONFIRMING)

    def state_of(seats: Collection[str]) -> UseState:
        if is_open:
            return "reserved"
        return "taken" if booking.state is State.CONFIRMED and not kept.isdisjoint(seats) else "released"

    return [(each.promotion_id, seats, state_of(seats)) for each in booking.promotions for seats in each.uses]
