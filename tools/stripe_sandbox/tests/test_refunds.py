"""Refunds, which never exceed the payment, and disputes."""

import asyncio

import pytest
import stripe


async def test_partial_refunds_add_up_to_the_payment_and_no_further(refused, client, pay, shop):
    intent = await pay(amount=2900)
    refunds = client.v1.refunds
    first = await refunds.create_async(
        {"payment_intent": intent.id, "amount": 1000, "reason": "requested_by_customer", "metadata": {"seat": "F7"}}
    )
    assert (first.status, first.amount, first.metadata["seat"]) == ("succeeded", 1000, "F7")
    error = await refused(refunds.create_async({"payment_intent": intent.id, "amount": 1901}))
    assert error.user_message == "Refund amount (€19.01) is greater than unrefunded amount on charge (€19.00)"
    rest = await refunds.create_async({"charge": intent.latest_charge})
    assert rest.amount == 1900
    assert (await refused(refunds.create_async({"payment_intent": intent.id}))).code == "charge_already_refunded"

    charge = await client.v1.charges.retrieve_async(intent.latest_charge, {"expand": ["refunds"]})
    assert (charge.refunded, charge.amount_refunded, charge.amount_captured) == (True, 2900, 2900)
    assert [refund.id for refund in charge.refunds.data] == [rest.id, first.id]
    listed = await refunds.list_async({"payment_intent": intent.id})
    assert [refund.id for refund in listed.data] == [rest.id, first.id]
    assert (await refunds.list_async({"charge": "ch_other"})).data == []
    assert (await refunds.retrieve_async(first.id, {"expand": ["charge"]})).charge.id == charge.id

    await shop.until(lambda: shop.types(intent.id).count("charge.refunded") == 2)
    assert shop.types(intent.id).count("refund.created") == 2
    full = next(e for e in shop.received if e.type == "charge.refunded" and e.data.object["refunded"])
    assert full.data.previous_attributes.to_dict() == {"amount_refunded": 1000, "refunded": False}


async def test_many_refunds_at_once_never_exceed_the_payment(client, pay):
    intent = await pay(amount=1000)
    wanted = [client.v1.refunds.create_async({"payment_intent": intent.id, "amount": 300}) for _ in range(8)]
    done = await asyncio.gather(*wanted, return_exceptions=True)
    assert sum(refund.amount for refund in done if isinstance(refund, stripe.Refund)) == 900
    assert sum(isinstance(refund, stripe.InvalidRequestError) for refund in done) == 5


async def test_a_refund_needs_a_paid_charge(refused, client, pay):
    unpaid = await client.v1.payment_intents.create_async({"amount": 900, "currency": "eur"})
    assert (await refused(client.v1.refunds.create_async({"payment_intent": unpaid.id}))).param == "payment_intent"
    declined = await refused(pay("pm_card_chargeDeclined"), stripe.CardError)
    error = await refused(client.v1.refunds.create_async({"charge": declined.error.charge}))
    assert error.code == "charge_not_refundable"
    paid = await pay(amount=900)
    error = await refused(client.v1.refunds.create_async({"payment_intent": paid.id, "amount": 901}))
    assert (error.param, error.user_message) == (
        "amount",
        "Refund amount (€9.01) is greater than charge amount (€9.00)",
    )
    for bad in ({}, {"payment_intent": paid.id, "amount": 0}, {"payment_intent": paid.id, "reason": "bored"}):
        await refused(client.v1.refunds.create_async(bad))
    assert (await client.v1.refunds.list_async()).data == []


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("pm_card_pendingRefund", ("pending", "refund.updated", "succeeded", 900)),
        ("pm_card_refundFail", ("succeeded", "refund.failed", "failed", 0)),
    ],
)
async def test_a_refund_may_settle_late_or_come_back(client, pay, shop, card, expected):
    first, event, last, refunded = expected
    intent = await pay(card, amount=900)
    refund = await client.v1.refunds.create_async({"payment_intent": intent.id})
    assert refund.status == first
    await shop.until(lambda: event in shop.types(intent.id))
    assert (await client.v1.refunds.retrieve_async(refund.id)).status == last
    assert (await client.v1.charges.retrieve_async(intent.latest_charge)).amount_refunded == refunded


@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_a_dispute_is_opened_and_closed(client, control, pay, shop, outcome):
    intent = await pay()
    answer = await control.post("/_sandbox/disputes", json={"payment_intent": intent.id, "reason": "general"})
    dispute = await client.v1.disputes.retrieve_async(answer.json()["id"])
    assert (dispute.status, dispute.amount, dispute.charge) == ("needs_response", 2900, intent.latest_charge)
    again = await control.post("/_sandbox/disputes", json={"payment_intent": intent.id})
    assert again.status_code == 400
    close = f"/_sandbox/disputes/{dispute.id}/close"
    assert (await control.post(close, json={"status": outcome})).json()["status"] == outcome
    assert (await control.post(close, json={"status": outcome})).status_code == 400
    await shop.until(lambda: "charge.dispute.closed" in shop.types(intent.id))
    assert {"charge.dispute.created", "charge.dispute.funds_withdrawn"} <= set(shop.types(intent.id))
    if outcome == "won":
        await shop.until(lambda: "charge.dispute.funds_reinstated" in shop.types(intent.id))


async def test_a_test_card_opens_a_dispute_that_the_merchant_accepts(refused, client, pay, shop):
    intent = await pay("pm_card_createDispute")
    await shop.until(lambda: "charge.dispute.created" in shop.types(intent.id))
    [dispute] = (await client.v1.disputes.list_async({"payment_intent": intent.id})).data
    assert dispute.reason == "fraudulent"
    error = await refused(client.v1.refunds.create_async({"payment_intent": intent.id}))
    assert error.code == "charge_disputed"
    assert (await client.v1.disputes.close_async(dispute.id)).status == "lost"
