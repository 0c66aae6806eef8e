"""Settings of catalog, each from the environment variable of its name."""

from functools import cache

from chassis.settings import ServiceSettings
from pydantic import Field, SecretStr


class Settings(ServiceSettings):
    """What this service needs beside what every one has."""

    service: str = "catalog"
    max_body_bytes: int = 8_388_608
    """A picture or a file of films; the gateway lets only those addresses send more than 1 MiB."""
    tmdb_token: SecretStr = SecretStr("")
    """TMDB's "API read access token"; without it nothing can be imported from there."""
    tmdb_url: str = "https://api.themoviedb.org/3"
    tmdb_requests_per_second: float = Field(default=20, gt=0, le=50)
    tmdb_language: str = "en-US"
    """What titles and synopses are in."""
    tmdb_region: str = "GB"
    """Whose certificates count."""


@cache
def get() -> Settings:
    """The settings of this process."""
    return Settings()
