"""Settings of inventory, each from the environment variable of its name."""

from datetime import timedelta
from functools import cache

from chassis.settings import ServiceSettings
from pydantic import Field

from inventory.model import Limits


class Settings(ServiceSettings):
    """Seconds are whole; a cap shorter than the hold itself would make every renewal fail."""

    service: str = "inventory"
    hold_seconds: int = Field(default=480, ge=1)
    hold_cap_seconds: int = Field(default=900, ge=1)
    hold_renewals: int = Field(default=1, ge=0)
    holds_per_holder: int = Field(default=3, ge=1)
    pin_grace_seconds: int = Field(default=1200, ge=0)
    """How long a checkout's seats outlive the payment deadline when booking never answers (saga.md: 20 minutes)."""

    @property
    def limits(self) -> Limits:
        """The limits of holds."""
        return Limits(
            hold=timedelta(seconds=self.hold_seconds),
            cap=timedelta(seconds=self.hold_cap_seconds),
            renewals=self.hold_renewals,
            holds_per_holder=self.holds_per_holder,
        )


@cache
def get() -> Settings:
    """The settings of this process."""
    return Settings()
