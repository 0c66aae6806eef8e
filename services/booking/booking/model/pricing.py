"""Prices, quotes and the checkout. No I/O; the time is a parameter."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contracts.booking import Screening
from contracts.catalog import Price, RefundPolicy
from contracts.claims import HoldClaim
from contracts.types import Seat, seat_names
from pydantic import BaseModel

from booking.model.booking import Checkout, Order, OrderLine
from booking.model.problems import (
    CompanionWithoutWheelchair,
    HoldExpired,
    PriceUnknown,
    ShowtimeClosed,
    TicketsDoNotMatch,
)
from booking.model.promotions import Place, place_of

COMPANION, WHEELCHAIR = "companion", "wheelchair"
"""Catalog's ticket type for the companion of a wheelchair user, and its category of wheelchair spaces."""


class TicketOption(BaseModel):
    """A ticket type available for a seat, in minor units. `amount` includes `fee` and `tax`, null if unknown."""

    ticket_type: str
    amount: int
    fee: int | None = None
    tax: int | None = None


class QuotedSeat(BaseModel):
    """The price of a seat: the chosen or default ticket type, and all ticket types that can be chosen.

    Their amounts are before the seat's `discount` by promotions.
    """

    seat: Seat
    chosen: TicketOption
    options: list[TicketOption]
    discount: int = 0


@dataclass(frozen=True)
class ShowtimeOffer:
    """The data of a showtime that quotes and checkouts use. `local_date` is its business day, None if unknown."""

    screening: Screening
    theater_id: str | None
    currency: str
    prices: Sequence[Price]
    is_cancelled: bool = False
    refund_policy: RefundPolicy = field(default_factory=RefundPolicy)
    movie_id: str | None = None
    local_date: str | None = None

    @property
    def place(self) -> Place:
        """What the conditions of promotions compare."""
        return place_of(
            movie_id=self.movie_id,
            theater_id=self.theater_id,
            screening_format=self.screening.format,
            currency=self.currency,
            starts_at=self.screening.starts_at,
            time_zone=self.screening.time_zone,
            local_date=self.local_date,
        )


def price(seats: Iterable[Seat], ticket_types: dict[str, str], prices: Iterable[Price]) -> list[OrderLine]:
    """Price each seat with its chosen ticket type, by the showtime's price table.

    Raises TicketsDoNotMatch unless every seat has exactly one ticket type, PriceUnknown when the type is not available
    for the seat's category, and CompanionWithoutWheelchair.
    """
    by_id = {seat.seat_id: seat for seat in seats}
    _check_seats(by_id, ticket_types)
    table = {(price.category, price.ticket_type): price for price in prices}
    found = {seat_id: table.get((seat.category, ticket_types[seat_id])) for seat_id, seat in by_id.items()}
    if unpriced := [by_id[seat_id] for seat_id, price in found.items() if price is None]:
        raise _price_unknown(unpriced)
    _check_companions(by_id.values(), ticket_types)
    return [
        OrderLine(
            seat=seat,
            ticket_type=ticket_types[seat_id],
            amount=price.amount,
            fee=price.fee,
            tax=price.tax,
            tax_basis_points=price.tax_basis_points,
        )
        for seat_id, seat in by_id.items()
        if (price := found[seat_id]) is not None
    ]


def _check_seats(seat_ids: Iterable[str], ticket_types: Mapping[str, Any]) -> None:
    if mismatched := sorted(set(seat_ids) ^ ticket_types.keys()):
        raise TicketsDoNotMatch(f"Tickets and held seats differ in {', '.join(mismatched)}.", seats=mismatched)


def _price_unknown(seats: list[Seat]) -> PriceUnknown:
    detail = f"The ticket type chosen for {', '.join(seat_names(seats))} is not available there."
    return PriceUnknown(detail, seats=[seat.seat_id for seat in seats])


