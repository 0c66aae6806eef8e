"""Settings of booking, each from the environment variable of its name."""

from functools import cache, cached_property
from typing import Annotated

from chassis.security.signed import SignedText
from chassis.settings import Published, ServiceSettings
from contracts.claims import HoldClaim, PaymentOrder
from pydantic import Field, SecretStr


class Settings(ServiceSettings):
    """Settings of this service in addition to the common ones.

    `ticket_signing_key`: an Ed25519 private key (PKCS#8 PEM); if empty, booking generates one and stores it.
    `link_key`: encrypts the keys of booking links; shared with the notifier, which decrypts them.
    `claim_key`: verifies hold claims; shared with inventory, which signs them.
    `order_key`: signs payment orders; shared with payment, which verifies them.
    """

    service: str = "booking"
    payment_seconds: int = 600
    ticket_signing_key: Annotated[str, Published()] = ""
    link_key: Annotated[SecretStr, Published(("usher-local-link-key",))] = Field(min_length=16)
    claim_key: Annotated[SecretStr, Published(("usher-local-claim-key",))] = Field(min_length=16)
    order_key: Annotated[SecretStr, Published(("usher-local-order-key",))] = Field(min_length=16)

    @cached_property
    def hold_claims(self) -> SignedText[HoldClaim]:
        """Verifies the claims of holds."""
        return SignedText(HoldClaim, HoldClaim.audience, self.claim_key)

    @cached_property
    def payment_orders(self) -> SignedText[PaymentOrder]:
        """Signs payment orders."""
        return SignedText(PaymentOrder, PaymentOrder.audience, self.order_key)


@cache
def get() -> Settings:
    """The settings of this process."""
    return Settings()  # pyright: ignore[reportCallIssue] - fields without a default come from the environment
