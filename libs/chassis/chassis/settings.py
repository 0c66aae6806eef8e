"""The settings of every service, read from the environment."""

from urllib.parse import urljoin

from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Base class of a service's settings. Each field is read from the environment variable of the same name."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    service: str
    mongo_uri: str = "mongodb://127.0.0.1:27117/?directConnection=true"
    mongo_database: str = ""
    mongo_timeout_ms: int = 5000
    """Time limit of one MongoDB operation, including its retries, in milliseconds."""
    rabbitmq_uri: str = "amqp://guest:guest@127.0.0.1:5772/"
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
        return self.mongo_database or f"usher_{self.service}"
