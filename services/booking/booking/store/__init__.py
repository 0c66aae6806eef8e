"""Bookings, disputes, lookups, showtimes and ticket keys in MongoDB."""

from booking.store.bookings import (
    due_bookings,
    erase_contacts,
    erase_owner,
    find,
    is_booked,
    keep_contact,
    open_sagas,
    owned_by,
    page,
    set_failed_mail,
)
from booking.store.disputes import dispute_page, record_dispute
from booking.store.documents import DOCUMENTS, BookingDocument, Dispute, Lookup, Showtime, TicketKey
from booking.store.keys import load_key, public_keys, signing
from booking.store.lookups import LOOKUP_PAUSE, MAX_LINKS, find_for_lookup, record_lookup, upcoming_of
from booking.store.process_manager import ProcessManager, new_reference
from booking.store.refunds import UNSETTLED_REFUNDS, Unsettled, refund_page, unsettled_refunds
from booking.store.showtimes import Showtimes, after_showtimes_change, due_cascades, end_cascade, find_showtime
from booking.store.wallets import (
    changed_passes,
    forget_passes,
    forget_push_token,
    mark_passes_changed,
    register_pass,
    unregister_pass,
)

__all__ = [
    "DOCUMENTS",
    "LOOKUP_PAUSE",
    "MAX_LINKS",
    "UNSETTLED_REFUNDS",
    "BookingDocument",
    "Dispute",
    "Lookup",
    "ProcessManager",
    "Showtime",
    "Showtimes",
    "TicketKey",
    "Unsettled",
    "after_showtimes_change",
    "changed_passes",
    "dispute_page",
    "due_bookings",
    "due_cascades",
    "end_cascade",
    "erase_contacts",
    "erase_owner",
    "find",
    "find_for_lookup",
    "find_showtime",
    "forget_passes",
    "forget_push_token",
    "is_booked",
    "keep_contact",
    "load_key",
    "mark_passes_changed",
    "new_reference",
    "open_sagas",
    "owned_by",
    "page",
    "public_keys",
    "record_dispute",
    "record_lookup",
    "refund_page",
    "register_pass",
    "set_failed_mail",
    "signing",
    "unregister_pass",
    "unsettled_refunds",
    "upcoming_of",
]
