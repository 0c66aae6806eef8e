"""What can be wrong with paying.

Exception
├── Problem (contracts.errors)
│   └── PaymentProblem
│       ├── PaymentUnknown         404
│       ├── OrderRequired          422
│       ├── OrderInvalid           422
│       ├── OrderMismatch          409
│       ├── PaymentClosed          409
│       │   └── DeadlinePassed     409
│       ├── AlreadyPaid            409
│       ├── RefundTooLarge         409
│       ├── BadSignature           400
│       ├── BadPayload             400
│       ├── ProviderRefused        502
│       └── ProviderUnavailable    503
│           └── ProviderFailed     503
└── MoneyMismatch                  what Stripe says does not fit what we asked: a person must look
"""

from contracts.errors import Problem


class PaymentProblem(Problem):
    code, title = "payment_problem", "The payment could not be handled."


class PaymentUnknown(PaymentProblem):
    code, status, title = "payment_unknown", 404, "There is no such payment."


class OrderRequired(PaymentProblem):
    code, status = "order_required", 422
    title = "Paying takes the order that POST /api/bookings and GET /api/bookings/{id} answer as `order`."


class OrderInvalid(PaymentProblem):
    code, status, title = "order_invalid", 422, "This is not a payment order that can be paid here."


class OrderMismatch(PaymentProblem):
    code, status, title = "order_mismatch", 409, "This booking has another price, and that one is final."


class PaymentClosed(PaymentProblem):
    code, status, title = "payment_closed", 409, "This booking can no longer be paid."


class DeadlinePassed(PaymentClosed):
    code, title = "payment_deadline_passed", "The time to pay for this booking is over."


class AlreadyPaid(PaymentProblem):
    code, status, title = "already_paid", 409, "This booking is paid already."


class RefundTooLarge(PaymentProblem):
    code, status, title = "refund_too_large", 409, "No more can be refunded than was paid and not yet refunded."


class BadSignature(PaymentProblem):
    code, status, title = "bad_signature", 400, "The webhook's signature is missing, wrong or too old."


class BadPayload(PaymentProblem):
    code, status, title = "bad_payload", 400, "The webhook's body is not a Stripe event."


class ProviderRefused(PaymentProblem):
    """Stripe said no to what we asked; asking again will not help."""

    code, status, title = "payment_provider_refused", 502, "The payment provider did not accept the request."


class ProviderUnavailable(PaymentProblem):
    """Stripe did not answer in the time that a request has: whether it did what we asked is not known.

    Nothing was charged: money moves only when the customer confirms the intent.
    """

    code, status = "payment_provider_unavailable", 503
    title = "The payment provider does not answer just now. Nothing was charged; please try again in a moment."


class ProviderFailed(ProviderUnavailable):
    """Stripe answered with an error of its own, and will repeat it for this idempotency key."""


class MoneyMismatch(Exception):
    """Stripe reports money that does not fit what was asked."""
