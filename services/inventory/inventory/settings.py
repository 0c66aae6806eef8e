"""Settings of inventory, each from the environment variable of its name."""

from datetime import timedelta
from functools import cache, cached_property

from chassis.settings import ServiceSettings
from chassis.signed import SignedText
from contracts.claims import HoldClaim
from pydantic import Field, SecretStr

from inventory.model import HoldLimits


class Settings(ServiceSettings):
    """Seconds are whole; a cap shorter than the hold itself would make every renewal fail."""

    service: str = "inventory"
    claim_key: SecretStr = Field(min_length=16)
    """Signs holds' claims; booking has the same key."""
    hold_seconds: int = Field(default=480, ge=1)
    hold_cap_seconds: int = Field(default=900, ge=1)
    hold_renewals: int = Field(default=1, ge=0)
    holds_per_holder: int = Field(default=3, ge=1)
    pin_grace_seconds: int = Field(default=1200, ge=0)
    """How long a checkout's seats outlive the payment deadline when booking never answers (saga.md: 20 minutes)."""

    @property
    def limits(self) -> HoldLimits:
        """The limits of holds."""
        return HoldLimits(
            hold=timedelta(seconds=self.hold_seconds),
            cap=timedelta(seconds=self.hold_cap_seconds),
            renewals=self.hold_renewals,
            holds_per_holder=self.holds_per_holder,
        )

    @cached_property
    def hold_claims(self) -> SignedText[HoldClaim]:
        """Signs what a hold is, for booking."""
        return SignedText(HoldClaim, HoldClaim.audience, self.claim_key)


@cache
def get() -> Settings:
    """The settings of this process."""
    return Settings()  # pyright: ignore[reportCallIssue] - from the environment
