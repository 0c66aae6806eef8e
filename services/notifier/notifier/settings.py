"""The notifier's settings."""

from datetime import timedelta
from email.headerregistry import Address
from email.utils import parseaddr
from functools import cache, cached_property
from typing import Annotated, Literal, Self

from chassis.security.secrets import Cipher
from chassis.security.signed import SignedText
from chassis.settings import Published, ServiceSettings
from pydantic import Field, SecretStr, field_validator, model_validator

from notifier.model import ReminderLink, checked_address


class Settings(ServiceSettings):
    """`smtp_seconds` limits each step of a delivery; `retry_seconds` is the pause after the first failed attempt.

    `link_key` decrypts the secrets of links that identity and booking encrypted with the same key, and signs the links
    that turn reminders off.
    """

    service: str = "notifier"
    link_key: Annotated[SecretStr, Published(("usher-local-link-key",))] = Field(min_length=16)
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 1125
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    smtp_user: str = ""
    smtp_password: Annotated[SecretStr, Published()] = SecretStr("")
    smtp_seconds: float = Field(default=10.0, gt=0)
    mail_from: str = "Usher <tickets@usher.example>"
    mail_senders: int = Field(default=4, ge=1, le=64)
    retry_seconds: float = Field(default=5.0, gt=0)
    sweep_seconds: float = Field(default=2.0, gt=0)
    message_days: int = Field(
        default=30, ge=3, description="how long messages are stored; delivery is tried for two days"
    )

    @field_validator("mail_from")
    @classmethod
    def _sender_is_an_address(cls, value: str) -> str:
        checked_address(parseaddr(value)[1])
        return value

    @model_validator(mode="after")
    def _password_is_sent_encrypted(self) -> Self:
        if self.smtp_user and self.smtp_security == "none":
            raise ValueError("SMTP_USER needs SMTP_SECURITY=starttls or tls: passwords are not sent unencrypted")
        return self

    @cached_property
    def sender(self) -> Address:
        """The sender of all mails."""
        name, address = parseaddr(self.mail_from)
        local, domain = checked_address(address)
        return Address(name, local, domain)

    @cached_property
    def link_encryption(self) -> Cipher:
        """Decrypts the secrets of links."""
        return Cipher(self.link_key.get_secret_value())

    @cached_property
    def reminder_links(self) -> SignedText[ReminderLink]:
        """Signs and verifies the links that turn reminders off."""
        return SignedText(ReminderLink, ReminderLink.audience, self.link_key)

    @property
    def retention(self) -> timedelta:
        """How long a message is stored."""
        return timedelta(days=self.message_days)

    @property
    def retry_pause(self) -> timedelta:
        """The pause after the first failed attempt."""
        return timedelta(seconds=self.retry_seconds)

    @property
    def max_wait(self) -> timedelta:
        """How long a claimed message may wait for a free sender."""
        return timedelta(seconds=self.smtp_seconds)

    @property
    def lease(self) -> timedelta:
        """How long a claim lasts: longer than `max_wait` and all steps of a delivery together."""
        return self.max_wait + timedelta(seconds=12 * self.smtp_seconds)


@cache
def get() -> Settings:
    """Read the settings from the environment, once."""
    return Settings()  # pyright: ignore[reportCallIssue] - the environment has the fields without a default
