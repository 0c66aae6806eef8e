"""Which service consumes what. Services declare their queues from this table; nothing else binds to the exchange."""

from contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingDataExported,
    BookingExchanged,
    BookingExpired,
    BookingLinkRequested,
    BookingPaid,
    BookingRefunded,
    BookingRescheduled,
    PaymentCancelRequested,
    PaymentRequested,
    RefundRequested,
)
from contracts.catalog import (
    CatalogDataExported,
    MovieChanged,
    MovieDeleted,
    ReviewChanged,
    SeatLayoutPublished,
    ShowtimeCancelled,
    ShowtimeRescheduled,
    ShowtimeScheduled,
)
from contracts.envelope import Event
from contracts.identity import (
    AccessRevoked,
    ActRecorded,
    EmailChangeRequested,
    ExportRequested,
    InvitationRequested,
    PasswordResetRequested,
    RegistrationRepeated,
    SecurityNoticed,
    UserDeleted,
    VerificationRequested,
)
from contracts.inventory import SaleRejected, SeatMapUpdated, SeatsChanged, SeatsReleased, SeatsSold
from contracts.notifier import NotifierDataExported
from contracts.payment import PaymentCancelled, PaymentDataExported, PaymentFailed, PaymentRefunded, PaymentSucceeded
from contracts.realtime import SeatsLookedAt
from contracts.registry import SERVICES

EXCHANGE = "usher.events"

BOOKING_STATES = (
    PaymentRequested,
    BookingPaid,
    BookingConfirmed,
    BookingExpired,
    BookingCancelled,
    BookingExchanged,
    BookingRefunded,
)

ACCOUNT_MAILS = (
    VerificationRequested,
    RegistrationRepeated,
    PasswordResetRequested,
    EmailChangeRequested,
    InvitationRequested,
    SecurityNoticed,
)
PEOPLE = (UserDeleted, ExportRequested)
"""For services that keep personal data."""

HEARS: dict[str, tuple[type[Event], ...]] = {
    "identity": (ActRecorded, CatalogDataExported, BookingDataExported, PaymentDataExported, NotifierDataExported),
    "catalog": (
        MovieChanged,
        MovieDeleted,
        ReviewChanged,
        SeatMapUpdated,
        SeatsSold,
        BookingCancelled,
        BookingExchanged,
        BookingRefunded,
        *PEOPLE,
    ),
    "inventory": (
        SeatLayoutPublished,
        ShowtimeScheduled,
        ShowtimeRescheduled,
        ShowtimeCancelled,
        PaymentRequested,
        PaymentSucceeded,
        BookingPaid,
        BookingExpired,
        BookingCancelled,
        BookingExchanged,
    ),
    "booking": (
        ShowtimeScheduled,
        ShowtimeRescheduled,
        ShowtimeCancelled,
        SeatsReleased,
        SeatsSold,
        SaleRejected,
        PaymentFailed,
        PaymentCancelled,
        PaymentRefunded,
        *PEOPLE,
    ),
    "payment": (PaymentCancelRequested, RefundRequested, *PEOPLE),
    "notifier": (
        BookingConfirmed,
        BookingRescheduled,
        BookingCancelled,
        BookingLinkRequested,
        *ACCOUNT_MAILS,
        *PEOPLE,
    ),
    "realtime": (SeatLayoutPublished, ShowtimeScheduled, ShowtimeCancelled, SeatMapUpdated),
}
"""A durable queue per service: each event reaches one of its replicas."""

_SEATS = ("seats_held", "hold_changed", "seats_blocked", "seats_unblocked")
_SEAT_EVENTS = tuple(f"inventory.{name}.v1" for name in _SEATS)

RETIRED: dict[str, tuple[str, ...]] = {
    "catalog": (*_SEAT_EVENTS, "inventory.seats_released.v1", "booking.confirmed.v1"),
    "booking": ("inventory.seats_held.v1", "inventory.hold_changed.v1", "payment.succeeded.v1", "booking.confirmed.v1"),
    "payment": ("booking.payment_requested.v1",),
    "realtime": (*_SEAT_EVENTS, "inventory.seats_released.v1", "inventory.seats_sold.v1"),
}
"""What earlier versions consumed and no version in use needs any more, by service.

A type comes here one release after the last version that needs it, because two versions run side by side during an
upgrade. Until `python -m chassis.bindings contract` removes the binding, consumers drop such events.
"""

SHOWN: dict[str, tuple[type[Event], ...]] = {
    "realtime": (SeatsChanged, ShowtimeCancelled, *BOOKING_STATES, SeatsLookedAt)
}
WATCHES: dict[str, tuple[type[Event], ...]] = {
    service: (AccessRevoked, *SHOWN.get(service, ())) for service in SERVICES
}
"""A queue for each replica, which is deleted with it: what a replica misses must be published or asked for again."""


def queue_name(service: str) -> str:
    """The durable queue of a service."""
    return f"{service}.events"


def dead_letter_queue_name(service: str) -> str:
    """Where a service's events go that it cannot handle."""
    return f"{service}.events.dead"


def is_heard(event_type: str) -> bool:
    """Whether some durable queue is bound to the type, so that losing it would be a fault."""
    return event_type in _HEARD


_HEARD = frozenset(event.type for events in HEARS.values() for event in events)

GATHERED = frozenset({PaymentRequested.type})
"""Events that no customer waits for. They are published together every 50 ms."""
