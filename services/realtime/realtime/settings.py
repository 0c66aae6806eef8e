"""Settings of realtime, each from the environment variable of its name."""

from functools import cache

from chassis.settings import ServiceSettings
from pydantic import Field


class Settings(ServiceSettings):
    """Limits apply to each process unless they say otherwise."""

    service: str = "realtime"
    max_connections: int = Field(default=5000, ge=1)
    max_subscriptions: int = Field(default=8, ge=1)
    """Showtimes that one connection may follow."""
    max_connections_per_address: int = Field(default=100, ge=1)
    """A whole school may sit behind one address."""
    max_messages_per_heartbeat: int = Field(default=400, ge=1)
    """How many messages a client may send between two heartbeats."""
    max_unsent_bytes: int = Field(default=128 * 1024, ge=1024)
    """How far a client may lag behind before it is dropped."""
    heartbeat_seconds: float = Field(default=20, gt=0)
    """How often clients get a ping. A client that has not answered by the next one is dropped."""
    burst_seconds: float = Field(default=0.025, ge=0)
    """Changes that follow one another faster than this are sent together."""
    recent_events: int = Field(default=4096, ge=1)
    """How many changes a replica remembers, to bridge the time until they are in the database."""
    refresh_seconds: float = Field(default=2.5, gt=0)
    """How often shown maps are compared with the database, which has each change after about two seconds."""
    keep_days: int = Field(default=30, ge=1)
    """How long a map is kept after its showtime ends. A showtime may be moved by less than this."""


@cache
def get() -> Settings:
    """The settings of this process."""
    return Settings()
