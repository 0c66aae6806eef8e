"""The errors of payment.

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
│       ├── RefundInvalid          422
│       ├── RefundTooLarge         409
│       ├── GiftCardUnknown        404
│       ├── GiftCardUnusable       409  blocked or refunded
│       ├── GiftCardUsed           409  the balance changed, or the card is no longer unused
│       ├── WrongCurrency          409
│       ├── TendersFixed           409  the payment has begun with other tenders
│       ├── AmountInvalid          422
│       ├── TooManyAttempts        429
│       ├── BadSignature           400
│       ├── BadPayload             400
│       ├── ProviderRefused        502
│       └── ProviderUnavailable    503
│           └── ProviderFailed     503
├── MoneyMismatch                  Stripe captured money that does not match the order: a person must look at it
└── LedgerBroken                   an entry of a gift card contradicts its ledger: a person must look at it
"""

from contracts.errors import Problem


class PaymentProblem(Problem):
    code, title = "payment_problem", "The payment could not be handled."


class PaymentUnknown(PaymentProblem):
    code, status, title = "payment_unknown", 404, "There is no such payment."


class OrderRequired(PaymentProblem):
    code, status = "order_required", 422
    title = "An order is required: the `order` that POST /api/bookings and GET /api/bookings/{id} return."


class OrderInvalid(PaymentProblem):
    code, status, title = "order_invalid", 422, "This payment order is not valid."


class OrderMismatch(PaymentProblem):
    code, status, title = "order_mismatch", 409, "The order does not match this booking's price, which is final."


class PaymentClosed(PaymentProblem):
    code, status, title = "payment_closed", 409, "This booking can no longer be paid."


class DeadlinePassed(PaymentClosed):
    code, title = "payment_deadline_passed", "The time to pay for this booking is over."


class AlreadyPaid(PaymentProblem):
    code, status, title = "already_paid", 409, "This booking has already been paid."


class RefundInvalid(PaymentProblem):
    code, status, title = "refund_invalid", 422, "The payment provider cannot refund this amount."


class RefundTooLarge(PaymentProblem):
    code, status, title = "refund_too_large", 409, "The amount is more than can still be refunded."


class GiftCardUnknown(PaymentProblem):
    code, status = "gift_card_unknown", 404
    title = "There is no gift card with this code. Please check each letter and digit."


class GiftCardUnusable(PaymentProblem):
    code, status, title = "gift_card_unusable", 409, "This gift card cannot be used. Please contact the cinema."


class GiftCardUsed(PaymentProblem):
    code, status = "gift_card_used", 409
    title = "The balance of a gift card or of your credit has just changed. Please check it and try again."


class WrongCurrency(PaymentProblem):
    code, status, title = "gift_card_currency", 409, "This gift card is in another currency than the tickets."


class TendersFixed(PaymentProblem):
    code, status = "tenders_fixed", 409
    title = "The payment of this booking has already begun. Cancel the booking to pay it in another way."


class AmountInvalid(PaymentProblem):
    code, status, title = "gift_card_amount_invalid", 422, "There are no gift cards of this amount."


class TooManyAttempts(PaymentProblem):
    code, status, title = "too_many_attempts", 429, "Too many wrong codes. Please wait before you try again."


class BadSignature(PaymentProblem):
    code, status, title = "bad_signature", 400, "The webhook's signature is missing, wrong or too old."


class BadPayload(PaymentProblem):
    code, status, title = "bad_payload", 400, "The webhook's body is not a Stripe event."


class ProviderRefused(PaymentProblem):
    """Stripe rejected the request, and would reject it again."""

    code, status, title = "payment_provider_refused", 502, "The payment provider did not accept the request."


class ProviderUnavailable(PaymentProblem):
    """Stripe did not answer within the time budget. The call may have taken effect.

    Nothing was charged: money moves only when the customer confirms the intent.
    """

    code, status = "payment_provider_unavailable", 503
    title = "The payment provider is not available at the moment. Nothing was charged. Please try again in a moment."


class ProviderFailed(ProviderUnavailable):
    """Stripe failed, and will replay that failure for this idempotency key."""


class MoneyMismatch(Exception):
    """Stripe captured money that does not match the order."""


class LedgerBroken(Exception):
    """An entry of a gift card contradicts the card's ledger."""
