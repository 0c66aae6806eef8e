"""Identity's settings."""

from datetime import timedelta
from functools import cache

from chassis.settings import ServiceSettings
from pydantic import Field, SecretStr


class Settings(ServiceSettings):
    """`signing_key_pem` (PKCS#8, Ed25519) wins over the key that identity makes and keeps in its own database."""

    service: str = "identity"
    access_token_seconds: int = Field(default=900, ge=60, le=3600)
    session_days: int = Field(default=30, ge=1, le=365)
    signing_key_pem: SecretStr | None = None
    # OWASP's Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
    argon2_memory_kib: int = Field(default=19_456, ge=19_456)
    argon2_passes: int = Field(default=2, ge=2)
    password_workers: int = Field(default=2, ge=1, le=32)

    @property
    def access_token_lifetime(self) -> timedelta:
        """How long an access token is good for."""
        return timedelta(seconds=self.access_token_seconds)

    @property
    def session_lifetime(self) -> timedelta:
        """How long one log-in lasts, however often it is refreshed."""
        return timedelta(days=self.session_days)


@cache
def get() -> Settings:
    """The settings, read once."""
    return Settings()
