"""Every object of the sandbox, checked against the annotations of the SDK's classes.

All required fields exist, there are no unknown fields, and each value has the annotated type. A string for which the
SDK lists the values is one of them.
"""

import inspect
import typing
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, ForwardRef, Literal, Union

import pytest
import stripe
from stripe import ListObject, StripeObject
from stripe._stripe_object import UntypedStripeObject


def fields_of(cls: type) -> dict[str, Any]:
    own = [base for base in cls.__mro__ if base.__module__.startswith("stripe.") and base is not StripeObject]
    return {
        name: hint
        for base in reversed(own)
        for name, hint in inspect.get_annotations(base).items()
        if not name.startswith("_") and "ClassVar" not in str(hint) and name != "deleted"
    }


def mismatches(value: Any, hint: Any, where: str) -> Iterator[str]:
    """Yield one sentence for each mismatch."""
    if isinstance(hint, ForwardRef):
        hint = getattr(stripe, hint.__forward_arg__)
    origin, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin is Union:
        yield from union_mismatches(value, inner, where)
    elif origin is Literal:
        if value not in inner:
            yield f"{where}: {value!r} is none of the known values"
    elif origin in (list, ListObject):
        items = value["data"] if isinstance(value, dict) else value
        if not isinstance(items, list):
            yield f"{where}: no list"
            return
        for position, item in enumerate(items):
            yield from mismatches(item, inner[0], f"{where}[{position}]")
    elif origin is not UntypedStripeObject and issubclass(origin, StripeObject):
        yield from object_mismatches(value, origin, where)
    else:
        kind = dict if origin is UntypedStripeObject else origin
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            yield f"{where}: {value!r} is no {kind.__name__}"


def union_mismatches(value: Any, options: tuple, where: str) -> Iterator[str]:
    if value is None:
        if NoneType not in options:
            yield f"{where}: null"
        return
    listed = [option for option in options if typing.get_origin(option) is Literal]
    candidates = listed if listed and isinstance(value, str) else [o for o in options if o is not NoneType]
    found = [list(mismatches(value, option, where)) for option in candidates]
    if not any(problems == [] for problems in found):
        yield from min(found, key=len)


def object_mismatches(value: Any, cls: type, where: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where}: no object"
        return
    fields = fields_of(cls)
    for name, hint in fields.items():
        optional = NoneType in typing.get_args(hint)
        if name not in value and not optional:
            yield f"{where}.{name}: missing"
    for name, item in value.items():
        if name in fields:
            yield from mismatches(item, fields[name], f"{where}.{name}")
        else:
            yield f"{where}.{name}: unknown to {cls.__name__}"


CLASSES = {
    "payment_intent": stripe.PaymentIntent,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "payment_method": stripe.PaymentMethod,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "webhook_endpoint": stripe.WebhookEndpoint,
}
SCENES = ("new", "paid", "declined", "authenticating", "refused by the bank", "refunded", "disputed", "canceled")


def check(shown: dict) -> None:
    assert list(object_mismatches(shown, CLASSES[shown["object"]], shown["object"])) == []


async def scene(name: str, pay, client, control) -> None:
    """Create the objects of a scene."""
    if name == "new":
        await client.v1.payment_intents.create_async({"amount": 900, "currency": "eur"})
        return
    if name == "declined":
        with pytest.raises(stripe.CardError):
            await pay("pm_card_visa_chargeDeclinedLostCard")
        return
    card = "pm_card_authenticationRequired" if name in ("authenticating", "refused by the bank") else "pm_card_visa"
    intent = await pay(card, confirm=name != "canceled")
    if name == "refused by the bank":
        await control.post(f"/_sandbox/payment_intents/{intent.id}/authenticate", json={"approve": False})
    elif name == "refunded":
        await client.v1.refunds.create_async({"payment_intent": intent.id, "reason": "duplicate"})
    elif name == "disputed":
        await control.post("/_sandbox/disputes", json={"payment_intent": intent.id})
    elif name == "canceled":
        await client.v1.payment_intents.cancel_async(intent.id, {"cancellation_reason": "duplicate"})


@pytest.mark.parametrize("name", SCENES)
async def test_objects_are_shaped_as_the_sdk_says(name, pay, client, control, shop):
    await scene(name, pay, client, control)
    headers = {"authorization": "Bearer sk_test_shop"}
    seen = set()
    for address in ("payment_intents", "charges", "refunds", "disputes", "events", "webhook_endpoints"):
        for shown in (await control.get(f"/v1/{address}", params={"limit": 100}, headers=headers)).json()["data"]:
            check(shown)
            seen.add(shown["object"])
            if shown["object"] == "event":
                check(shown["data"]["object"])
            if method := shown.get("payment_method"):
                check((await control.get(f"/v1/payment_methods/{method}", headers=headers)).json())
    assert {"payment_intent", "event", "webhook_endpoint"} <= seen
    await shop.until(lambda: len(shop.received) >= (1 if name == "new" else 2))
    for event in shop.received:
        check(event.to_dict())


def test_the_check_finds_mismatches():
    good = {"available": ["visa"], "preferred": None}
    networks = stripe.PaymentMethod.Card.Networks
    assert list(object_mismatches(good, networks, "n")) == []
    for bad in ({"preferred": None}, good | {"x": 1}, good | {"available": "visa"}, good | {"preferred": 5}):
        assert len(list(object_mismatches(bad, networks, "n"))) == 1
    status = fields_of(stripe.PaymentIntent)["status"]
    assert list(mismatches("cancelled", status, "status"))
