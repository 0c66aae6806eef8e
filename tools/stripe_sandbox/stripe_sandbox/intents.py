"""The API calls of PaymentIntents. `payments` implements the confirmation."""

from typing import Any

from . import forms, payment_methods, payments
from .errors import InvalidRequest, bad_parameter, missing_parameter, unexpected_state
from .forms import Params
from .objects import Object, now, payment_intent, public_view
from .state import PAGE_PARAMS, Call, Sandbox, find, matching, page

SMALLEST_AMOUNTS = {
    "aed": 200,
    "aud": 50,
    "brl": 50,
    "cad": 50,
    "chf": 50,
    "czk": 1500,
    "dkk": 250,
    "eur": 50,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "inr": 50,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "nzd": 50,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "sgd": 50,
    "thb": 1000,
    "usd": 50,
}
"""Minor units, by currency (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).

In other currencies Stripe compares with the minimum of the settlement currency, at the day's rate. The
sandbox does not.
"""
_CODES = """
aed afn all amd aoa ars aud awg azn bam bbd bdt bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf chf clp cny
cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr
isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk
mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd
shp sle sos srd szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer
zar zmw
"""
CURRENCIES = frozenset(_CODES.split())
LARGEST_AMOUNT = 99_999_999
_WHOLE = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_THOUSANDTHS = "bhd jod kwd omr tnd"
DIGITS = {currency: digits for digits, codes in ((0, _WHOLE), (3, _THOUSANDTHS)) for currency in codes.split()}
"""Decimals of Stripe's amounts, for currencies that do not have two."""
MULTIPLES = {"isk": 100, "ugx": 100} | {currency: 10 for currency, digits in DIGITS.items() if digits == 3}
"""Amounts in these currencies end in zeros (https://docs.stripe.com/currencies#special-cases)."""
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
# Stripe allows cancelling a payment in `processing` "in rare cases". The sandbox never does, so a payment can be late.
CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action")
CANCELLATION_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")

DESCRIPTIVE_PARAMS = ("description", "receipt_email", "statement_descriptor_suffix", "transfer_group")
PAYMENT_METHOD_PARAMS = ("payment_method", "payment_method_data")
CONFIRM_PARAMS = (
    *PAYMENT_METHOD_PARAMS,
    "client_secret",
    "error_on_requires_action",
    "expand",
    "off_session",
    "receipt_email",
    "return_url",
    "use_stripe_sdk",
)
UPDATE_PARAMS = ("amount", "currency", "metadata", "expand", *DESCRIPTIVE_PARAMS, *PAYMENT_METHOD_PARAMS)
CREATE_PARAMS = (
    *UPDATE_PARAMS,
    *CONFIRM_PARAMS,
    "automatic_payment_methods",
    "capture_method",
    "confirm",
    "confirmation_method",
    "payment_method_types",
)


def create(sandbox: Sandbox, call: Call) -> Object:
    """POST /v1/payment_intents"""
    params = call.params
    forms.check_known(params, CREATE_PARAMS)
    confirmed = forms.boolean(params, "confirm")
    if not confirmed and "return_url" in params:
        raise bad_parameter("This parameter is only allowed with confirm=true.", "return_url")
    amount = _required_amount(params)
    currency = _currency(params)
    _check_amount(amount, currency)
    intent = payment_intent(amount, currency, forms.metadata(params, {}))
    intent |= _payment_method_fields(params) | _capture_fields(params) | _descriptive_fields(params)
    if confirmed:
        payments.check_return_url(call, intent)
    _set_payment_method(sandbox, intent, params)
    sandbox.intents[intent["id"]] = intent
    sandbox.emit("payment_intent.created", intent, call)
    return payments.confirm(sandbox, call, intent) if confirmed else intent


