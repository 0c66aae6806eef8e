"""What can be set from outside."""

from functools import cache

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """`ticket_signing_key`: an Ed25519 private key (PKCS#8 PEM). Without one, booking makes its own and keeps it."""

    service: str = "booking"
    payment_seconds: int = 600
    arrival_seconds: float = 2.0
    ticket_signing_key: str = ""


@cache
def get() -> Settings:
    """The settings, read once."""
    return Settings()
