"""Idempotency keys, as at Stripe (https://docs.stripe.com/api/idempotent_requests)."""

import time
from dataclasses import dataclass

from .errors import InvalidRequest, StripeError
from .forms import Params

DAY_SECONDS = 86_400
LONGEST_KEY = 255


@dataclass(slots=True)
class StoredAnswer:
    """A request with an idempotency key, and its response. `status` is 0 while the request is running."""

    path: str
    params: Params
    request_id: str
    asked_at: float
    status: int = 0
    body: bytes = b""


class IdempotencyKeys:
    """The responses of the last 24 hours by idempotency key, at most `kept` of them."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._answers: dict[str, StoredAnswer] = {}

    def begin(self, key: str, path: str, params: Params, request_id: str) -> StoredAnswer | None:
        """Return the stored response to replay, or None for the first request with this key.

        Raises StripeError: `idempotency_error` (400) for another request under the same key, `idempotency_key_in_use`
        (409) while the first request is running.
        """
        if len(key) > LONGEST_KEY:
            raise InvalidRequest(f"Idempotency keys can have up to {LONGEST_KEY} characters.", executed=False)
        self._delete_old()
        earlier = self._answers.get(key)
        if earlier is None:
            self._answers[key] = StoredAnswer(path, params, request_id, time.monotonic())
            return None
        if earlier.path != path or earlier.params != params:
            raise StripeError(400, _mismatch_message(key, earlier.path, path), kind="idempotency_error", executed=False)
        if earlier.status == 0:
            text = (
                "There is currently another in-progress request using this Idempotent Key (that probably means you "
                "submitted twice, and the other request is still going through): " + key
            )
            raise InvalidRequest(text, status=409, code="idempotency_key_in_use", executed=False)
        return earlier

    def finish(self, key: str, status: int, body: bytes) -> None:
        if answer := self._answers.get(key):
            answer.status, answer.body = status, body

    def abandon(self, key: str) -> None:
        """Delete a request whose response is not stored, so that its key can be used again."""
        self._answers.pop(key, None)

    def _delete_old(self) -> None:
        oldest_kept = time.monotonic() - DAY_SECONDS
        while self._answers:
            key, answer = next(iter(self._answers.items()))
            if len(self._answers) < self._kept and answer.asked_at > oldest_kept:
                return
            del self._answers[key]


def _mismatch_message(key: str, first_path: str, path: str) -> str:
    what = (
        "with the same parameters they were first used with"
        if first_path == path
        else f"for the same endpoint they were first used for ('{path}' vs '{first_path}')"
    )
    return (
        f"Keys for idempotent requests can only be used {what}. "
        f"Try using a key other than '{key}' if you meant to execute a different request."
    )
