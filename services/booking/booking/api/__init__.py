"""The HTTP API: quote, checkout, bookings, cancellation, disputes, lookup, documents, tickets and public keys.

Another person's booking is a 404, except for staff with the permission.
"""

from booking.api import bookings, checkout, disputes, documents, lookup, tickets, wallet

ROUTERS = [
    checkout.router,
    lookup.router,
    disputes.router,
    bookings.router,
    documents.router,
    tickets.router,
    wallet.router,
]
