"""Settings, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API that the sandbox implements. The SDK that the project uses pins the same version."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting has a default, so the sandbox starts with an empty environment."""

    secret_key: str | None = None
    """The only accepted secret key; None accepts any `sk_test_…`."""
    publishable_key: str | None = None
    webhook_url: str | None = None
    webhook_secret: str = "whsec_sandbox"  # noqa: S105 -- a fixed secret of a server that protects nothing
    webhook_events: tuple[str, ...] = ("*",)
    webhook_workers: int = 32
    """How many webhooks are sent concurrently."""
    webhook_timeout_seconds: float = 10.0
    retry_seconds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
    """Waits between the attempts to deliver a webhook. Stripe retries for three days."""
    settle_seconds: float = 1.0
    """The delay of refunds that settle late, and of disputes that a test card opens."""
    kept: int = 50_000
    """How many events, deliveries and idempotency keys are stored before the oldest are deleted."""

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read `STRIPE_…` and `SANDBOX_…`; an empty variable counts as unset.

        Raises ValueError for a malformed number.
        """
        given = {name: value for name, value in environment.items() if value}
        default = Settings()
        retries = given.get("SANDBOX_RETRY_SECONDS")
        return Settings(
            secret_key=given.get("STRIPE_SECRET_KEY"),
            publishable_key=given.get("STRIPE_PUBLISHABLE_KEY"),
            webhook_url=given.get("SANDBOX_WEBHOOK_URL"),
            webhook_secret=given.get("STRIPE_WEBHOOK_SECRET", default.webhook_secret),
            webhook_events=tuple(given.get("SANDBOX_WEBHOOK_EVENTS", "*").split(",")),
            retry_seconds=tuple(map(float, retries.split(","))) if retries else default.retry_seconds,
            settle_seconds=float(given.get("SANDBOX_SETTLE_SECONDS", default.settle_seconds)),
            kept=int(given.get("SANDBOX_KEPT", default.kept)),
        )
