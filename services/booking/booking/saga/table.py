"""The saga hold → pay → confirm as one table. `advance` applies a row.

A row means: in this state, on this event, change to that state and publish these events. `end_reason` is why the
booking ends, `when` a condition. The first row whose condition is true applies. When rows exist but none applies,
nothing changes, for example for a deadline that is not due yet or times that the booking already has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingExchanged,
    BookingExpired,
    BookingPaid,
    BookingRefunded,
    BookingRefundFailed,
    BookingRefundMade,
    BookingRescheduled,
    BookingSeatsReturned,
    BookingTicketOffered,
    BookingTicketsCancelled,
    BookingTicketsExchanged,
    BookingTicketTransferred,
    PaymentCancelRequested,
    PaymentRequested,
    RefundRequested,
)
from contracts.catalog import ShowtimeCancelled, ShowtimeRescheduled
from contracts.envelope import Event
from contracts.inventory import SaleRejected, SeatsReleased, SeatsSold
from contracts.payment import (
    PaymentCancelled,
    PaymentDisputed,
    PaymentFailed,
    PaymentRefunded,
    PaymentRefundFailed,
)

from booking.model import (
    AcceptTicket,
    Booking,
    Cancel,
    CancelTickets,
    Checkout,
    DeadlinePassed,
    EndReason,
    ExchangeMade,
    ExchangeRefused,
    ExchangeTickets,
    OfferTicket,
    RecallTicket,
    RetryRefund,
    ReturnTicket,
    State,
    is_acceptable,
    is_offerable,
    is_open,
    is_returnable,
)
from booking.saga.effects import (
    cancels_all,
    cancels_all_without_refund,
    completes_cancellation,
    exchanges_all,
    exchanges_all_with_refund,
    exchanges_with_refund,
    has_failed,
    has_new_start,
    has_new_times,
    has_no_refund,
    is_cancellation,
    is_due,
    is_exchange,
    is_free,
    is_full_refund,
    is_new_refund,
    is_owner_erased,
    is_refund_complete,
    is_refund_due,
    is_showtime_cancelled,
    returns_seats,
    settles_refund,
)

AWAITING, CLOSING, CONFIRMING, EXCHANGING, CONFIRMED, REFUNDING, REFUNDED, EXPIRED, CANCELLED, EXCHANGED = State
NONE = None
Transferring = OfferTicket | RecallTicket | AcceptTicket | ReturnTicket
Trigger = (
    Event
    | Checkout
    | Cancel
    | CancelTickets
    | Transferring
    | RetryRefund
    | ExchangeTickets
    | ExchangeMade
    | ExchangeRefused
    | DeadlinePassed
)


@dataclass(frozen=True)
class Transition:
    """One row of the table. `end_reason` becomes the booking's `ending`."""

    state: State | None
    event: type[Trigger]
    to: State
    emits: tuple[type[Event], ...] = ()
    end_reason: EndReason | None = None
    when: Callable[[Booking, Any, datetime], bool] | None = None


