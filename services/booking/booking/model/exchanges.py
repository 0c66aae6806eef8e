"""Exchanging tickets of a confirmed booking for held seats. No I/O; the time is a parameter."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from contracts import currencies
from contracts.types import Seat
from pydantic import BaseModel

from booking.model.booking import Booking, Checkout, ExchangeMade, ExchangeTickets, OrderLine, State
from booking.model.discounts import without
from booking.model.funds import Exchange
from booking.model.problems import CurrencyDiffers, TicketUnknown, TooFewSeats
from booking.model.refunds import (
    CHILD,
    companions_left,
    is_full_refund_due,
    leaves_children,
    other_halves,
    percent_at,
    refundable,
)
from booking.model.tickets import ticket_id_of

ExchangeRefusal = Literal["cancelled", "checked_in", "transferred", "too_late", "policy", "limit"]


class ExchangedTicket(BaseModel):
    """A ticket that is exchanged, and what it is worth in minor units. `reason` is why it cannot be exchanged."""

    ticket_id: str
    seat: Seat
    ticket_type: str
    value: int
    reason: ExchangeRefusal | None = None


@dataclass(frozen=True)
class ExchangeQuote:
    """The tickets that were asked for, those that go with them, and the sums in minor units.

    `value` is that of the exchanged tickets, `price` that of the new ones. `waived` is a difference that is too small
    to be charged. `counts`: it is more than a change of seats at the same price.
    """

    tickets: list[ExchangedTicket]
    value: int
    price: int
    fee: int
    waived: int
    counts: bool

    @property
    def is_possible(self) -> bool:
        """Whether all of the tickets can be exchanged."""
        return bool(self.tickets) and all(ticket.reason is None for ticket in self.tickets)

    @property
    def carried(self) -> int:
        """The part of the value that pays for the new tickets."""
        return min(self.value - self.fee, self.price)

    @property
    def refund(self) -> int:
        """The part of the value that is returned."""
        return self.value - self.fee - self.carried

    @property
    def amount_due(self) -> int:
        """What the customer pays; negative for a refund."""
        return self.price - self.carried - self.waived - self.refund

    @property
    def seats(self) -> list[str]:
        """The seats of the exchanged tickets."""
        return [ticket.seat.seat_id for ticket in self.tickets]


def quote_exchange(
    booking: Booking,
    wanted: Collection[str],
    lines: Sequence[OrderLine],
    screening: tuple[str, str],
    at: datetime,
    *,
    is_free: bool = False,
) -> ExchangeQuote:
    """Quote the exchange of the tickets with the `wanted` ids (empty: all) for new order lines at a time.

    `screening` is the new showtime's id and currency. A change of seats at the same price is free until check-in. So is
    any exchange after the cinema has moved the showtime far, or with `is_free`, whatever the policy says. The other
    half of a couch and a companion's ticket are exchanged as well, and children cannot be left alone.
    Raises TicketUnknown, CurrencyDiffers and TooFewSeats.
    """
    showtime_id, currency = screening
    is_free = is_free or is_full_refund_due(booking, at)
    by_id = {ticket_id_of(booking.id, line.seat.seat_id): line for line in booking.lines}
    if unknown := sorted(set(wanted) - by_id.keys()):
        raise TicketUnknown(f"This booking has no ticket {', '.join(unknown)}.", tickets=unknown)
    asked = [line for id_, line in by_id.items() if (id_ in wanted if wanted else line.is_kept)]
    asked += other_halves(booking, asked)
    asked += companions_left(booking, asked)
    if currency != booking.currency:
        raise CurrencyDiffers(f"The tickets were paid in {booking.currency}; the new showtime is sold in {currency}.")
    if len(lines) < len(asked):
        raise TooFewSeats(f"Choose {len(asked)} seats, or exchange fewer tickets.", seats=len(asked))
    values = _values(booking, asked)
    full, price = sum(values.values()), sum(line.amount for line in lines)
    is_move = showtime_id == booking.showtime_id and price == full and len(lines) == len(asked)
    reasons: dict[str, ExchangeRefusal | None] = {
        line.seat.seat_id: _refusal(booking, line, at, is_free=is_free or is_move) for line in asked
    }
    if leaves_children(booking, asked):
        reasons |= {line.seat.seat_id: "policy" for line in asked if line.ticket_type != CHILD}
    value, fee = min(full, refundable(booking)), 0
    if booking.refund_policy and not (is_free or is_move):
        step = currencies.step(currency)
        fee = min(booking.refund_policy.exchange.fee * len(asked), value) // step * step
    due = max(0, price + fee - value)
    return ExchangeQuote(
        tickets=[
            ExchangedTicket(
                ticket_id=ticket_id_of(booking.id, line.seat.seat_id),
                seat=line.seat,
                ticket_type=line.ticket_type,
                value=values[line.seat.seat_id],
                reason=reasons[line.seat.seat_id],
            )
            for line in booking.lines
            if line in asked
        ],
        value=value,
        price=price,
        fee=fee,
        waived=due if due < currencies.minimum(currency) else 0,
        counts=not (is_free or is_move),
    )


def _values(booking: Booking, chosen: Sequence[OrderLine]) -> dict[str, int]:
    """What each of these tickets is worth: in a group such as 3 for 2, what the remaining tickets cost less."""
    seats = {line.seat.seat_id for line in chosen}
    return {line.seat.seat_id: line.amount for line in without(booking, seats) if line.seat.seat_id in seats}


def _refusal(booking: Booking, line: OrderLine, at: datetime, *, is_free: bool) -> ExchangeRefusal | None:
    if not line.is_kept:
        return "cancelled"
    if line.status == "transferred" or line.checked_in_at:
        return "transferred" if line.status == "transferred" else "checked_in"
    if is_free:
        return None
    if booking.refund_policy is None or booking.screening is None:
        return "policy"
    rules = booking.refund_policy.exchange
    if booking.exchange_count >= rules.max_exchanges:
        return "limit" if rules.max_exchanges else "policy"
    minutes = (booking.screening.starts_at - at).total_seconds() / 60
    return None if minutes >= rules.minutes_before_start else "too_late"


def terms_of(quote: ExchangeQuote, booking: Booking, replaced_by: str, quote_id: str, at: datetime) -> Exchange:
    """The terms of a committed quote. `quote_id` is the digest of its id."""
    earlier = booking.exchange.max_refund_percent if booking.exchange else 100
    return Exchange(
        replaces=booking.id,
        replaced_by=replaced_by,
        seats=quote.seats,
        value=quote.value,
        fee=quote.fee,
        carried=quote.carried,
        refund=quote.refund,
        waived=quote.waived,
        counts=quote.counts,
        max_refund_percent=percent_at(booking, at) if quote.counts else earlier,
        quote_id=quote_id,
        at=at,
    )


def exchange_tickets(booking: Booking, exchange: Exchange) -> ExchangeTickets | None:
    """The command that makes the exchange, decided on the earlier booking as it is stored now; None if it is too late.

    The time is not checked: the customer has committed the quote in time and paid since.
    """
    chosen = [line for line in booking.lines if line.seat.seat_id in exchange.seats]
    is_valid = booking.state is State.CONFIRMED and all(
        line.status == "valid" and line.checked_in_at is None for line in chosen
    )
    is_worth_it = sum(_values(booking, chosen).values()) >= exchange.value  # less when others of a group were cancelled
    has_money = is_worth_it and refundable(booking) >= exchange.carried + exchange.refund
    rules = booking.refund_policy.exchange if booking.refund_policy else None
    is_one_too_many = exchange.counts and rules is not None and booking.exchange_count >= rules.max_exchanges
    left_behind = [*companions_left(booking, chosen), *other_halves(booking, chosen)]
    is_alone = leaves_children(booking, chosen) or bool(left_behind)
    if not is_valid or not has_money or is_one_too_many or is_alone:
        return None
    return ExchangeTickets(exchange)


def exchange_made(old: Booking, exchange: Exchange) -> ExchangeMade:
    """The command that completes the new booking, once the earlier one has recorded the exchange."""
    if old.state is not State.EXCHANGED or old.exchanges[-1].replaced_by != exchange.replaced_by:
        return ExchangeMade(exchange.sources)
    return ExchangeMade(exchange.sources, old.calendar_id or old.id, old.moves + 1)


def as_exchange(checkout: Checkout, booking: Booking, exchange: Exchange) -> Checkout:
    """The checkout of a booking that replaces tickets of this one. The refund policy stays with the money."""
    return replace(
        checkout,
        exchange=exchange,
        exchange_count=booking.exchange_count + exchange.counts,
        refund_policy=booking.refund_policy,
    )
