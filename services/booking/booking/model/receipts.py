"""What a receipt says: the tax by rate, and a credit note for each refund or exchange. Amounts are minor units.

A receipt has the booking's reference as its number, a credit note the reference and its place among the refunds. So
numbers are unique and never reused, and no counter is needed (ADR 42).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise

from booking.model.booking import Booking, OrderLine, State

BOUGHT = frozenset({State.CONFIRMED, State.REFUNDING, State.REFUNDED, State.EXCHANGED})
"""The states of bookings that were paid. A receipt stays available after the end."""


@dataclass(frozen=True)
class TaxShare:
    """The part of a price that has one tax rate; rate and tax are None if unknown. `basis_points`: 700 is 7 %."""

    basis_points: int | None
    gross: int
    tax: int | None


@dataclass(frozen=True)
class CreditNote:
    """The document about one refund."""

    number: str
    amount: int
    at: datetime
    taxes: list[TaxShare]


def has_receipt(booking: Booking) -> bool:
    """Whether the booking was paid. An exchange that was not made has taken over no money."""
    is_made = booking.exchange is None or bool(booking.sources) or not booking.exchange.carried
    return booking.state in BOUGHT and booking.reference is not None and bool(booking.amount) and is_made


def taxes_of(lines: Iterable[OrderLine]) -> list[TaxShare]:
    """The tax of these lines by rate, the lowest rate first and an unknown one last."""
    groups: dict[int | None, list[OrderLine]] = {}
    for line in lines:
        groups.setdefault(line.tax_basis_points, []).append(line)
    rates = sorted(groups, key=lambda rate: (rate is None, rate))
    return [_share(rate, groups[rate]) for rate in rates]


def _share(rate: int | None, lines: list[OrderLine]) -> TaxShare:
    taxes = [line.tax for line in lines if line.tax is not None]
    return TaxShare(rate, sum(line.amount for line in lines), sum(taxes) if len(taxes) == len(lines) else None)


def credit_notes(booking: Booking) -> list[CreditNote]:
    """The credit notes of the refunds made so far, in the order in which they were made.

    Each contains the tax of its part of the price. Together, those of a full refund contain the tax of the receipt. A
    number is the refund's place among all refunds of the booking, so it stays the same when an earlier one is accepted
    later. 0 is for the refunds of bookings from before 2026-12, which have a sum instead of a list. The value that
    exchanged tickets leave to another booking's receipt has the numbers E1, E2 and so on.
    """
    places = enumerate(booking.refunds, 1)
    paid_back = [(number, refund) for number, refund in places if refund.paid_back]
    made = [(str(number), refund.paid_back, refund.settled_at or refund.at) for number, refund in paid_back]
    unlisted = booking.refunded - sum(amount for _, amount, _ in made)
    if unlisted > 0:
        made.append(("0", unlisted, booking.history[-1].at if booking.history else booking.opened_at))
    moved = [(number, each) for number, each in enumerate(booking.exchanges, 1) if each.carried]
    made += [(f"E{number}", each.carried, each.at) for number, each in moved]
    made.sort(key=lambda note: (note[0] != "0", note[2], len(note[0]), note[0]))
    paid, totals = taxes_of(booking.lines), accumulate((amount for _, amount, _ in made), initial=0)
    return [
        CreditNote(f"{booking.reference}-{number}", amount, at, _part(paid, before, after))
        for (number, amount, at), (before, after) in zip(made, pairwise(totals), strict=True)
    ]


def _part(paid: list[TaxShare], before: int, after: int) -> list[TaxShare]:
    """The shares of the money between two totals of refunds."""
    pairs = zip(paid, _until(paid, before), _until(paid, after), strict=True)
    parts = [
        TaxShare(
            share.basis_points,
            late.gross - early.gross,
            None if late.tax is None or early.tax is None else late.tax - early.tax,
        )
        for share, early, late in pairs
    ]
    return [part for part in parts if part.gross]


def _until(paid: list[TaxShare], refunded: int) -> list[TaxShare]:
    """The shares of all refunds together, each in proportion to the price; the last share has what rounding leaves."""
    total = sum(share.gross for share in paid)
    ends = [part * refunded // total for part in accumulate(share.gross for share in paid)] if total else []
    grosses = [end - start for start, end in pairwise([0, *ends])]
    return [
        TaxShare(
            share.basis_points,
            gross,
            None if share.tax is None else share.tax * gross // share.gross if share.gross else 0,
        )
        for share, gross in zip(paid, grosses, strict=True)
    ]
