"""Stripe's published test cards and their behavior (https://docs.stripe.com/testing)."""

from dataclasses import dataclass
from hashlib import sha256

from .errors import CardError


@dataclass(frozen=True, slots=True)
class Decline:
    """A decline by the bank: Stripe's error code, the decline code and the message for the customer."""

    code: str
    decline_code: str
    message: str


_DECLINED = "Your card was declined."
GENERIC = Decline("card_declined", "generic_decline", _DECLINED)
INSUFFICIENT_FUNDS = Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")
LOST = Decline("card_declined", "lost_card", _DECLINED)
STOLEN = Decline("card_declined", "stolen_card", _DECLINED)
VELOCITY = Decline("card_declined", "card_velocity_exceeded", "Your card was declined for making repeated attempts.")
FRAUDULENT = Decline("card_declined", "fraudulent", _DECLINED)
EXPIRED = Decline("expired_card", "expired_card", "Your card has expired.")
INCORRECT_CVC = Decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.")
PROCESSING_ERROR = Decline(
    "processing_error", "processing_error", "An error occurred while processing your card. Try again in a little bit."
)
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)


@dataclass(frozen=True, slots=True)
class Card:
    """One test card. Its `number` is public; other card numbers are never stored."""

    number: str
    aliases: tuple[str, ...]
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    decline: Decline | None = None
    requires_authentication: bool = False
    """Requires 3-D Secure before the payment."""
    dispute: str | None = None
    """The reason of the dispute that follows the payment; None: no dispute."""
    refund: str = "succeeded"
    """The outcome of a refund: `succeeded`, `pending` (succeeds later) or `failed` (later)."""

    @property
    def fingerprint(self) -> str:
        return sha256(self.number.encode()).hexdigest()[:16]


def _accepted(number: str, *aliases: str, brand: str = "visa", funding: str = "credit", country: str = "US") -> Card:
    return Card(number, aliases, brand, funding, country)


def _declined(number: str, decline: Decline, *aliases: str, requires_authentication: bool = False) -> Card:
    return Card(number, aliases, decline=decline, requires_authentication=requires_authentication)


CARDS = (
    _accepted("4242424242424242", "visa"),
    _accepted("4000056655665556", "visa_debit", funding="debit"),
    _accepted("5555555555554444", "mastercard", brand="mastercard"),
    _accepted("5200828282828210", "mastercard_debit", brand="mastercard", funding="debit"),
    _accepted("378282246310005", "amex", brand="amex"),
    _accepted("6011111111111117", "discover", brand="discover"),
    _accepted("3056930009020004", "diners", brand="diners"),
    _accepted("3566002020360505", "jcb", brand="jcb", country="JP"),
    _accepted("6200000000000005", "unionpay", brand="unionpay", country="CN"),
    _accepted("4000002760000016", "de", country="DE"),
    _accepted("4000008260000000", "gb", country="GB"),
    _accepted("4000000000003055", "threeDSecureOptional"),
    _declined("4000000000000002", GENERIC, "visa_chargeDeclined", "chargeDeclined"),
    _declined(
        "4000000000009995",
        INSUFFICIENT_FUNDS,
        "visa_chargeDeclinedInsufficientFunds",
        "chargeDeclinedInsufficientFunds",
    ),
    _declined("4000000000009987", LOST, "visa_chargeDeclinedLostCard", "chargeDeclinedLostCard"),
    _declined("4000000000009979", STOLEN, "visa_chargeDeclinedStolenCard", "chargeDeclinedStolenCard"),
    _declined("4000000000000069", EXPIRED, "chargeDeclinedExpiredCard"),
    _declined("4000000000000127", INCORRECT_CVC, "chargeDeclinedIncorrectCvc"),
    _declined("4000000000000119", PROCESSING_ERROR, "chargeDeclinedProcessingError"),
    _declined("4000000000006975", VELOCITY, "visa_chargeDeclinedVelocityLimitExceeded"),
    _declined("4000000000000341", GENERIC, "chargeCustomerFail"),
    _declined("4100000000000019", FRAUDULENT, "radarBlock"),
    Card("4000002500003155", ("authenticationRequiredOnSetup",), requires_authentication=True),
    Card("4000002760003184", ("authenticationRequired",), requires_authentication=True),
    Card("4000003800000446", ("authenticationRequiredSetupForOffSession",), requires_authentication=True),
    Card("4000000000003220", ("threeDSecure2Required",), requires_authentication=True),
    Card("4000000000003063", ("threeDSecureRequired",), requires_authentication=True),
    _declined("4000008400001629", GENERIC, "threeDSecureRequiredChargeDeclined", requires_authentication=True),
    _declined(
        "4000008260003178",
        INSUFFICIENT_FUNDS,
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        requires_authentication=True,
    ),
    Card("4000000000007726", ("pendingRefund",), refund="pending"),
    Card("4000000000005126", ("refundFail",), refund="failed"),
    Card("4000000000000259", ("createDispute",), dispute="fraudulent"),
    Card("4000000000002685", ("createDisputeProductNotReceived",), dispute="product_not_received"),
)
BY_NUMBER = {card.number: card for card in CARDS}
BY_ALIAS = {f"pm_card_{alias}": card for card in CARDS for alias in card.aliases}

_NOT_A_TEST_CARD = Decline(
    "card_declined",
    "test_mode_live_card",
    "Your card was declined. Your request was in test mode, but used a non test card. "
    "For a list of valid test cards, visit: https://stripe.com/docs/testing.",
)


def find_card(number: str) -> Card:
    """Return the test card with this number.

    Raises CardError: `incorrect_number` when the check digit is wrong, `test_mode_live_card` for any other number. So
    a real card is refused and its number is not stored.
    """
    digits = "".join(number.split())
    if not digits.isdecimal() or not _has_valid_check_digit(digits):
        raise CardError("Your card number is incorrect.", "incorrect_number", param="number")
    if card := BY_NUMBER.get(digits):
        return card
    decline = _NOT_A_TEST_CARD
    raise CardError(decline.message, decline.code, decline.decline_code)


def _has_valid_check_digit(digits: str) -> bool:
    """The Luhn formula (ISO/IEC 7812-1, annex B)."""
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    plain = sum(int(digit) for digit in digits[-1::-2])
    return (plain + sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0