def retrieve(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/payment_intents/{id}. A browser must send the client secret and receives fewer fields."""
    if call.by_browser:
        forms.check_known(call.params, ("client_secret", "expand"))
    intent = _find_intent(sandbox, call)
    return public_view(intent) if call.by_browser else intent


def update(sandbox: Sandbox, call: Call) -> Object:
    """POST /v1/payment_intents/{id}"""
    forms.check_known(call.params, UPDATE_PARAMS)
    intent, params = _find_intent(sandbox, call), call.params
    for name in ("amount", "currency", *PAYMENT_METHOD_PARAMS):
        if name in params and intent["status"] not in OPEN:
            raise unexpected_state(_cannot_update_message(name, intent["status"]), intent)
    amount = forms.integer(params, "amount")
    amount = intent["amount"] if amount is None else amount
    currency = _currency(params) if "currency" in params else intent["currency"]
    _check_amount(amount, currency)
    changes = _descriptive_fields(params) | {"metadata": forms.metadata(params, intent["metadata"])}
    _set_payment_method(sandbox, intent, params)
    if intent["status"] == "requires_action" and (amount, currency) != (intent["amount"], intent["currency"]):
        intent |= {"status": "requires_confirmation", "next_action": None}
    intent |= changes | {"amount": amount, "currency": currency}
    return intent


def confirm(sandbox: Sandbox, call: Call) -> Object:
    """POST /v1/payment_intents/{id}/confirm, from a server, or from a browser with the client secret."""
    forms.check_known(call.params, CONFIRM_PARAMS)
    intent = _find_intent(sandbox, call)
    if intent["status"] == "succeeded":
        text = (
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
        )
        raise unexpected_state(text, _visible_intent(call, intent))
    if intent["status"] not in OPEN:
        raise unexpected_state(
            _wrong_status_message("confirm", "confirmed", intent["status"], OPEN[1:]), _visible_intent(call, intent)
        )
    payments.check_return_url(call, intent)
    _set_payment_method(sandbox, intent, call.params)
    intent |= _descriptive_fields(call.params)
    payments.confirm(sandbox, call, intent)
    return _visible_intent(call, intent)


def cancel(sandbox: Sandbox, call: Call) -> Object:
    """POST /v1/payment_intents/{id}/cancel"""
    forms.check_known(call.params, ("cancellation_reason", "expand"))
    intent = _find_intent(sandbox, call)
    reason = forms.string(call.params, "cancellation_reason")
    if reason and reason not in CANCELLATION_REASONS:
        text = f"Invalid cancellation_reason: must be one of {', '.join(CANCELLATION_REASONS)}"
        raise bad_parameter(text, "cancellation_reason")
    if intent["status"] not in CANCELABLE:
        raise unexpected_state(_wrong_status_message("cancel", "canceled", intent["status"], CANCELABLE), intent)
    intent |= {"status": "canceled", "canceled_at": now(), "cancellation_reason": reason}
    intent |= {"next_action": None, "processing": None}
    sandbox.emit("payment_intent.canceled", intent, call)
    return intent


def list_all(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/payment_intents, newest first."""
    forms.check_known(call.params, PAGE_PARAMS)
    return page(sandbox.intents, "payment_intent", "/v1/payment_intents", call.params, keep=matching(call.params))


def _find_intent(sandbox: Sandbox, call: Call) -> Object:
    intent = find(sandbox.intents, "payment_intent", call.path["id"], "intent")
    secret = forms.string(call.params, "client_secret")
    if call.by_browser and secret is None:
        raise missing_parameter("client_secret")
    if secret is not None and secret != intent["client_secret"]:
        text = "The client_secret provided does not match the client_secret associated with the PaymentIntent."
        raise InvalidRequest(text, "client_secret", code="payment_intent_invalid_parameter")
    return intent


def _visible_intent(call: Call, intent: Object) -> Object:
    return public_view(intent) if call.by_browser else intent


def _required_amount(params: Params) -> int:
    amount = forms.integer(params, "amount")
    if amount is None:
        raise missing_parameter("amount")
    return amount


def _currency(params: Params) -> str:
    currency = forms.required_string(params, "currency").lower()
    if currency not in CURRENCIES:
        known = ", ".join(sorted(CURRENCIES))
        raise bad_parameter(
            f"Invalid currency: {currency}. Stripe currently supports these currencies: {known}", "currency"
        )
    return currency


def _check_amount(amount: int, currency: str) -> None:
    if amount < 1:
        raise bad_parameter("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    check_multiple(amount, currency)
    if amount < (smallest := SMALLEST_AMOUNTS.get(currency, 1)):
        least = money(smallest, currency)
        raise bad_parameter(f"Amount must be at least {least} {currency}", "amount", "amount_too_small")
    if amount > LARGEST_AMOUNT:
        most = money(LARGEST_AMOUNT, currency)
        raise bad_parameter(f"Amount must be no more than {most}", "amount", "amount_too_large")


def check_multiple(amount: int, currency: str) -> None:
    """Raise InvalidRequest unless the amount ends in as many zeros as Stripe requires in this currency."""
    if amount % (multiple := MULTIPLES.get(currency, 1)):
        raise bad_parameter(f"Invalid amount: {amount} is not divisible by {multiple}.", "amount", "parameter_invalid")


def money(amount: int, currency: str) -> str:
    """Format minor units as in Stripe's error messages: `$1,099.00`."""
    digits = DIGITS.get(currency, 2)
    return SYMBOLS.get(currency, "") + f"{amount / 10**digits:,.{digits}f}"


def _payment_method_fields(params: Params) -> Object:
    types = forms.strings(params, "payment_method_types")
    automatic = forms.group(params, "automatic_payment_methods")
    enabled = forms.boolean(automatic, "enabled", default=not types)
    if types and enabled:
        text = "You may only specify one of these parameters: automatic_payment_methods, payment_method_types."
        raise InvalidRequest(text, code="parameters_exclusive", executed=False)
    if any(kind != "card" for kind in types):
        raise bad_parameter(f"The sandbox only knows cards, not {', '.join(types)}.", "payment_method_types")
    redirects = forms.string(automatic, "allow_redirects", "always")
    return {"automatic_payment_methods": {"allow_redirects": redirects, "enabled": True} if enabled else None}


def _capture_fields(params: Params) -> Object:
    method = forms.string(params, "capture_method", "automatic_async")
    if method not in ("automatic", "automatic_async"):
        raise bad_parameter("The sandbox captures at once: it does not know capture_method=manual.", "capture_method")
    if forms.string(params, "confirmation_method", "automatic") != "automatic":
        raise bad_parameter("The sandbox does not know confirmation_method=manual.", "confirmation_method")
    return {"capture_method": method}


def _descriptive_fields(params: Params) -> dict[str, Any]:
    return {name: forms.string(params, name) for name in DESCRIPTIVE_PARAMS if name in params}


def _set_payment_method(sandbox: Sandbox, intent: Object, params: Params) -> None:
    if identifier := forms.string(params, "payment_method"):
        method = payment_methods.find_or_create(sandbox, identifier, "payment_method")
    elif "payment_method_data" in params:
        method = payment_methods.from_data(sandbox, forms.group(params, "payment_method_data"))
    else:
        return
    intent |= {"payment_method": method["id"], "status": "requires_confirmation", "next_action": None}


def _cannot_update_message(name: str, status: str) -> str:
    return (
        f"This PaymentIntent's {name} could not be updated because it has a status of {status}. "
        f"You may only update the {name} of a PaymentIntent with one of the following statuses: {', '.join(OPEN)}."
    )


def _wrong_status_message(verb: str, done: str, status: str, allowed: tuple[str, ...]) -> str:
    return (
        f"You cannot {verb} this PaymentIntent because it has a status of {status}. "
        f"Only a PaymentIntent with one of the following statuses may be {done}: {', '.join(allowed)}."
    )
