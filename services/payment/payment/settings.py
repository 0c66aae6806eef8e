"""Settings of the payment service, from the environment."""

from functools import cache, cached_property
from typing import Annotated

from chassis.security.signed import SignedText
from chassis.settings import Published, ServiceSettings
from contracts.claims import PaymentOrder
from pydantic import Field, SecretStr


class Settings(ServiceSettings):
    """An empty `stripe_api_base` means Stripe itself. `stripe_webhook_secret` accepts several secrets with commas.

    `order_key` is the key with which booking signs payment orders. `gift_card_key` is that of the hashes of gift cards'
    codes; several with commas, the first one for new codes. A card whose key is removed can no longer be found.
    `link_key` encrypts codes for the notifier, which has the same key.
    """

    service: str = "payment"
    max_body_bytes: int = 524_288
    stripe_secret_key: Annotated[str, Published(("sk_test_usher",))] = ""
    stripe_publishable_key: str = ""
    stripe_webhook_secret: Annotated[str, Published(("whsec_usher_local", "whsec_sandbox"))] = ""
    stripe_api_base: str = ""
    stripe_js_url: str = "https://js.stripe.com/v3/"
    stripe_timeout_seconds: float = 5.0
    order_key: Annotated[SecretStr, Published(("usher-local-order-key",))] = Field(min_length=16)
    gift_card_key: Annotated[SecretStr, Published(("usher-local-gift-card-key",))] = Field(min_length=16)
    link_key: Annotated[SecretStr, Published(("usher-local-link-key",))] = Field(min_length=16)

    @cached_property
    def payment_orders(self) -> SignedText[PaymentOrder]:
        """The verifier of payment orders, which booking signs."""
        return SignedText(PaymentOrder, PaymentOrder.audience, self.order_key)

    @property
    def webhook_secrets(self) -> list[str]:
        """The accepted webhook secrets; more than one while they rotate."""
        return [secret.strip() for secret in self.stripe_webhook_secret.split(",") if secret.strip()]

    @property
    def gift_card_keys(self) -> list[str]:
        """The keys of the hashes of codes."""
        return [key for each in self.gift_card_key.get_secret_value().split(",") if (key := each.strip())]


@cache
def get() -> Settings:
    """Return the settings, which are read once."""
    return Settings()  # pyright: ignore[reportCallIssue] - required fields come from the environment
