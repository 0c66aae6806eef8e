"""Settings that every service has, typed, from the environment."""

from urllib.parse import urljoin

from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Subclass with the service's name and its own fields. Each field is the environment variable of its name."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    service: str
    mongo_uri: str = "mongodb://127.0.0.1:27117/?directConnection=true"
    mongo_database: str = ""
    mongo_timeout_ms: int = 5000
    """How long one operation may take, with all its retries."""
    rabbitmq_uri: str = "amqp://guest:guest@127.0.0.1:5772/"
    consumer_concurrency: int = 64
    """Events that are handled at the same time: those of a full message, so that their writes go together."""
    jwks_url: str = "http://127.0.0.1:8101/.well-known/jwks.json"
    token_issuer: str = "https://usher.example"  # noqa: S105 - a name, not a secret
    token_audience: str = "usher"  # noqa: S105 - a name, not a secret
    public_url: str = "http://127.0.0.1:8080"
    cors_origins: list[str] = []
    log_level: str = "INFO"
    max_body_bytes: int = 1_048_576

    @property
    def revocations_url(self) -> str:
        """Where identity says whose access tokens are void: beside its keys."""
        return urljoin(self.jwks_url, "revocations.json")

    @property
    def database(self) -> str:
        """The service's own database."""
        return self.mongo_database or f"usher_{self.service}"