# fmt: off
TRANSITIONS = (
    Transition(NONE,       Checkout,            CONFIRMING, (BookingPaid,), when=is_free),
    Transition(NONE,       Checkout,            AWAITING,   (PaymentRequested,)),
    Transition(AWAITING,   SeatsSold,           EXCHANGING, when=is_exchange),
    Transition(AWAITING,   SeatsSold,           CONFIRMED,  (BookingConfirmed,)),
    Transition(AWAITING,   SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Transition(AWAITING,   PaymentFailed,       AWAITING),
    Transition(AWAITING,   PaymentCancelled,    EXPIRED,    (BookingExpired,), "payment_cancelled"),  # by the provider
    Transition(AWAITING,   Cancel,              CLOSING,    (PaymentCancelRequested,)),
    Transition(AWAITING,   DeadlinePassed,      CLOSING,    (PaymentCancelRequested,), "deadline", when=is_due),
    Transition(AWAITING,   SeatsReleased,       CLOSING,    (PaymentCancelRequested,), "seats_released"),
    Transition(AWAITING,   ShowtimeCancelled,   CLOSING,    (PaymentCancelRequested,), "showtime_cancelled"),
    Transition(AWAITING,   ShowtimeRescheduled, AWAITING,   when=has_new_times),
    Transition(CLOSING,    PaymentCancelled,    CANCELLED,  (BookingCancelled,), when=is_cancellation),
    Transition(CLOSING,    PaymentCancelled,    EXPIRED,    (BookingExpired,)),
    Transition(CLOSING,    SeatsSold,           REFUNDING,  (BookingCancelled, RefundRequested),
               when=is_showtime_cancelled),
    Transition(CLOSING,    SeatsSold,           EXCHANGING, when=is_exchange),
    Transition(CLOSING,    SeatsSold,           CONFIRMED,  (BookingConfirmed,)),  # the payment won the race
    Transition(CLOSING,    SaleRejected,        REFUNDING,  (RefundRequested,), when=is_cancellation),
    Transition(CLOSING,    SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Transition(CLOSING,    DeadlinePassed,      CLOSING,    (PaymentCancelRequested,), when=is_due),  # a repeat
    Transition(CLOSING,    ShowtimeCancelled,   CLOSING,    (), "showtime_cancelled"),
    Transition(CLOSING,    ShowtimeRescheduled, CLOSING,    when=has_new_times),
    Transition(EXPIRED,    SeatsSold,           REFUNDING,  (BookingCancelled, RefundRequested), "by_customer",
               is_owner_erased),
    Transition(EXPIRED,    SeatsSold,           EXCHANGING, when=is_exchange),
    Transition(EXPIRED,    SeatsSold,           CONFIRMED,  (BookingConfirmed,)),  # late payment, seats still free
    Transition(EXPIRED,    SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Transition(EXPIRED,    ShowtimeCancelled,   CANCELLED,  (), "showtime_cancelled"),  # refunds a late payment
    Transition(EXPIRED,    ShowtimeRescheduled, EXPIRED,    when=has_new_times),
    Transition(CANCELLED,  SeatsSold,           REFUNDING,  (BookingCancelled, RefundRequested)),  # a late sale
    Transition(CANCELLED,  SaleRejected,        REFUNDING,  (RefundRequested,)),
    Transition(CONFIRMING, SeatsSold,           EXCHANGING, when=is_exchange),
    Transition(CONFIRMING, SeatsSold,           CONFIRMED,  (BookingConfirmed,)),
    Transition(CONFIRMING, SaleRejected,        REFUNDING,  (RefundRequested,), "seats_lost"),
    Transition(CONFIRMING, DeadlinePassed,      CONFIRMING, (BookingPaid,), when=is_due),  # a repeat
    Transition(CONFIRMING, ShowtimeCancelled,   REFUNDING,  (BookingCancelled, RefundRequested), "showtime_cancelled"),
    Transition(CONFIRMING, ShowtimeRescheduled, CONFIRMING, when=has_new_times),
    Transition(EXCHANGING, ExchangeMade,        REFUNDING,  (BookingCancelled, RefundRequested),
               when=is_showtime_cancelled),
    Transition(EXCHANGING, ExchangeMade,        CONFIRMED,  (BookingConfirmed,)),
    Transition(EXCHANGING, ExchangeRefused,     REFUNDING,  (BookingSeatsReturned, RefundRequested),
               "exchange_refused"),
    Transition(EXCHANGING, DeadlinePassed,      EXCHANGING, when=is_due),  # a repeat
    Transition(EXCHANGING, ShowtimeCancelled,   EXCHANGING, (), "showtime_cancelled"),
    Transition(EXCHANGING, ShowtimeRescheduled, EXCHANGING, when=has_new_times),
    Transition(CONFIRMED,  Cancel,              REFUNDING,  (BookingCancelled, RefundRequested)),
    Transition(CONFIRMED,  CancelTickets,       REFUNDED,
               (BookingTicketsCancelled, BookingCancelled, BookingRefunded), when=cancels_all_without_refund),
    Transition(CONFIRMED,  CancelTickets,       REFUNDING,  (BookingTicketsCancelled, RefundRequested),
               when=cancels_all),
    Transition(CONFIRMED,  CancelTickets,       CONFIRMED,  (BookingTicketsCancelled, BookingSeatsReturned),
               when=has_no_refund),
    Transition(CONFIRMED,  CancelTickets,       CONFIRMED,  (BookingTicketsCancelled, RefundRequested)),  # of a part
    Transition(CONFIRMED,  OfferTicket,         CONFIRMED,  (BookingTicketOffered,), when=is_offerable),
    Transition(CONFIRMED,  RecallTicket,        CONFIRMED,  when=is_open),
    Transition(CONFIRMED,  AcceptTicket,        CONFIRMED,  (BookingTicketTransferred,), when=is_acceptable),
    Transition(CONFIRMED,  ReturnTicket,        CONFIRMED,  (BookingTicketTransferred,), when=is_returnable),
    Transition(CONFIRMED,  ShowtimeCancelled,   REFUNDING,  (BookingCancelled, RefundRequested), "showtime_cancelled"),
    Transition(CONFIRMED,  ShowtimeRescheduled, CONFIRMED,  (BookingRescheduled,), when=has_new_start),
    Transition(CONFIRMED,  ShowtimeRescheduled, CONFIRMED,  when=has_new_times),  # only the end changed
    Transition(CONFIRMED,  ExchangeTickets,     EXCHANGED,  (BookingExchanged, RefundRequested), "exchanged",
               exchanges_all_with_refund),
    Transition(CONFIRMED,  ExchangeTickets,     EXCHANGED,  (BookingExchanged,), "exchanged", exchanges_all),
    Transition(CONFIRMED,  ExchangeTickets,     CONFIRMED,
               (BookingTicketsExchanged, BookingSeatsReturned, RefundRequested), when=exchanges_with_refund),
    Transition(CONFIRMED,  ExchangeTickets,     CONFIRMED,  (BookingTicketsExchanged, BookingSeatsReturned)),  # a part
    Transition(CONFIRMED,  PaymentRefunded,     REFUNDED,   (BookingCancelled, BookingRefunded, BookingRefundMade),
               "refunded_at_provider", is_full_refund),
    Transition(CONFIRMED,  PaymentRefunded,     CONFIRMED,  (BookingSeatsReturned, BookingRefundMade),
               when=returns_seats),
    Transition(CONFIRMED,  PaymentRefunded,     CONFIRMED,  (BookingRefundMade,), when=is_new_refund),  # of a part
    Transition(CONFIRMED,  PaymentRefunded,     CONFIRMED,  when=settles_refund),
    Transition(CONFIRMED,  PaymentRefundFailed, CONFIRMED,  (BookingRefundFailed,), when=settles_refund),
    Transition(CONFIRMED,  RetryRefund,         CONFIRMED,  (RefundRequested,), when=has_failed),
    Transition(CONFIRMED,  DeadlinePassed,      CONFIRMED,  (RefundRequested,), when=is_refund_due),  # a repeat
    Transition(REFUNDING,  PaymentRefunded,     REFUNDED,   (BookingCancelled, BookingRefunded, BookingRefundMade),
               when=completes_cancellation),
    Transition(REFUNDING,  PaymentRefunded,     REFUNDED,   (BookingRefunded, BookingRefundMade),
               when=is_refund_complete),
    Transition(REFUNDING,  PaymentRefunded,     REFUNDING,  (BookingSeatsReturned, BookingRefundMade),
               when=returns_seats),
    Transition(REFUNDING,  PaymentRefunded,     REFUNDING,  (BookingRefundMade,), when=is_new_refund),
    Transition(REFUNDING,  PaymentRefunded,     REFUNDING,  when=settles_refund),
    Transition(REFUNDING,  PaymentRefundFailed, REFUNDING,  (BookingRefundFailed,), when=settles_refund),
    Transition(REFUNDING,  RetryRefund,         REFUNDING,  (RefundRequested,), when=has_failed),
    Transition(REFUNDED,   PaymentRefunded,     REFUNDED,   (BookingRefundMade,), when=is_new_refund),  # more, by staff
    Transition(REFUNDED,   PaymentRefunded,     REFUNDED,   when=settles_refund),
    Transition(REFUNDED,   PaymentRefundFailed, REFUNDED,   (BookingRefundFailed,), when=settles_refund),
    Transition(REFUNDED,   RetryRefund,         REFUNDING,  (RefundRequested,), when=has_failed),
    Transition(EXCHANGED,  PaymentRefunded,     EXCHANGED,  (BookingRefundMade,), when=is_new_refund),  # the difference
    Transition(EXCHANGED,  PaymentRefunded,     EXCHANGED,  when=settles_refund),
    Transition(EXCHANGED,  PaymentRefundFailed, EXCHANGED,  (BookingRefundFailed,), when=settles_refund),
    Transition(EXCHANGED,  RetryRefund,         EXCHANGED,  (RefundRequested,), when=has_failed),
    Transition(EXCHANGED,  DeadlinePassed,      EXCHANGED,  (RefundRequested,), when=is_refund_due),  # a repeat
    Transition(CONFIRMED,  PaymentDisputed,     CONFIRMED),
    Transition(REFUNDING,  PaymentDisputed,     REFUNDING),  # the refund may wait for the end of the dispute
    Transition(REFUNDING,  DeadlinePassed,      REFUNDING,  (RefundRequested,), when=is_due),  # a repeat
)
# fmt: on

NO_STATES: tuple[tuple[State | None, ...], str] = ((), "")
LIVE = (AWAITING, CLOSING, CONFIRMING, EXCHANGING, CONFIRMED)
ENDED = (REFUNDING, REFUNDED, CANCELLED, EXCHANGED)
PAID_BY_SALE = (AWAITING, CLOSING, EXPIRED, CANCELLED)
"""States in which `seats_sold` must contain the paid amount. In the others booking already knows it: the booking is
free, or it was paid when booking still consumed `payment.succeeded` (until 2026-12).
"""
IGNORED: dict[type[Trigger], tuple[tuple[State | None, ...], str]] = {
    SeatsReleased: (
        (CLOSING, CONFIRMING, EXCHANGING, CONFIRMED, EXPIRED, *ENDED),
        "inventory's answer to an event of booking, or older than a late sale",
    ),
    SeatsSold: (
        (EXCHANGING, CONFIRMED, REFUNDING, REFUNDED, EXCHANGED),
        "a repeat, or a sale at the same time as the showtime's cancellation",
    ),
    SaleRejected: (
        (REFUNDING, REFUNDED, EXCHANGED),
        "a repeat, or a second delivery of the payment after the booking has ended",
    ),
    PaymentFailed: (
        (CLOSING, CONFIRMING, EXCHANGING, CONFIRMED, EXPIRED, *ENDED),
        "a late event about an earlier attempt, which changes nothing",
    ),
    PaymentCancelled: (
        (CONFIRMING, EXCHANGING, CONFIRMED, EXPIRED, *ENDED),
        "a repeat, possibly older than a late payment",
    ),
    PaymentDisputed: ((REFUNDED, EXCHANGED), "nothing waits for the end of the dispute"),
    ShowtimeCancelled: (ENDED, "the booking has already ended"),
    ShowtimeRescheduled: (ENDED, "the booking has already ended"),
    ExchangeMade: ((CONFIRMED, REFUNDING, REFUNDED, EXCHANGED), "a repeat"),
    ExchangeRefused: ((REFUNDING, REFUNDED), "a repeat"),
    Cancel: ((CLOSING, REFUNDING, REFUNDED, CANCELLED), "the booking is ending or has already ended"),
    DeadlinePassed: ((REFUNDED, EXPIRED, CANCELLED), "the state changed before the timer fired"),
}
"""Events that change nothing in these states, with the reason."""

UNDECIDED = (AWAITING, CLOSING, CONFIRMING, EXCHANGING, EXPIRED, CANCELLED)
EARLY: dict[type[Trigger], tuple[tuple[State | None, ...], str]] = {
    PaymentRefunded: (UNDECIDED, "the refund overtook the sale"),
    PaymentRefundFailed: (UNDECIDED, "the refund overtook the sale"),
    PaymentDisputed: (UNDECIDED, "the dispute overtook the sale"),
}
"""Events that become valid once the event that they overtook has arrived. No event can overtake the checkout, because
the booking is stored before any event about it is published; so an event about an unknown booking is unexpected.
"""
