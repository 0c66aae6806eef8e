"""Inventory without the guards in its writes, to show what they prevent: `uvicorn unguarded:app`."""

from inventory.main import app
from inventory.store import guards

guards.seats_are_free = lambda *_: {}
# The sale has its own guard: without the first guard alone, two people hold a seat but only one gets it.
guards.seats_belong_to = lambda *_: {}

__all__ = ["app"]
