"""The HTTP API: quote, checkout, bookings, cancellation, link lookup, tickets and their public keys.

Another person's booking is a 404, except for staff with the permission.
"""

from booking.api import bookings, checkout, lookup, tickets

ROUTERS = [checkout.router, lookup.router, bookings.router, tickets.router]
