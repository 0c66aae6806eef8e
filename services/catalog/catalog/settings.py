"""Settings of catalog, each from the environment variable of its name."""

from functools import cache

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """What every service has is enough so far."""

    service: str = "catalog"


@cache
def get() -> Settings:
    """The settings of this process."""
    return Settings()
