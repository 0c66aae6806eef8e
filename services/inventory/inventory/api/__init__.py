"""The HTTP API: seat maps, holds, blocks by staff, and waitlists."""

from inventory.api import blocks, holds, seats, waitlist

ROUTERS = [seats.router, holds.router, blocks.router, waitlist.router]
