"""Payment of a PaymentIntent: 3-D Secure if the card requires it, then the bank's decision.

requires_confirmation ──► requires_action ──► (processing) ──► succeeded
                     └──────────┴────────────────┴───────────► requires_payment_method, with last_payment_error
"""

from functools import partial
from urllib.parse import urlencode

from . import forms, objects
from .cards import AUTHENTICATION_REQUIRED, Decline
from .disputes import open_dispute
from .errors import CardError, InvalidRequest, StripeError, unexpected_state
from .objects import Object, public_view
from .state import Call, Sandbox

AUTHENTICATION_FAILURE = "payment_intent_authentication_failure"
AUTHENTICATION_FAILURE_TEXT = (
    "We are unable to authenticate your payment method. Please choose a different payment method and try again."
)


def check_return_url(call: Call, intent: Object) -> None:
    """Raise InvalidRequest when a server confirms without the `return_url` that redirects require."""
    automatic = intent["automatic_payment_methods"]
    stays = call.by_browser or "return_url" in call.params or forms.boolean(call.params, "use_stripe_sdk")
    if stays or automatic is None or automatic["allow_redirects"] == "never":
        return
    raise InvalidRequest(
        "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these "
        "payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't "
        "want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
        "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
    )


def confirm(sandbox: Sandbox, call: Call, intent: Object) -> Object:
    """Pay `intent` with its payment method.

    Raises CardError when the bank declines, InvalidRequest when the intent has no payment method.
    """
    if intent["payment_method"] is None:
        text = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken."
        )
        raise unexpected_state(text, public_view(intent) if call.by_browser else intent)
    intent["last_payment_error"] = None
    off_session = "off_session" in call.params and call.params["off_session"] != "false"
    if not sandbox.cards[intent["payment_method"]].requires_authentication:
        error = _pay(sandbox, intent, call, authenticated=False)
    elif off_session or forms.boolean(call.params, "error_on_requires_action"):
        error = _settle(sandbox, intent, call, AUTHENTICATION_REQUIRED, authenticated=False)
    else:
        error = None
        _ask_to_authenticate(sandbox, intent, call)
    if error:
        raise error
    return intent


def authenticate(sandbox: Sandbox, intent: Object, *, approve: bool) -> Object:
    """Complete the 3-D Secure of `intent`, as the customer does on the bank's page.

    Raises InvalidRequest when `intent` does not wait for 3-D Secure.
    """
    if intent["status"] != "requires_action":
        raise unexpected_state(
            f"This PaymentIntent does not wait for authentication: its status is {intent['status']}.", intent
        )
    intent["next_action"] = None
    if approve:
        _pay(sandbox, intent, Call({}), authenticated=True)
    else:
        method = sandbox.payment_methods[intent["payment_method"]]
        failure = objects.payment_error(AUTHENTICATION_FAILURE, AUTHENTICATION_FAILURE_TEXT, None, method, None)
        intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": failure}
        sandbox.emit("payment_intent.payment_failed", intent)
    return intent


def _ask_to_authenticate(sandbox: Sandbox, intent: Object, call: Call) -> None:
    in_page = forms.boolean(call.params, "use_stripe_sdk")
    return_url = None if in_page else forms.string(call.params, "return_url")
    query = {"payment_intent": intent["id"], "payment_intent_client_secret": intent["client_secret"]}
    if return_url:
        query["return_url"] = return_url
    page = f"{call.base_url}/v3/3ds.html?{urlencode(query)}"
    if return_url:
        action: Object = {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": page}}
    else:
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": page}}
    intent |= {"status": "requires_action", "next_action": action}
    sandbox.emit("payment_intent.requires_action", intent, call)


def _pay(sandbox: Sandbox, intent: Object, call: Call, *, authenticated: bool) -> StripeError | None:
    decline = sandbox.cards[intent["payment_method"]].decline
    fault = sandbox.faults.for_payment(intent["id"], intent["metadata"])
    if fault is None:
        return _settle(sandbox, intent, call, decline, authenticated=authenticated)
    intent |= {"status": "processing", "processing": {"type": "card"}}
    sandbox.emit("payment_intent.processing", intent, call)
    sandbox.schedule(fault.seconds, partial(_settle_late, sandbox, intent, decline, authenticated=authenticated))
    return None


def _settle_late(sandbox: Sandbox, intent: Object, decline: Decline | None, *, authenticated: bool) -> None:
    if intent["status"] == "processing":
        intent["processing"] = None
        _settle(sandbox, intent, Call({}), decline, authenticated=authenticated)


def _settle(
    sandbox: Sandbox, intent: Object, call: Call, decline: Decline | None, *, authenticated: bool
) -> StripeError | None:
    method = sandbox.payment_methods[intent["payment_method"]]
    charge = objects.charge(intent, method, decline, authenticated=authenticated)
    sandbox.charges[charge["id"]] = charge
    intent["latest_charge"] = charge["id"]
    if decline is None:
        intent |= {"status": "succeeded", "amount_received": intent["amount"], "next_action": None}
        sandbox.emit("charge.succeeded", charge, call)
        sandbox.emit("payment_intent.succeeded", intent, call)
        if reason := sandbox.cards[method["id"]].dispute:
            sandbox.schedule(sandbox.settings.settle_seconds, partial(open_dispute, sandbox, charge, reason))
        return None
    failure = objects.payment_error(decline.code, decline.message, decline.decline_code, method, charge["id"])
    intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": failure}
    sandbox.emit("charge.failed", charge, call)
    sandbox.emit("payment_intent.payment_failed", intent, call)
    return CardError(
        decline.message,
        decline.code,
        decline.decline_code,
        charge=charge["id"],
        payment_intent=public_view(intent) if call.by_browser else intent,
        payment_method=method,
    )
