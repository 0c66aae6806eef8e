"""Disputes: raised by a test card or by the control API, closed by the merchant (lost) or by the control API."""

from typing import Literal

from . import forms, objects
from .errors import InvalidRequest
from .objects import Object
from .state import PAGE_PARAMS, Call, Sandbox, find, matching, page

OPEN = ("needs_response", "under_review")


def raise_dispute(box: Sandbox, charge: Object, reason: str, amount: int | None = None) -> Object:
    """Let the customer's bank take back `amount` (default: what was not refunded) of `charge`.

    Raises InvalidRequest when the charge was not paid, is disputed already, or holds less than that.
    """
    left = charge["amount_captured"] - charge["amount_refunded"]
    taken = left if amount is None else amount
    if charge["disputed"] or not 1 <= taken <= left:
        raise InvalidRequest(f"Charge {charge['id']} cannot be disputed over {taken}: {left} is left of it.", "amount")
    dispute = objects.dispute(charge, taken, reason)
    box.disputes[dispute["id"]] = dispute
    charge["disputed"] = True
    box.emit("charge.dispute.created", dispute)
    box.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(box: Sandbox, dispute: Object, outcome: Literal["won", "lost"], call: Call | None = None) -> Object:
    """End an open dispute; raises InvalidRequest when it has ended before."""
    if dispute["status"] not in OPEN:
        raise InvalidRequest(f"This dispute is already closed: {dispute['status']}.")
    before = {"status": dispute["status"]}
    dispute["status"] = outcome
    box.emit("charge.dispute.closed", dispute, call, before)
    if outcome == "won":
        box.emit("charge.dispute.funds_reinstated", dispute, call)
    return dispute


def retrieve(box: Sandbox, call: Call) -> Object:
    """GET /v1/disputes/{id}"""
    return find(box.disputes, "dispute", call.path["id"], "dispute")


def accept(box: Sandbox, call: Call) -> Object:
    """POST /v1/disputes/{id}/close: the merchant gives up."""
    return close_dispute(box, retrieve(box, call), "lost", call)


def list_all(box: Sandbox, call: Call) -> Object:
    """GET /v1/disputes, newest first."""
    forms.only_known(call.params, ("charge", "payment_intent", *PAGE_PARAMS))
    return page(
        box.disputes, "dispute", "/v1/disputes", call.params, keep=matching(call.params, "charge", "payment_intent")
    )
