"""Bookings, showtimes and events shared by the tests of booking."""

from datetime import UTC, datetime, timedelta
from typing import Any

from booking.model import (
    Booking,
    CancelTickets,
    Checkout,
    Exchange,
    ExchangeMade,
    ExchangeRefused,
    ExchangeTickets,
    Order,
    RetryRefund,
    ShowtimeOffer,
    Source,
    State,
    Transfer,
    check_out,
    issue_tickets,
    valid_until,
)
from booking.saga import new_booking
from contracts.booking import Screening
from contracts.catalog import Price, ShowtimeCancelled, ShowtimeRescheduled, ShowtimeScheduled
from contracts.claims import HoldClaim
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.payment import PaymentCancelled, PaymentDisputed, PaymentFailed, PaymentRefunded, PaymentRefundFailed
from contracts.types import Holder, Seat

NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
BOOKING, SHOWTIME, REFERENCE = "b1", "s1", "CDFGHJKM"
HOLDER = Holder(user_id="u1")
F7 = Seat(seat_id="F7", row="F", number=7, category="standard")
F8 = Seat(seat_id="F8", row="F", number=8, category="vip")
W1, W2 = (Seat(seat_id=f"W{n}", row="W", number=n, category="wheelchair") for n in (1, 2))
C1, C2, C3 = (Seat(seat_id=f"C{n}", row="C", number=n, category="companion") for n in (1, 2, 3))
PRICES = [
    Price(category="standard", ticket_type="adult", amount=1250),
    Price(category="standard", ticket_type="child", amount=0),
    Price(category="vip", ticket_type="adult", amount=1800),
    Price(category="vip", ticket_type="child", amount=0),
    Price(category="wheelchair", ticket_type="adult", amount=1250),
    Price(category="wheelchair", ticket_type="companion", amount=0),
    Price(category="companion", ticket_type="adult", amount=1250),
    Price(category="companion", ticket_type="companion", amount=0),
]
TOTAL = 1250 + 1800
ADULTS = Order({"F7": "adult", "F8": "adult"}, "ada@example.org", "Ada", "en")
CHILDREN = Order({"F7": "child", "F8": "child"}, "ada@example.org")
WINDOW = timedelta(minutes=10)


def screening(starts_at: datetime = NOW + timedelta(hours=3), showtime_id: str = SHOWTIME) -> Screening:
    return Screening(
        showtime_id=showtime_id,
        movie_title="Metropolis",
        certificate="12",
        theater_name="Kino International",
        auditorium_name="Saal 1",
        format="2D",
        language="de",
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=2),
        time_zone="Europe/Berlin",
    )


OFFER = ShowtimeOffer(screening(), "t1", "EUR", PRICES)


def held(**changes: Any) -> HoldClaim:
    facts: dict[str, Any] = {
        "hold_id": BOOKING,
        "showtime_id": SHOWTIME,
        "seats": [F7, F8],
        "holder": HOLDER,
        "revision": 0,
        "expires_at": NOW + timedelta(minutes=8),
    }
    return HoldClaim(**facts | changes)


def checkout(order: Order = ADULTS, hold: HoldClaim | None = None) -> Checkout:
    return check_out(hold or held(), OFFER, order, reference=REFERENCE, payment_window=WINDOW, now=NOW)


def in_state(state: State | None, **changes: Any) -> Booking | None:
    """A booking in this state, with two adult tickets for 30.50 EUR."""
    if state is None:
        return None
    booking = new_booking(checkout(), NOW)
    ending: dict[State, dict[str, Any]] = {
        State.CLOSING: {"ending": "deadline"},
        State.REFUNDING: {"ending": "seats_lost", "refund_amount": TOTAL},
        State.EXPIRED: {"ending": "deadline"},
        State.CANCELLED: {"ending": "by_customer"},
        State.EXCHANGING: {"tickets": issue_tickets(booking), "tickets_valid_until": valid_until(booking)},
    }
    due = {"state": state, "due_at": booking.payment_deadline_at}
    return booking.model_copy(update=due | ending.get(state, {}) | changes)


