"""What can be set from outside."""

from functools import cache, cached_property

from chassis.settings import ServiceSettings
from chassis.signed import SignedText
from contracts.claims import HoldClaim, PaymentOrder
from pydantic import Field, SecretStr


class Settings(ServiceSettings):
    """`ticket_signing_key`: an Ed25519 private key (PKCS#8 PEM). Without one, booking makes its own and keeps it.

    `link_key` seals the keys of links to bookings for the notifier, which has the same. `claim_key` is shared with
    inventory, which signs the claims of holds with it, `order_key` with payment, which reads the orders signed here.
    """

    service: str = "booking"
    payment_seconds: int = 600
    ticket_signing_key: str = ""
    link_key: SecretStr = Field(min_length=16)
    claim_key: SecretStr = Field(min_length=16)
    order_key: SecretStr = Field(min_length=16)

    @cached_property
    def hold_claims(self) -> SignedText[HoldClaim]:
        """Reads the claims of holds."""
        return SignedText(HoldClaim, HoldClaim.audience, self.claim_key)

    @cached_property
    def payment_orders(self) -> SignedText[PaymentOrder]:
        """Signs orders for payment."""
        return SignedText(PaymentOrder, PaymentOrder.audience, self.order_key)


@cache
def get() -> Settings:
    """The settings, read once."""
    return Settings()  # pyright: ignore[reportCallIssue] - the environment gives what has no default
