"""HTTP in: quote, checkout, lists, one booking, cancel, lost ones; tickets and the keys that they are checked with.

Someone else's booking is a 404 for everybody but staff with the permission.
"""

from booking.api import bookings, checkout, lookup, tickets

ROUTERS = [checkout.router, lookup.router, bookings.router, tickets.router]
