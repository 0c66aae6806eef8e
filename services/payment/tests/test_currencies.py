"""Whatever a theater may ask for is charged and refunded, in every currency; Stripe's units stay at its adapter."""

from collections.abc import Callable

import httpx
import pytest
from contracts import currencies
from contracts.payment import PaymentRefunded, PaymentSucceeded
from hypothesis import given
from hypothesis import strategies as st
from payment.model import to_stripe
from payment.model.minor_units import from_stripe

from .conftest import Checkout

CHARGED = sorted(currencies.CHARGED)
SMALLEST = {currency: currencies.minimum(currency) for currency in CHARGED}
amounts = st.integers(min_value=0, max_value=10**9)


@given(currency=st.sampled_from(CHARGED), amount=amounts)
def test_an_amount_comes_back_from_stripe_as_it_went(currency: str, amount: int):
    whole = amount - amount % currencies.step(currency)
    assert from_stripe(to_stripe(whole, currency), currency) == whole


@pytest.mark.parametrize(
    ("currency", "amount", "at_stripe"),
    [("EUR", 1290, 1290), ("JPY", 1900, 1900), ("ISK", 2190, 219_000), ("UGX", 500, 50_000), ("MGA", 500_00, 500),
     ("KWD", 5120, 5120)],
)  # fmt: skip
def test_stripe_gets_its_own_units(currency: str, amount: int, at_stripe: int):
    assert to_stripe(amount, currency) == at_stripe


async def test_stripe_charges_the_smallest_and_the_largest_amount_of_every_currency(at_stripe: httpx.AsyncClient):
    async def answer(amount: int, currency: str) -> tuple[int, str]:
        body = {"amount": str(amount), "currency": currency.lower()}
        answer = await at_stripe.post("/v1/payment_intents", data=body)
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    for currency in CHARGED:
        step = currencies.step(currency)
        assert await answer(to_stripe(SMALLEST[currency], currency), currency) == (200, ""), currency
        if SMALLEST[currency] > step:
            too_small = to_stripe(SMALLEST[currency] - step, currency)
            assert await answer(too_small, currency) == (400, "amount_too_small"), currency
    for currency in ("EUR", "ISK", "KWD", "MGA"):
        most = currencies.maximum(currency) - currencies.maximum(currency) % currencies.step(currency)
        assert await answer(to_stripe(most, currency), currency) == (200, ""), currency
    for currency in ("ISK", "UGX", "BHD", "JOD", "KWD", "OMR", "TND"):
        assert await answer(50_001, currency) == (400, "parameter_invalid"), currency
    assert (await answer(1000, "ZZZ"))[0] == 400


@pytest.mark.parametrize(
    ("currency", "amount", "part"), [("ISK", 2190, 90), ("MGA", 20_000_00, 500_00), ("KWD", 5120, 120)]
)
async def test_money_goes_to_stripe_and_back(
    new_checkout: Callable[[], Checkout], currency: str, amount: int, part: int
):
    checkout = new_checkout()
    checkout.changes = {"currency": currency, "amount": amount}
    await checkout.with_intent()
    await checkout.confirm()
    (paid,) = await checkout.wait_for_events(PaymentSucceeded)
    assert (paid.amount, paid.currency) == (amount, currency)
    assert (await checkout.refund_by_staff(amount=part)).status_code == 202
    (refunded,) = await checkout.wait_for_events(PaymentRefunded)
    assert (refunded.amount, refunded.refunded, refunded.captured) == (part, part, amount)
    assert [refund["amount"] for refund in await checkout.refunds_at_stripe()] == [to_stripe(part, currency)]
    refused = await checkout.refund_by_staff(amount=part + 1)
    assert refused.status_code == (202 if currency == "ISK" else 422), refused.text
    if refused.status_code == 422:
        assert (refused.json()["code"], refused.json()["step"]) == ("refund_invalid", currencies.step(currency))
