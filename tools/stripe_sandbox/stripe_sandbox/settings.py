"""What the sandbox reads from its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API whose shapes the sandbox answers; the SDK that the project uses pins the same one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything has a default, so the sandbox also starts with an empty environment."""

    secret_key: str | None = None
    """The one secret key that is let in; None lets in any `sk_test_…`."""
    publishable_key: str | None = None
    webhook_url: str | None = None
    webhook_secret: str = "whsec_sandbox"  # noqa: S105 -- a fixed secret of a server that guards nothing
    webhook_events: tuple[str, ...] = ("*",)
    webhook_workers: int = 32
    """How many webhooks are on their way at once."""
    webhook_timeout_seconds: float = 10.0
    retry_seconds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
    """Waits between the attempts to deliver one webhook; Stripe takes three days over it."""
    settle_seconds: float = 1.0
    """How long a refund that settles late, or a dispute that a test card raises, takes."""
    kept: int = 50_000
    """How many events, deliveries and idempotency keys are kept before the oldest go."""

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read `STRIPE_…` and `SANDBOX_…`; an empty variable counts as unset.

        Raises ValueError for a number that is none.
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
