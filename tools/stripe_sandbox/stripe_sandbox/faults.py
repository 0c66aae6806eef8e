"""Faults on request: what should go wrong next, and for whom.

A fault may be scoped to one PaymentIntent or to metadata, so that tests that share a sandbox do not disturb each other.
"""

import random
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

WebhookFault = Literal["webhook_drop", "webhook_delay", "webhook_repeat", "webhook_reorder", "webhook_hold"]
ApiFault = Literal["api_error", "api_delay", "processing"]
EXECUTED = 500
"""Stripe keeps the answer of a request that began to execute, a 500 as well; servers in front of it keep nothing."""


class Scope(BaseModel):
    """Whom a fault concerns; everything that is left out fits anything."""

    model_config = ConfigDict(extra="forbid")

    payment_intent: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict, description="All of these must stand on the PaymentIntent.")

    def fits(self, intent_id: str | None, metadata: dict[str, Any]) -> bool:
        if self.payment_intent and self.payment_intent != intent_id:
            return False
        return all(metadata.get(key) == value for key, value in self.metadata.items())


class Fault(Scope):
    """One thing that goes wrong `count` times, then no more."""

    kind: WebhookFault | ApiFault
    count: int | None = Field(
        default=1, ge=1, description="How many webhooks or calls it hits; null: until it is removed."
    )
    event_types: list[str] = Field(default_factory=list, description="Webhooks only: hit only these types.")
    method: str | None = Field(default=None, description="API only: hit only this HTTP method.")
    path: str | None = Field(default=None, description="API only: hit only paths that start so, as `/v1/refunds`.")
    for_browsers: bool = Field(default=True, description="API only: false spares calls with the publishable key.")
    seconds: float = Field(
        default=1.0, ge=0, le=600, description="For delays, `processing` and as `reorder`'s patience."
    )
    times: int = Field(default=2, ge=2, le=20, description="`webhook_repeat`: how often one webhook arrives.")
    status: int = Field(default=500, ge=500, le=599, description="`api_error`: the answer's status.")
    after: bool = Field(default=False, description="API: the call takes effect first, and only its answer suffers.")
    kept: bool | None = Field(
        default=None,
        description="`api_error`: the answer is kept under its idempotency key. By default a 500 is, as at Stripe.",
    )
    share: float = Field(default=1.0, gt=0, le=1, description="Of the webhooks or calls that fit, it hits this share.")

    @property
    def is_spent(self) -> bool:
        return self.count is not None and self.count <= 0

    @property
    def is_kept(self) -> bool:
        """Whether the failure is the answer that its idempotency key stands for from then on."""
        return self.kind == "api_error" and (self.status == EXECUTED if self.kept is None else self.kept)


class Faults:
    """The faults that wait for their moment, oldest first."""

    def __init__(self) -> None:
        self._waiting: dict[int, Fault] = {}
        self._made = 0
        self._dice = random.Random(7)  # noqa: S311 - a dice, not a secret

    def add(self, fault: Fault) -> int:
        """Put `fault` in force and return its number."""
        self._made += 1
        self._waiting[self._made] = fault
        return self._made

    def listed(self) -> list[dict[str, Any]]:
        return [{"id": number, **fault.model_dump()} for number, fault in self._waiting.items()]

    def remove(self, wanted: Callable[[int, Fault], bool]) -> list[Fault]:
        """Take back the faults that `wanted` picks, and return them."""
        gone = [number for number, fault in self._waiting.items() if wanted(number, fault)]
        return [self._waiting.pop(number) for number in gone]

    def for_webhook(self, event_type: str, intent_id: str | None, metadata: dict[str, Any]) -> Fault | None:
        """The fault that hits this webhook, counted down by one."""
        return self._hit(
            lambda fault: (
                fault.kind.startswith("webhook_")
                and (not fault.event_types or event_type in fault.event_types)
                and fault.fits(intent_id, metadata)
            )
        )

    def for_call(
        self, method: str, path: str, intent_id: str | None, metadata: dict[str, Any], *, by_browser: bool
    ) -> Fault | None:
        """The fault that hits this API call, counted down by one."""
        return self._hit(
            lambda fault: (
                fault.kind in ("api_error", "api_delay")
                and fault.method in (None, method)
                and path.startswith(fault.path or "/")
                and (fault.for_browsers or not by_browser)
                and fault.fits(intent_id, metadata)
            )
        )

    def for_payment(self, intent_id: str, metadata: dict[str, Any]) -> Fault | None:
        """The fault that keeps this payment in `processing` for a while, counted down by one."""
        return self._hit(lambda fault: fault.kind == "processing" and fault.fits(intent_id, metadata))

    def _hit(self, concerns: Callable[[Fault], bool]) -> Fault | None:
        for number, fault in self._waiting.items():
            if concerns(fault) and self._dice.random() < fault.share:
                if fault.count is not None:
                    fault.count -= 1
                if fault.is_spent:
                    del self._waiting[number]
                return fault
        return None
