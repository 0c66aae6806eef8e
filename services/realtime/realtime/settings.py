"""Settings of realtime, each from the environment variable of its name."""

from functools import cache

from chassis.settings import ServiceSettings
from pydantic import Field


class Settings(ServiceSettings):
    """Bounds hold per process unless they say otherwise."""

    service: str = "realtime"
    consumer_concurrency: int = 64
    """Many, since each waits a little so that their writes go together."""
    max_connections: int = Field(default=5000, ge=1)
    max_subscriptions: int = Field(default=8, ge=1)
    """Showtimes that one connection may follow."""
    max_message_bytes: int = Field(default=4096, ge=256)
    """The longest message that a client may send."""
    outgoing_messages: int = Field(default=256, ge=1)
    """How far a client may lag behind before it is dropped."""
    recent_events: int = Field(default=4096, ge=1)
    """How many events an instance remembers, to bridge the time until they are in the database."""
    refresh_seconds: float = Field(default=15, gt=0)
    """How often shown maps are compared with the database, in case the broker was away."""
    keep_days: int = Field(default=30, ge=1)
    """How long after its end a showtime's map is kept; a showtime may be moved by less than this."""


@cache
def get() -> Settings:
    """The settings of this process."""
    return Settings()
