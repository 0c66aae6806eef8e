"""PaymentMethods. Each is one of the test cards."""

from datetime import UTC, datetime

from . import forms
from .cards import BY_ALIAS, Card, find_card
from .errors import CardError, bad_parameter, missing_object
from .forms import Params
from .objects import Object, billing_details, payment_method
from .state import Call, Sandbox

CREATE_PARAMS = ("type", "card", "billing_details", "metadata", "allow_redisplay", "expand")
CVC_LENGTHS = (3, 4)


def create(sandbox: Sandbox, call: Call) -> Object:
    """POST /v1/payment_methods"""
    forms.check_known(call.params, CREATE_PARAMS)
    return from_data(sandbox, call.params)


def retrieve(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/payment_methods/{id}"""
    return find_or_create(sandbox, call.path["id"], "payment_method")


def from_data(sandbox: Sandbox, data: Params) -> Object:
    """Create a PaymentMethod from `type=card&card[number]=…` or `card[token]=tok_visa`.

    Raises CardError for a number that is not a test card's, an expiry in the past, or a malformed CVC.
    """
    kind = forms.required_string(data, "type")
    if kind != "card":
        raise bad_parameter(f"The sandbox has no payment method of type {kind}: only card.", "type")
    details = forms.group(data, "card")
    if token := forms.string(details, "token"):
        card = BY_ALIAS.get(token.replace("tok_", "pm_card_", 1))
        if card is None:
            raise missing_object("token", token, "card[token]")
        expiry = _next_year()
    else:
        card = find_card(forms.required_string(details, "number"))
        expiry = _expiry(details)
        _check_cvc(forms.string(details, "cvc"))
    return _store(sandbox, card, expiry, data)


def find_or_create(sandbox: Sandbox, identifier: str, param: str) -> Object:
    """Return the PaymentMethod with this id. `pm_card_…` creates one of that test card, as at Stripe."""
    if card := BY_ALIAS.get(identifier):
        return _store(sandbox, card, _next_year(), {})
    found = sandbox.payment_methods.get(identifier)
    if found is None:
        raise missing_object("PaymentMethod", identifier, param)
    return found


def _store(sandbox: Sandbox, card: Card, expiry: tuple[int, int], data: Params) -> Object:
    billing = billing_details(forms.group(data, "billing_details"))
    method = payment_method(card, expiry, billing, forms.metadata(data, {}))
    sandbox.payment_methods[method["id"]] = method
    sandbox.cards[method["id"]] = card
    return method


def _next_year() -> tuple[int, int]:
    today = datetime.now(UTC)
    return today.month, today.year + 1


def _expiry(details: Params) -> tuple[int, int]:
    month, year = forms.integer(details, "exp_month"), forms.integer(details, "exp_year")
    today = datetime.now(UTC)
    if month is None or not 1 <= month <= 12:
        raise CardError("Your card's expiration month is invalid.", "invalid_expiry_month", param="exp_month")
    if year is not None and 0 <= year < 100:
        year += 2000
    if year is None or not today.year <= year <= today.year + 50:
        raise CardError("Your card's expiration year is invalid.", "invalid_expiry_year", param="exp_year")
    if (year, month) < (today.year, today.month):
        raise CardError("Your card's expiration month is invalid.", "invalid_expiry_month", param="exp_month")
    return month, year


def _check_cvc(cvc: str | None) -> None:
    if cvc is not None and not (cvc.isdecimal() and len(cvc) in CVC_LENGTHS):
        raise CardError("Your card's security code is invalid.", "invalid_cvc", param="cvc")
