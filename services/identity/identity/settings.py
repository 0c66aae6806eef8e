"""Identity's settings."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Annotated, Self
from urllib.parse import urlsplit

from chassis.settings import Published, ServiceSettings
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from identity.model import MIN_PASSWORD, Role, SessionLimits, is_staff

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Settings(ServiceSettings):
    """`signing_key_pem` (PKCS#8, Ed25519) takes precedence over the keys in identity's database.

    `link_key` encrypts the secrets of mailed links for the notifier, which has the same key; `totp_key` encrypts the
    secrets of authenticator apps in the database, `identity_key` the signing keys there and the cookies of known
    devices. They are random texts; several, with commas, during a rotation.
    """

    service: str = "identity"
    link_key: Annotated[SecretStr, Published(("usher-local-link-key",))] = Field(min_length=16)
    totp_key: Annotated[SecretStr, Published(("usher-local-totp-key",))] = Field(min_length=16)
    identity_key: Annotated[SecretStr, Published(("usher-local-identity-key",))] = Field(min_length=16)
    access_token_seconds: int = Field(default=900, ge=60, le=3600)
    session_days: int = Field(default=30, ge=1, le=365)
    staff_session_hours: int = Field(default=12, ge=1, le=720)
    staff_idle_minutes: int = Field(default=60, ge=5, description="longer than an access token is valid")
    signing_key_pem: Annotated[SecretStr | None, Published()] = None
    key_rotation_days: int = Field(default=90, ge=1)
    verification_hours: int = Field(default=24, ge=1, le=168)
    reset_minutes: int = Field(default=60, ge=5, le=1440)
    # NIST SP 800-63B-4, 3.1.1.2: 8 with a second factor, 15 for a password alone.
    min_password_length: int = Field(default=MIN_PASSWORD, ge=MIN_PASSWORD, le=64)
    second_factor_for_admins: bool | None = Field(default=None, description="by default unless the site is local")
    factor_removal_hours: int = Field(default=72, ge=1, le=720, description="after a new password by mail")
    invitation_hours: int = Field(default=72, ge=1, le=336)
    export_patience_seconds: int = Field(default=300, ge=1, description="how long an export waits for a service")
    address_attempts: int = Field(default=100, ge=1, description="free failed sign-ins per client address")
    # OWASP's Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
    argon2_memory_kib: int = Field(default=19_456, ge=19_456)
    argon2_passes: int = Field(default=2, ge=2)
    password_workers: int = Field(default=2, ge=1, le=32)
    password_queue: int = Field(default=200, ge=1, description="sign-ins that may wait for a worker")

    @property
    def access_token_lifetime(self) -> timedelta:
        """Lifetime of an access token."""
        return timedelta(seconds=self.access_token_seconds)

    def session_limits(self, roles: Sequence[Role]) -> SessionLimits:
        """How long a session of somebody with these roles lasts."""
        if is_staff(roles):
            return SessionLimits(timedelta(hours=self.staff_session_hours), timedelta(minutes=self.staff_idle_minutes))
        return SessionLimits(timedelta(days=self.session_days), timedelta(days=self.session_days))

    @property
    def factor_removal_delay(self) -> timedelta:
        """Time between a new password by mail and the removal of second factors that was requested with it."""
        return timedelta(hours=self.factor_removal_hours)

    @property
    def admins_need_second_factor(self) -> bool:
        """Whether an admin without a second factor has a customer's rights."""
        return not self.is_local if self.second_factor_for_admins is None else self.second_factor_for_admins

    @property
    def key_rotation(self) -> timedelta:
        """Maximum age of the newest signing key before the next one is created."""
        return timedelta(days=self.key_rotation_days)

    @property
    def verification_lifetime(self) -> timedelta:
        """Lifetime of a link that verifies an address."""
        return timedelta(hours=self.verification_hours)

    @property
    def reset_lifetime(self) -> timedelta:
        """Lifetime of a link for a new password."""
        return timedelta(minutes=self.reset_minutes)

    @property
    def invitation_lifetime(self) -> timedelta:
        """Lifetime of a staff invitation."""
        return timedelta(hours=self.invitation_hours)

    @property
    def export_patience(self) -> timedelta:
        """How long an export waits for services that do not answer."""
        return timedelta(seconds=self.export_patience_seconds)

    @property
    def site_host(self) -> str:
        """The site's host name, which passkeys are bound to. Browsers do not allow IP addresses."""
        host = urlsplit(self.public_url).hostname or ""
        return "localhost" if host in _LOOPBACK else host

    @property
    def site_origins(self) -> list[str]:
        """The origins of the site's own pages."""
        url = urlsplit(self.public_url)
        port = f":{url.port}" if url.port else ""
        hosts = ("localhost", "127.0.0.1") if url.hostname in _LOOPBACK else (url.hostname,)
        return [f"{url.scheme}://{host}{port}" for host in hosts]

    @property
    def is_local(self) -> bool:
        """Whether the site runs on localhost, where browsers accept secure cookies without https."""
        return urlsplit(self.public_url).hostname in _LOOPBACK

    @model_validator(mode="after")
    def _active_staff_stay_signed_in(self) -> Self:
        if self.staff_idle_minutes * 60 <= self.access_token_seconds:
            raise ValueError(
                "STAFF_IDLE_MINUTES must be longer than ACCESS_TOKEN_SECONDS: people are seen at refreshes"
            )
        return self


class MigrationSettings(BaseSettings):
    """What the migrations of identity's database need: they run without the service's other settings."""

    identity_key: SecretStr = Field(min_length=16)


@cache
def get() -> Settings:
    """The settings of this process."""
    return Settings()  # pyright: ignore[reportCallIssue] - the environment gives what has no default
