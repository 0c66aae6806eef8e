"""The HTTP API: seat maps, holds, and blocks by staff."""

from inventory.api import blocks, holds, seats

ROUTERS = [seats.router, holds.router, blocks.router]
