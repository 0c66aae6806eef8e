"""The HTTP API: quote, checkout, bookings, cancellation, owner, address, disputes, refunds, lookup, documents, tickets,
promotions.

Another person's booking is a 404, except for staff with the permission.
"""

from booking.api import (
    bookings,
    cancellation,
    checkout,
    choice,
    disputes,
    documents,
    exchange,
    house_changes,
    lookup,
    owners,
    promotions,
    received,
    refunds,
    tickets,
    transfers,
    wallet,
)

ROUTERS = [
    checkout.router,
    lookup.router,
    disputes.router,
    refunds.router,
    house_changes.router,
    bookings.router,
    owners.router,
    cancellation.router,
    exchange.router,
    choice.router,
    documents.router,
    promotions.router,
    tickets.router,
    transfers.router,
    received.router,
    wallet.router,
]
