"""Settings of catalog, each from the environment variable of its name."""

from functools import cache
from typing import Annotated

from chassis.settings import Published, ServiceSettings
from pydantic import Field, SecretStr


class Settings(ServiceSettings):
    """Settings of this service in addition to the common ones."""

    service: str = "catalog"
    max_body_bytes: int = 8_388_608
    """For pictures and files of films; the gateway limits all other addresses to 1 MiB."""
    tmdb_token: Annotated[SecretStr, Published()] = SecretStr("")
    """TMDB's "API read access token", needed for imports from TMDB."""
    tmdb_url: str = "https://api.themoviedb.org/3"
    tmdb_requests_per_second: float = Field(default=20, gt=0, le=50)
    tmdb_language: str = "en-US"
    """The language of titles and synopses."""
    tmdb_region: str = "GB"
    """The region whose certificates are used."""


@cache
def get() -> Settings:
    """The settings of this process."""
    return Settings()
