"""Inventory's settings. Each one is read from the environment variable of the same name."""

from datetime import timedelta
from functools import cache, cached_property
from typing import Annotated

from chassis.security.signed import SignedText
from chassis.settings import Published, ServiceSettings
from contracts.claims import HoldClaim
from pydantic import Field, SecretStr

from inventory.model import HoldLimits


class Settings(ServiceSettings):
    """Inventory's settings. If the cap is shorter than the hold, every renewal fails."""

    service: str = "inventory"
    claim_key: Annotated[SecretStr, Published(("usher-local-claim-key",))] = Field(min_length=16)
    """Signs the claims of holds. Booking has the same key."""
    hold_seconds: int = Field(default=480, ge=1)
    hold_cap_seconds: int = Field(default=900, ge=1)
    hold_renewals: int = Field(default=1, ge=0)
    holds_per_holder: int = Field(default=3, ge=1)
    pin_grace_seconds: int = Field(default=1200, ge=0)
    """How long a checkout's seats stay held after the payment deadline when no event from booking arrives."""

    @property
    def limits(self) -> HoldLimits:
        """The limits that apply to holds."""
        return HoldLimits(
            hold=timedelta(seconds=self.hold_seconds),
            cap=timedelta(seconds=self.hold_cap_seconds),
            renewals=self.hold_renewals,
            holds_per_holder=self.holds_per_holder,
        )

    @cached_property
    def hold_claims(self) -> SignedText[HoldClaim]:
        """The signer of hold claims."""
        return SignedText(HoldClaim, HoldClaim.audience, self.claim_key)


@cache
def get() -> Settings:
    """Return the settings of this process."""
    return Settings()  # pyright: ignore[reportCallIssue] - from the environment
