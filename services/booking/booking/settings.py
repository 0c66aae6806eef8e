"""What can be set from outside."""

from functools import cache

from chassis.settings import ServiceSettings
from pydantic import Field, SecretStr


class Settings(ServiceSettings):
    """`ticket_signing_key`: an Ed25519 private key (PKCS#8 PEM). Without one, booking makes its own and keeps it.

    `link_key` seals the keys of links to bookings for the notifier, which has the same.
    """

    service: str = "booking"
    payment_seconds: int = 600
    arrival_seconds: float = 2.0
    ticket_signing_key: str = ""
    link_key: SecretStr = Field(min_length=16)


@cache
def get() -> Settings:
    """The settings, read once."""
    return Settings()  # pyright: ignore[reportCallIssue] - the environment gives what has no default
