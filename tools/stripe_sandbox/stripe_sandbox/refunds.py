"""Charges and their refunds, which never exceed the charge."""

from functools import partial

from . import forms, objects
from .disputes import OPEN
from .errors import InvalidRequest, bad_parameter
from .intents import check_multiple, money
from .objects import Object
from .state import PAGE_PARAMS, Call, Sandbox, find, matching, page

REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def retrieve_charge(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/charges/{id}"""
    return find(sandbox.charges, "charge", call.path["id"], "id")


def list_charges(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/charges, newest first, filtered by `payment_intent`."""
    forms.check_known(call.params, ("payment_intent", *PAGE_PARAMS))
    return page(sandbox.charges, "charge", "/v1/charges", call.params, keep=matching(call.params, "payment_intent"))


def create(sandbox: Sandbox, call: Call) -> Object:
    """POST /v1/refunds, by `payment_intent` or `charge`. Default `amount`: all that is left.

    Raises InvalidRequest: `charge_already_refunded`, `charge_disputed`, or an amount that exceeds what is left.
    """
    params = call.params
    forms.check_known(params, ("amount", "charge", "payment_intent", "reason", "metadata", "expand"))
    charge = _charge(sandbox, call)
    reason = forms.string(params, "reason")
    if reason and reason not in REASONS:
        raise bad_parameter(f"Invalid reason: must be one of {', '.join(REASONS)}", "reason")
    amount = _refundable(sandbox, charge, forms.integer(params, "amount"))
    outcome = sandbox.cards[charge["payment_method"]].refund
    status = "pending" if outcome == "pending" else "succeeded"
    refund = objects.refund(charge, amount, status, reason, forms.metadata(params, {}))
    sandbox.refunds[refund["id"]] = refund
    _add_refund(sandbox, charge, amount, call)
    sandbox.emit("refund.created", refund, call)
    if outcome != "succeeded":
        finish = partial(_succeed if outcome == "pending" else _fail, sandbox, charge, refund)
        sandbox.schedule(sandbox.settings.settle_seconds, finish)
    return refund


def retrieve(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/refunds/{id}"""
    return find(sandbox.refunds, "refund", call.path["id"], "id")


def list_all(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/refunds, newest first, filtered by `charge` and `payment_intent`."""
    forms.check_known(call.params, ("charge", "payment_intent", *PAGE_PARAMS))
    return page(
        sandbox.refunds, "refund", "/v1/refunds", call.params, keep=matching(call.params, "charge", "payment_intent")
    )


def _charge(sandbox: Sandbox, call: Call) -> Object:
    charge_id, intent_id = forms.string(call.params, "charge"), forms.string(call.params, "payment_intent")
    if charge_id and intent_id is None:
        charge = find(sandbox.charges, "charge", charge_id, "charge")
    elif intent_id and charge_id is None:
        intent = find(sandbox.intents, "payment_intent", intent_id, "payment_intent")
        charge = sandbox.charges.get(intent["latest_charge"] or "")
        if charge is None or not charge["paid"]:
            raise InvalidRequest(
                f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.", "payment_intent"
            )
    else:
        raise InvalidRequest(
            "One of the following params should be provided for this request: payment_intent or charge."
        )
    if not charge["paid"]:
        raise InvalidRequest(f"Charge {charge['id']} is not refundable: it failed.", code="charge_not_refundable")
    return charge


def _refundable(sandbox: Sandbox, charge: Object, asked: int | None) -> int:
    disputes = [each for each in sandbox.disputes.values() if each["charge"] == charge["id"]]
    lost = sum(each["amount"] for each in disputes if each["status"] == "lost")
    left = charge["amount_captured"] - charge["amount_refunded"] - lost
    if (lost and left <= 0) or any(each["status"] in OPEN for each in disputes):
        text = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise InvalidRequest(text, code="charge_disputed")
    if left == 0:
        text = f"Charge {charge['id']} has already been refunded."
        raise InvalidRequest(text, code="charge_already_refunded")
    amount = left if asked is None else asked
    if amount < 1:
        raise bad_parameter("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    check_multiple(amount, charge["currency"])
    if amount > left:
        currency = charge["currency"]
        whole = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
        text = f"Refund amount ({money(amount, currency)}) is greater than {whole} ({money(left, currency)})"
        raise InvalidRequest(text, "amount")
    return amount


def _add_refund(sandbox: Sandbox, charge: Object, amount: int, call: Call) -> None:
    before = {"amount_refunded": charge["amount_refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    if charge["refunded"]:
        before["refunded"] = False
    sandbox.emit("charge.refunded", charge, call, before)


def _succeed(sandbox: Sandbox, charge: Object, refund: Object) -> None:
    refund["status"] = "succeeded"
    sandbox.emit("refund.updated", refund, previous={"status": "pending"})


def _fail(sandbox: Sandbox, charge: Object, refund: Object) -> None:
    """The bank returns the refund: the charge can be refunded again."""
    refund |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    sandbox.emit("refund.failed", refund)
