"""Which service consumes which event. Services declare their queues from these tables, and bind nothing else."""

from contracts.booking import (
    BookingAdopted,
    BookingCancelled,
    BookingConfirmed,
    BookingDataExported,
    BookingEmailChanged,
    BookingExchanged,
    BookingExpired,
    BookingLinkRequested,
    BookingLinksRequested,
    BookingPaid,
    BookingRefunded,
    BookingRefundFailed,
    BookingRefundMade,
    BookingRescheduled,
    BookingSeatsReturned,
    BookingTicketOffered,
    BookingTicketsCancelled,
    BookingTicketsExchanged,
    BookingTicketsRequested,
    BookingTicketTransferred,
    HouseChangeActed,
    HouseChangeApproved,
    PaymentCancelRequested,
    PaymentRequested,
    RefundRequested,
    StaffActed,
    TransferredTicketChanged,
)
from contracts.catalog import (
    CatalogDataExported,
    MovieChanged,
    MovieDeleted,
    ReviewChanged,
    SeatLayoutPublished,
    ShowtimeCancelled,
    ShowtimeChangeRefused,
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
    SessionEnded,
    UserDeleted,
    VerificationRequested,
)
from contracts.inventory import (
    InventoryDataExported,
    SaleRejected,
    SeatMapUpdated,
    SeatsChanged,
    SeatsOffered,
    SeatsReleased,
    SeatsSold,
    WaitlistEnded,
    WaitlistJoined,
)
from contracts.notifier import MailFailed, NotifierDataExported, OfferUnsent
from contracts.payment import (
    GiftCardActed,
    GiftCardMailed,
    PaymentCancelled,
    PaymentDataExported,
    PaymentDisputed,
    PaymentFailed,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentSucceeded,
)
from contracts.realtime import SeatsLookedAt
from contracts.registry import SERVICES

EXCHANGE = "usher.events"
"""Every queue is bound to it. Events reach it through the exchange of the service that publishes them."""

BOOKING_STATES = (
    PaymentRequested,
    BookingPaid,
    BookingConfirmed,
    BookingExpired,
    BookingCancelled,
    BookingExchanged,
    BookingRefunded,
    BookingTicketsCancelled,
    BookingTicketTransferred,
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
"""Consumed by every service that stores personal data."""

CONSUMES: dict[str, tuple[type[Event], ...]] = {
    "identity": (
        ActRecorded,
        StaffActed,
        HouseChangeActed,
        GiftCardActed,
        CatalogDataExported,
        InventoryDataExported,
        BookingDataExported,
        PaymentDataExported,
        NotifierDataExported,
    ),
    "catalog": (
        MovieChanged,
        MovieDeleted,
        ReviewChanged,
        SeatMapUpdated,
        SeatsSold,
        BookingCancelled,
        BookingExchanged,
        BookingRefunded,
        BookingAdopted,
        HouseChangeApproved,
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
        BookingSeatsReturned,
        OfferUnsent,
        *PEOPLE,
    ),
    "booking": (
        ShowtimeScheduled,
        ShowtimeRescheduled,
        ShowtimeCancelled,
        ShowtimeChangeRefused,
        SeatsReleased,
        SeatsSold,
        SaleRejected,
        PaymentFailed,
        PaymentCancelled,
        PaymentRefunded,
        PaymentRefundFailed,
        PaymentDisputed,
        MailFailed,
        BookingRescheduled,
        BookingCancelled,
        BookingTicketsCancelled,
        BookingTicketsExchanged,
        BookingTicketTransferred,
        BookingExchanged,
        *PEOPLE,
    ),
    "payment": (PaymentCancelRequested, RefundRequested, BookingAdopted, BookingEmailChanged, *PEOPLE),
    "notifier": (
        BookingConfirmed,
        BookingRescheduled,
        BookingCancelled,
        BookingTicketsCancelled,
        BookingTicketsExchanged,
        BookingExchanged,
        BookingRefundMade,
        BookingRefundFailed,
        BookingLinkRequested,
        BookingLinksRequested,
        BookingTicketsRequested,
        BookingEmailChanged,
        BookingAdopted,
        BookingTicketOffered,
        BookingTicketTransferred,
        TransferredTicketChanged,
        WaitlistJoined,
        SeatsOffered,
        WaitlistEnded,
        GiftCardMailed,
        *ACCOUNT_MAILS,
        *PEOPLE,
    ),
    "realtime": (SeatLayoutPublished, ShowtimeScheduled, ShowtimeCancelled, SeatMapUpdated),
}
"""The events of each service's durable queue. Each event is delivered to one of the service's replicas."""

_SEATS = ("seats_held", "hold_changed", "seats_blocked", "seats_unblocked")
_SEAT_EVENTS = tuple(f"inventory.{name}.v1" for name in _SEATS)

RETIRED: dict[str, tuple[str, ...]] = {
    "catalog": (*_SEAT_EVENTS, "inventory.seats_released.v1", "booking.confirmed.v1"),
    "booking": ("inventory.seats_held.v1", "inventory.hold_changed.v1", "payment.succeeded.v1", "booking.confirmed.v1"),
    "payment": ("booking.payment_requested.v1",),
    "realtime": (*_SEAT_EVENTS, "inventory.seats_released.v1", "inventory.seats_sold.v1"),
}
"""Event types that earlier versions consumed and no version in use needs any more, by service.

A type is added here one release after the last version that needs it, because two versions run side by side during an
upgrade. Consumers drop such events until `python -m chassis.bindings contract` removes the binding.
"""

RETIRED_QUEUES = tuple(f"usher.retry.{seconds}s" for seconds in (1, 5, 30, 120))
"""Queues that earlier versions declared: retry tiers that all services shared."""

DISPLAYED: dict[str, tuple[type[Event], ...]] = {
    "realtime": (SeatsChanged, ShowtimeCancelled, *BOOKING_STATES, SeatsLookedAt)
}
BROADCAST: dict[str, tuple[type[Event], ...]] = {
    service: (AccessRevoked, SessionEnded, *DISPLAYED.get(service, ())) for service in SERVICES
}
"""The events of each replica's temporary queue. A replica does not receive what was published while it was down."""


def owner_of(event_type: str) -> str:
    """Return the service that publishes an event type."""
    return event_type.partition(".")[0]


def publishing_exchange(service: str) -> str:
    """Return the name of the exchange through which a service publishes. No other service may write to it."""
    return f"{service}.published"


def own_exchange(service: str) -> str:
    """Return the name of the exchange through which a service puts messages into its own queues.

    The routing key is the queue's name. No other service may write to it.
    """
    return f"{service}.queues"


def queue_name(service: str) -> str:
    """Return the name of a service's durable queue."""
    return f"{service}.events"


def dead_letter_queue_name(service: str) -> str:
    """Return the name of the queue for events that the service could not handle."""
    return f"{service}.events.dead"


def retry_queue_name(service: str, seconds: int) -> str:
    """Return the name of the queue whose messages return to the service's durable queue after some seconds."""
    return f"{service}.events.retry.{seconds}s"


def is_consumed(event_type: str) -> bool:
    """Whether a durable queue is bound to the event type, so that an unroutable event is an error."""
    return event_type in _CONSUMED


_CONSUMED = frozenset(event.type for events in CONSUMES.values() for event in events)

BATCHED = frozenset({PaymentRequested.type})
"""Events that no customer waits for. They are published in batches every 50 ms."""
