"""Faults on request.

A fault can be limited to one PaymentIntent or to metadata, so that tests that share a sandbox do not affect each other.
"""

import random
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

WebhookFault = Literal["webhook_drop", "webhook_delay", "webhook_repeat", "webhook_reorder", "webhook_hold"]
ApiFault = Literal["api_error", "api_delay", "processing"]
EXECUTED = 500
"""Stripe stores the response of a request that began to execute, also a 500. Servers in front of it store nothing."""


class Scope(BaseModel):
    """The payments that a fault affects. An omitted field matches everything."""

    model_config = ConfigDict(extra="forbid")

    payment_intent: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict, description="The PaymentIntent must have all of these.")

    def matches(self, intent_id: str | None, metadata: dict[str, Any]) -> bool:
        if self.payment_intent and self.payment_intent != intent_id:
            return False
        return all(metadata.get(key) == value for key, value in self.metadata.items())


class Fault(Scope):
    """A failure that happens `count` times."""

    kind: WebhookFault | ApiFault
    count: int | None = Field(
        default=1, ge=1, description="How many webhooks or calls it affects; null: all, until it is removed."
    )
    event_types: list[str] = Field(default_factory=list, description="Webhooks only: affect only these types.")
    method: str | None = Field(default=None, description="API only: affect only this HTTP method.")
    path: str | None = Field(default=None, description="API only: affect only paths with this prefix (`/v1/refunds`).")
    for_browsers: bool = Field(default=True, description="API only: false excludes calls with the publishable key.")
    seconds: float = Field(
        default=1.0,
        ge=0,
        le=600,
        description="The delay, time in `processing`, or longest wait of `webhook_reorder`.",
    )
    times: int = Field(default=2, ge=2, le=20, description="`webhook_repeat`: how often a webhook is sent.")
    status: int = Field(default=500, ge=500, le=599, description="`api_error`: the status of the response.")
    after: bool = Field(default=False, description="API: the call takes effect; only its response fails or is late.")
    kept: bool | None = Field(
        default=None,
        description="`api_error`: store the response under its idempotency key. Default: only a 500, as at Stripe.",
    )
    share: float = Field(
        default=1.0, gt=0, le=1, description="The share of matching webhooks or calls that it affects."
    )

    @property
    def is_spent(self) -> bool:
        return self.count is not None and self.count <= 0

    @property
    def is_stored(self) -> bool:
        """Whether the failure is stored under the idempotency key, and replayed from then on."""
        return self.kind == "api_error" and (self.status == EXECUTED if self.kept is None else self.kept)


class Faults:
    """The active faults, oldest first."""

    def __init__(self) -> None:
        self._active: dict[int, Fault] = {}
        self._last_id = 0
        self._random = random.Random(7)  # noqa: S311 - not used for security

    def add(self, fault: Fault) -> int:
        """Activate `fault` and return its number."""
        self._last_id += 1
        self._active[self._last_id] = fault
        return self._last_id

    def list_all(self) -> list[dict[str, Any]]:
        return [{"id": number, **fault.model_dump()} for number, fault in self._active.items()]

    def remove(self, wanted: Callable[[int, Fault], bool]) -> list[Fault]:
        """Remove the faults that `wanted` selects, and return them."""
        removed = [number for number, fault in self._active.items() if wanted(number, fault)]
        return [self._active.pop(number) for number in removed]

    def for_webhook(self, event_type: str, intent_id: str | None, metadata: dict[str, Any]) -> Fault | None:
        """Return the fault that affects this webhook, after counting it down."""
        return self._hit(
            lambda fault: (
                fault.kind.startswith("webhook_")
                and (not fault.event_types or event_type in fault.event_types)
                and fault.matches(intent_id, metadata)
            )
        )

    def for_call(
        self, method: str, path: str, intent_id: str | None, metadata: dict[str, Any], *, by_browser: bool
    ) -> Fault | None:
        """Return the fault that affects this API call, after counting it down."""
        return self._hit(
            lambda fault: (
                fault.kind in ("api_error", "api_delay")
                and fault.method in (None, method)
                and path.startswith(fault.path or "/")
                and (fault.for_browsers or not by_browser)
                and fault.matches(intent_id, metadata)
            )
        )

    def for_payment(self, intent_id: str, metadata: dict[str, Any]) -> Fault | None:
        """Return the fault that leaves this payment in `processing`, after counting it down."""
        return self._hit(lambda fault: fault.kind == "processing" and fault.matches(intent_id, metadata))

    def _hit(self, concerns: Callable[[Fault], bool]) -> Fault | None:
        for number, fault in self._active.items():
            if concerns(fault) and self._random.random() < fault.share:
                if fault.count is not None:
                    fault.count -= 1
                if fault.is_spent:
                    del self._active[number]
                return fault
        return None
