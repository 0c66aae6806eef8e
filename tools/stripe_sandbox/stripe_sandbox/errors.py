"""Stripe's errors, in Stripe's format.

StripeError
├── InvalidRequest      bad parameter, unknown object, illegal transition
└── CardError           the card was declined; 402
"""

from typing import Any


class StripeError(Exception):
    """A response other than 2xx.

    `fields` are copied into the body's `error`. `executed`: whether the request began to execute. Only then does
    Stripe store the response under the idempotency key.
    """

    def __init__(self, status: int, message: str, *, kind: str, executed: bool = True, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        self.fields = {name: value for name, value in fields.items() if value is not None}
        if code := self.fields.get("code"):
            self.fields["doc_url"] = documentation_url(code)
        self.fields |= {"message": message, "type": kind}

    def body(self) -> dict[str, Any]:
        """`{"error": {"type", "code"?, "message", "param"?, "decline_code"?, "payment_intent"?, …}}`"""
        return {"error": self.fields}


class InvalidRequest(StripeError):
    """The request is invalid. Repeating it does not help."""

    def __init__(self, message: str, param: str | None = None, *, status: int = 400, **fields: Any) -> None:
        super().__init__(status, message, kind="invalid_request_error", param=param, **fields)


class CardError(StripeError):
    """The card was declined. `decline_code` is the bank's code, if it gave one."""

    def __init__(self, message: str, code: str, decline_code: str | None = None, **fields: Any) -> None:
        super().__init__(402, message, kind="card_error", code=code, decline_code=decline_code, **fields)


def documentation_url(code: str) -> str:
    return f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"


def bad_parameter(message: str, param: str, code: str | None = None) -> InvalidRequest:
    return InvalidRequest(message, param, code=code, executed=False)


def missing_parameter(param: str) -> InvalidRequest:
    return bad_parameter(f"Missing required param: {param}.", param, "parameter_missing")


def missing_object(kind: str, identifier: str, param: str) -> InvalidRequest:
    return InvalidRequest(f"No such {kind}: '{identifier}'", param, status=404, code="resource_missing")


def unexpected_state(message: str, intent: dict[str, Any]) -> InvalidRequest:
    return InvalidRequest(message, code="payment_intent_unexpected_state", payment_intent=intent)
