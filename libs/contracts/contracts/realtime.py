"""What realtime says: to its own replicas only."""

from contracts.envelope import Event
from contracts.types import Id


class SeatsLookedAt(Event, type="realtime.seats_looked_at.v1", subject="showtime_id"):
    """So many clients of this instance have each seat in their selection now; seats that are not named have none."""

    instance_id: Id
    showtime_id: Id
    seats: dict[str, int]
