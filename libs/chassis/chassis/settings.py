"""The settings of every service, read from the environment."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, Self
from urllib.parse import unquote, urljoin, urlsplit

from pydantic import SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict


@dataclass(frozen=True)
class Published:
    """Marks a setting as a secret and names the values that this project publishes for a local platform.

    A service refuses them unless PUBLIC_URL is on this machine. In a URI, they are refused as its password.
    """

    values: tuple[str, ...] = ()

    def is_in(self, value: str) -> bool:
        """Whether the value, or one of several with commas, is public."""
        candidates = {each.strip() for each in value.split(",")}
        if "://" in value:
            parts = urlsplit(value)
            implied = "guest" if parts.scheme in {"amqp", "amqps"} else ""  # by AMQP clients
            candidates.add(unquote(parts.password or implied))
        return not candidates.isdisjoint(self.values)


PASSWORDS = Published(("usher-local-password", "usher", "guest"))
"""The published passwords of the users of MongoDB and RabbitMQ."""


def secrets_of(settings: type[BaseSettings]) -> dict[str, Published]:
    """Return the marked settings of a service by the name of their environment variable."""
    return {name.upper(): mark for name, field in settings.model_fields.items() for mark in _marks(field)}


def _marks(field: FieldInfo) -> list[Published]:
    return [mark for mark in field.metadata if isinstance(mark, Published)]


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def database_name(service: str) -> str:
    """Return the name of a service's database."""
    return f"usher_{service}"


class ServiceSettings(BaseSettings):
    """Base class of a service's settings. Each field is read from the environment variable of the same name."""

    # A refused value may be a secret, and errors are logged.
    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    service: str
    mongo_uri: Annotated[str, PASSWORDS] = "mongodb://127.0.0.1:27117/?directConnection=true"
    mongo_database: str = ""
    mongo_timeout_ms: int = 5000
    """Time limit of one MongoDB operation, including its retries, in milliseconds."""
    rabbitmq_uri: Annotated[str, PASSWORDS] = "amqp://guest:guest@127.0.0.1:5772/"
    declares_topology: bool = True
    """Whether a start declares RabbitMQ's queues. False where `python -m chassis.rights` does: the user may not."""
    consumer_concurrency: int = 64
    """Events that are handled concurrently: one full message, so that their writes are batched."""
    jwks_url: str = "http://127.0.0.1:8101/.well-known/jwks.json"
    token_issuer: str = "https://usher.example"  # noqa: S105 - a name, not a secret
    token_audience: str = "usher"  # noqa: S105 - a name, not a secret
    public_url: str = "http://127.0.0.1:8080"
    cors_origins: list[str] = []
    log_level: str = "INFO"
    max_body_bytes: int = 1_048_576

    @property
    def revocations_url(self) -> str:
        """The URL of identity's revocation list, next to its keys."""
        return urljoin(self.jwks_url, "revocations.json")

    @property
    def database(self) -> str:
        """The name of the service's database."""
        return self.mongo_database or database_name(self.service)

    @model_validator(mode="after")
    def _secrets_are_secret(self) -> Self:
        if is_loopback(self.public_url):
            return self
        public = [
            name for name, mark in secrets_of(type(self)).items() if mark.is_in(_text(getattr(self, name.lower())))
        ]
        if public:
            raise ValueError(
                f"{', '.join(public)}: the value is published with Usher's source, and PUBLIC_URL is not on this "
                "machine. `make secrets` writes fresh values to .env; `openssl rand -hex 32` prints one"
            )
        return self


def _text(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value or ""
