"""Settings of booking, each from the environment variable of its name."""

import json
from functools import cache, cached_property
from typing import Annotated, NamedTuple, Self

from chassis.security.signed import SignedText
from chassis.settings import Published, ServiceSettings
from contracts.claims import HoldClaim, PaymentOrder
from pydantic import Field, SecretStr, model_validator


class AppleWalletSettings(NamedTuple):
    """What signs Apple Wallet passes: PEM texts. `push_authority` is the push service's CA; empty for the system's."""

    certificate: str
    key: str
    issuer_certificate: str
    push_url: str
    push_authority: str


class GoogleWalletSettings(NamedTuple):
    """What signs Google Wallet links: the issuer's number, and its service account."""

    issuer: str
    client_email: str
    private_key: str


class Settings(ServiceSettings):
    """Settings of this service in addition to the common ones.

    `ticket_signing_key`: an Ed25519 private key (PKCS#8 PEM); if empty, booking generates one and stores it.
    `link_key`: encrypts the keys of booking links; shared with the notifier, which decrypts them.
    `claim_key`: verifies hold claims; shared with inventory, which signs them.
    `order_key`: signs payment orders; shared with payment, which verifies them.
    `apple_pass_certificate` (PEM): offers passes for Apple Wallet; needs `apple_pass_key`, `apple_issuer_certificate`.
    `google_wallet_issuer`: offers links to Google Wallet; needs `google_wallet_account`, a service account's JSON key.
    """

    service: str = "booking"
    payment_seconds: int = 600
    ticket_signing_key: Annotated[str, Published()] = ""
    link_key: Annotated[SecretStr, Published(("usher-local-link-key",))] = Field(min_length=16)
    claim_key: Annotated[SecretStr, Published(("usher-local-claim-key",))] = Field(min_length=16)
    order_key: Annotated[SecretStr, Published(("usher-local-order-key",))] = Field(min_length=16)

    apple_pass_certificate: str = ""
    apple_pass_key: Annotated[SecretStr, Published()] = SecretStr("")
    apple_issuer_certificate: str = ""
    apple_push_url: str = "https://api.push.apple.com"
    apple_push_authority: str = ""
    google_wallet_issuer: str = ""
    google_wallet_account: Annotated[SecretStr, Published()] = SecretStr("")

    @model_validator(mode="after")
    def _wallets_are_complete(self) -> Self:
        if self.apple_pass_certificate and not (
            self.apple_pass_key.get_secret_value() and self.apple_issuer_certificate
        ):
            raise ValueError("APPLE_PASS_CERTIFICATE needs APPLE_PASS_KEY and APPLE_ISSUER_CERTIFICATE")
        if self.google_wallet_issuer and not self.google_wallet_account.get_secret_value():
            raise ValueError("GOOGLE_WALLET_ISSUER needs GOOGLE_WALLET_ACCOUNT")
        return self

    @cached_property
    def apple_wallet(self) -> AppleWalletSettings | None:
        """What signs Apple Wallet passes, if the cinema has it."""
        if not self.apple_pass_certificate:
            return None
        return AppleWalletSettings(
            self.apple_pass_certificate,
            self.apple_pass_key.get_secret_value(),
            self.apple_issuer_certificate,
            self.apple_push_url,
            self.apple_push_authority,
        )

    @cached_property
    def google_wallet(self) -> GoogleWalletSettings | None:
        """What signs Google Wallet links, if the cinema has it."""
        if not self.google_wallet_issuer:
            return None
        account = json.loads(self.google_wallet_account.get_secret_value())
        return GoogleWalletSettings(self.google_wallet_issuer, account["client_email"], account["private_key"])

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