SEATS_RELEASED = SeatsReleased(hold_id=BOOKING, showtime_id=SHOWTIME, seats=["F7", "F8"], reason="lapsed")
SEATS_SOLD = SeatsSold(hold_id=BOOKING, showtime_id=SHOWTIME, seats=["F7", "F8"], amount=TOTAL, currency="EUR")
SALE_REJECTED = SaleRejected(hold_id=BOOKING, showtime_id=SHOWTIME, lost=["F8"])
PAYMENT_FAILED = PaymentFailed(booking_id=BOOKING, code="insufficient_funds")
PAYMENT_CANCELLED = PaymentCancelled(booking_id=BOOKING)
PAYMENT_REFUNDED = PaymentRefunded(
    booking_id=BOOKING,
    refund_id=f"{BOOKING}-refund",
    amount=TOTAL,
    refunded=TOTAL,
    captured=TOTAL,
    currency="EUR",
    requested=True,
)
PARTLY_REFUNDED = PAYMENT_REFUNDED.model_copy(
    update={"refund_id": "at-stripe", "amount": 1000, "refunded": 1000, "requested": False}
)
REFUND_FAILED = PaymentRefundFailed.model_validate(PAYMENT_REFUNDED.model_dump() | {"refunded": 0})
CANCEL_F7 = CancelTickets({"F7": 1250}, "by_customer", "q1")
TRANSFER = Transfer(
    ticket_id=f"{BOOKING}-F7_1", previous_id=f"{BOOKING}-F7", seat_id="F7", email="grace@example.org", offered_at=NOW
)
RETRY = RetryRefund(f"{BOOKING}-refund", "again")
PAYMENT_DISPUTED = PaymentDisputed(
    booking_id=BOOKING, dispute_id="du_1", amount=TOTAL, currency="EUR", status="needs_response", is_open=True
)
DISPUTE_ENDED = PAYMENT_DISPUTED.model_copy(update={"status": "won", "is_open": False})
SHOWTIME_CANCELLED = ShowtimeCancelled(showtime_id=SHOWTIME, reason="technical")
SHOWTIME_RESCHEDULED = ShowtimeRescheduled(
    showtime_id=SHOWTIME,
    starts_at=NOW + timedelta(days=1),
    ends_at=NOW + timedelta(days=1, hours=2),
    sales_open_at=NOW,
    sales_close_at=NOW + timedelta(days=1),
)


def exchange(**changes: Any) -> Exchange:
    """Both tickets of b1 for tickets of b2 at 12.50 EUR, so that 18.00 EUR are returned."""
    facts: dict[str, Any] = {"seats": ["F7", "F8"], "value": TOTAL, "fee": 0, "carried": 1250, "refund": 1800}
    ids = {"replaces": BOOKING, "replaced_by": "b2", "quote_id": "x1", "at": NOW}
    return Exchange.model_validate(ids | facts | changes)


EXCHANGED = ExchangeTickets(exchange())
EXCHANGE_MADE = ExchangeMade([Source(booking_id="b0", amount=1250)])
EXCHANGE_REFUSED = ExchangeRefused()


def scheduled(showtime_id: str, starts_at: datetime) -> ShowtimeScheduled:
    times = {"sales_open_at": starts_at - timedelta(days=7), "sales_close_at": starts_at + timedelta(minutes=15)}
    return ShowtimeScheduled.model_validate(
        screening(starts_at, showtime_id).model_dump()
        | times
        | {
            "movie_id": "m1",
            "theater_id": "t1",
            "auditorium_id": "a1",
            "layout_id": "l1",
            "currency": "EUR",
            "prices": [price.model_dump() for price in PRICES],
        }
    )


def rescheduled(showtime_id: str, starts_at: datetime) -> ShowtimeRescheduled:
    return ShowtimeRescheduled(
        showtime_id=showtime_id,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=2),
        sales_open_at=starts_at - timedelta(days=90),
        sales_close_at=starts_at,
    )
