"""Events that realtime publishes, for its own replicas only."""

from contracts.envelope import Event
from contracts.types import Id


class SeatsLookedAt(Event, type="realtime.seats_looked_at.v1", subject="showtime_id"):
    """How many clients of this replica have each seat in their selection. Seats that are not listed have none."""

    instance_id: Id
    showtime_id: Id
    seats: dict[str, int]
