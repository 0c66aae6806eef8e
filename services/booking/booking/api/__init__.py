"""The HTTP API: quote, checkout, bookings, cancellation, link lookup, documents, tickets and their public keys.

Another person's booking is a 404, except for staff with the permission.
"""

from booking.api import bookings, checkout, documents, lookup, tickets

ROUTERS = [checkout.router, lookup.router, bookings.router, documents.router, tickets.router]
