"""Disputes: opened by a test card or the control API, closed by the merchant (lost) or the control API."""

from typing import Literal

from . import forms, objects
from .errors import InvalidRequest
from .objects import Object
from .state import PAGE_PARAMS, Call, Sandbox, find, matching, page

OPEN = ("needs_response", "under_review")


def open_dispute(sandbox: Sandbox, charge: Object, reason: str, amount: int | None = None) -> Object:
    """Open a dispute over `amount` of `charge` (default: what was not refunded).

    Raises InvalidRequest when the charge was not paid, is already disputed, or the amount exceeds what is left.
    """
    left = charge["amount_captured"] - charge["amount_refunded"]
    disputed = left if amount is None else amount
    if charge["disputed"] or not 1 <= disputed <= left:
        raise InvalidRequest(
            f"Charge {charge['id']} cannot be disputed over {disputed}: only {left} is left.", "amount"
        )
    dispute = objects.dispute(charge, disputed, reason)
    sandbox.disputes[dispute["id"]] = dispute
    charge["disputed"] = True
    sandbox.emit("charge.dispute.created", dispute)
    sandbox.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(
    sandbox: Sandbox, dispute: Object, outcome: Literal["won", "lost"], call: Call | None = None
) -> Object:
    """Close an open dispute. Raises InvalidRequest when it is already closed."""
    if dispute["status"] not in OPEN:
        raise InvalidRequest(f"This dispute is already closed: {dispute['status']}.")
    before = {"status": dispute["status"]}
    dispute["status"] = outcome
    sandbox.emit("charge.dispute.closed", dispute, call, before)
    if outcome == "won":
        sandbox.emit("charge.dispute.funds_reinstated", dispute, call)
    return dispute


def retrieve(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/disputes/{id}"""
    return find(sandbox.disputes, "dispute", call.path["id"], "dispute")


def accept(sandbox: Sandbox, call: Call) -> Object:
    """POST /v1/disputes/{id}/close: the merchant accepts the dispute."""
    return close_dispute(sandbox, retrieve(sandbox, call), "lost", call)


def list_all(sandbox: Sandbox, call: Call) -> Object:
    """GET /v1/disputes, newest first."""
    forms.check_known(call.params, ("charge", "payment_intent", *PAGE_PARAMS))
    return page(
        sandbox.disputes, "dispute", "/v1/disputes", call.params, keep=matching(call.params, "charge", "payment_intent")
    )