def unaccompanied(seats: Collection[Seat], ticket_types: Mapping[str, str]) -> list[str]:
    """Return the seats with a companion ticket but no wheelchair space for it, in their order.

    A wheelchair space with any other ticket allows one companion ticket; it cannot have a companion ticket itself.
    """
    places = {seat.seat_id for seat in seats if seat.category == WHEELCHAIR}
    companions = [seat.seat_id for seat in seats if ticket_types[seat.seat_id] == COMPANION]
    allowed = [seat_id for seat_id in companions if seat_id not in places][: len(places.difference(companions))]
    return [seat_id for seat_id in companions if seat_id not in allowed]


def _check_companions(seats: Collection[Seat], ticket_types: Mapping[str, str]) -> None:
    if alone := unaccompanied(seats, ticket_types):
        names = seat_names(seat for seat in seats if seat.seat_id in alone)
        detail = f"Add a wheelchair space for each companion, or choose another ticket type for {', '.join(names)}."
        raise CompanionWithoutWheelchair(detail, seats=alone)


def quote(hold: HoldClaim, offer: ShowtimeOffer, choices: Mapping[str, str | None], now: datetime) -> list[QuotedSeat]:
    """Price the held seats as if they were checked out now with these ticket types.

    The default for a seat is `adult`, or else the first ticket type of its category.
    Raises ShowtimeClosed, HoldExpired, TicketsDoNotMatch, PriceUnknown and CompanionWithoutWheelchair.
    """
    _check_sold(hold, offer, now)
    if choices:
        _check_seats((seat.seat_id for seat in hold.seats), choices)
    quoted = [_quoted(seat, choices.get(seat.seat_id), offer.prices) for seat in hold.seats]
    chosen = {each.seat.seat_id: each.chosen.ticket_type for each in quoted}
    _check_companions(hold.seats, chosen)
    for each in quoted:
        each.options = [
            option
            for option in each.options
            if not unaccompanied(hold.seats, chosen | {each.seat.seat_id: option.ticket_type})
        ]
    return quoted


def _quoted(seat: Seat, ticket_type: str | None, prices: Iterable[Price]) -> QuotedSeat:
    options = [
        TicketOption(**price.model_dump(exclude={"category"})) for price in prices if price.category == seat.category
    ]
    wanted = [ticket_type] if ticket_type else ["adult", *(option.ticket_type for option in options[:1])]
    for chosen in (option for kind in wanted for option in options if option.ticket_type == kind):
        return QuotedSeat(seat=seat, chosen=chosen, options=options)
    raise _price_unknown([seat])


def price_hold(hold: HoldClaim, offer: ShowtimeOffer, ticket_types: dict[str, str], now: datetime) -> list[OrderLine]:
    """The order lines of the held seats with these ticket types, as if they were checked out now.

    Raises ShowtimeClosed, HoldExpired, TicketsDoNotMatch, PriceUnknown and CompanionWithoutWheelchair.
    """
    _check_sold(hold, offer, now)
    return price(hold.seats, ticket_types, offer.prices)


def check_out(
    hold: HoldClaim, offer: ShowtimeOffer, order: Order, *, reference: str, payment_window: timedelta, now: datetime
) -> Checkout:
    """Create the command that checks out this hold. The payment deadline is never after the showtime's end.

    Raises ShowtimeClosed, HoldExpired, TicketsDoNotMatch, PriceUnknown and CompanionWithoutWheelchair.
    """
    return Checkout(
        hold=hold,
        order=order,
        lines=price_hold(hold, offer, order.ticket_types, now),
        currency=offer.currency,
        screening=offer.screening,
        theater_id=offer.theater_id,
        reference=reference,
        payment_deadline_at=min(now + payment_window, offer.screening.ends_at),
        refund_policy=offer.refund_policy,
    )


def _check_sold(hold: HoldClaim, offer: ShowtimeOffer, now: datetime) -> None:
    """Raises ShowtimeClosed or HoldExpired when the hold can no longer be checked out."""
    if offer.is_cancelled:
        raise ShowtimeClosed("This showtime was cancelled.")
    if now >= offer.screening.ends_at:
        raise ShowtimeClosed("This showtime is over.")
    if now >= hold.expires_at:
        raise HoldExpired
