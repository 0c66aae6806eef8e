"""PaymentIntents through the official SDK: the whole lifecycle, and every illegal transition."""

import pytest
import stripe

RETURN_URL = "https://shop.example/return"


async def test_a_payment_from_intent_to_money(client, shop):
    intents = client.v1.payment_intents
    intent = await intents.create_async(
        {
            "amount": 2900,
            "currency": "EUR",
            "metadata": {"booking_id": "b-1", "0": "digit key"},
            "automatic_payment_methods": {"enabled": True},
            "receipt_email": "ada@example.org",
        }
    )
    assert (intent.status, intent.currency, intent.metadata["booking_id"]) == ("requires_payment_method", "eur", "b-1")
    assert intent.client_secret.startswith(f"{intent.id}_secret_")

    intent = await intents.update_async(intent.id, {"payment_method": "pm_card_visa", "metadata": {"seat": "F7"}})
    assert intent.status == "requires_confirmation"
    assert intent.metadata.to_dict() == {"booking_id": "b-1", "0": "digit key", "seat": "F7"}

    intent = await intents.confirm_async(intent.id, {"return_url": RETURN_URL, "expand": ["latest_charge"]})
    assert (intent.status, intent.amount_received) == ("succeeded", 2900)
    charge = intent.latest_charge
    assert (charge.paid, charge.amount_captured, charge.metadata["booking_id"]) == (True, 2900, "b-1")
    assert charge.payment_method_details.card.last4 == "4242"
    assert (await client.v1.charges.retrieve_async(charge.id)).payment_intent == intent.id
    await shop.until(lambda: len(shop.types(intent.id)) == 3)
    assert sorted(shop.types(intent.id)) == ["charge.succeeded", "payment_intent.created", "payment_intent.succeeded"]


DECLINES = [
    ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
    ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ("4000000000000002", "card_declined", "generic_decline"),
    ("4000000000009995", "card_declined", "insufficient_funds"),
    ("4000000000009987", "card_declined", "lost_card"),
    ("4000000000000069", "expired_card", "expired_card"),
    ("4000000000000127", "incorrect_cvc", "incorrect_cvc"),
    ("4000000000000119", "processing_error", "processing_error"),
]


@pytest.mark.parametrize(("card", "code", "decline_code"), DECLINES)
async def test_a_declined_card_may_be_followed_by_a_good_one(refused, client, card, code, decline_code):
    params = {"amount": 900, "currency": "eur", "payment_method_types": ["card"]}
    intent = await client.v1.payment_intents.create_async(params)
    numbered = {"payment_method_data": {"type": "card", "card": card_data(card)}}
    method = {"payment_method": card} if card.startswith("pm_") else numbered
    error = await refused(client.v1.payment_intents.confirm_async(intent.id, method), stripe.CardError)
    assert (error.http_status, error.code, error.error.decline_code) == (402, code, decline_code)
    assert error.error.payment_intent.id == intent.id

    after = await client.v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]})
    assert (after.status, after.payment_method, after.amount_received) == ("requires_payment_method", None, 0)
    assert after.last_payment_error.decline_code == decline_code
    assert (after.latest_charge.status, after.latest_charge.failure_code) == ("failed", code)

    paid = await client.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_mastercard"})
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)


def card_data(number: str, **more) -> dict:
    return {"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123", **more}


@pytest.mark.parametrize(
    ("details", "code", "decline_code"),
    [
        ({"number": "4242424242424241"}, "incorrect_number", None),
        ({"number": "4111111111111111"}, "card_declined", "test_mode_live_card"),
        ({"exp_month": 13}, "invalid_expiry_month", None),
        ({"exp_year": 2001}, "invalid_expiry_year", None),
        ({"cvc": "12"}, "invalid_cvc", None),
    ],
)
async def test_only_a_test_card_becomes_a_payment_method(refused, client, details, code, decline_code):
    params = {"type": "card", "card": card_data("4242424242424242") | details}
    error = await refused(client.v1.payment_methods.create_async(params), stripe.CardError)
    assert (error.code, error.error.decline_code) == (code, decline_code)


async def test_a_payment_method_is_created_and_retrieved(client):
    details = {"email": "ada@example.org", "address": {"city": "Turin"}}
    card = card_data("4000056655665556", exp_year=40)
    made = await client.v1.payment_methods.create_async({"type": "card", "card": card, "billing_details": details})
    read = await client.v1.payment_methods.retrieve_async(made.id)
    assert (read.card.last4, read.card.funding, read.card.exp_year) == ("5556", "debit", 2040)
    assert read.billing_details.address.city == "Turin"


AUTHENTICATED = ["4000002500003155", "4000000000003220", "4000008260003178"]


@pytest.mark.parametrize("number", AUTHENTICATED)
@pytest.mark.parametrize("approve", [True, False])
async def test_3d_secure_is_approved_or_refused(client, control, shop, number, approve):
    method = {"type": "card", "card": card_data(number)}
    params = {"amount": 2900, "currency": "eur", "confirm": True, "payment_method_data": method}
    intent = await client.v1.payment_intents.create_async({**params, "return_url": RETURN_URL})
    assert (intent.status, intent.next_action.type) == ("requires_action", "redirect_to_url")
    assert intent.next_action.redirect_to_url.return_url == RETURN_URL
    assert (await control.get(intent.next_action.redirect_to_url.url)).status_code == 200

    address = f"/_sandbox/payment_intents/{intent.id}/authenticate"
    assert (await control.post(address, json={"approve": approve, "client_secret": "wrong"})).status_code == 400
    assert (await control.post(address, json={"approve": approve})).status_code == 200
    after = await client.v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]})
    if not approve:
        assert after.last_payment_error.code == "payment_intent_authentication_failure"
        assert (after.status, after.latest_charge) == ("requires_payment_method", None)
    elif number == "4000008260003178":
        assert after.last_payment_error.decline_code == "insufficient_funds"
        assert after.status == "requires_payment_method"
    else:
        assert after.status == "succeeded"
        assert after.latest_charge.payment_method_details.card.three_d_secure.result == "authenticated"
    assert (await control.post(address, json={"approve": True})).json()["error"]["code"] == (
        "payment_intent_unexpected_state"
    )
    last = "payment_intent.succeeded" if after.status == "succeeded" else "payment_intent.payment_failed"
    await shop.until(lambda: last in shop.types(intent.id))
    assert "payment_intent.requires_action" in shop.types(intent.id)


async def test_a_card_that_requires_3d_secure_is_declined_off_session(refused, pay):
    error = await refused(pay("pm_card_authenticationRequired", off_session=True), stripe.CardError)
    assert error.code == "authentication_required"


async def test_a_canceled_intent_stays_canceled(refused, client, shop):
    intents = client.v1.payment_intents
    intent = await intents.create_async({"amount": 900, "currency": "eur", "payment_method": "pm_card_visa"})
    canceled = await intents.cancel_async(intent.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    for move in (
        intents.cancel_async(intent.id),
        intents.confirm_async(intent.id, {"return_url": RETURN_URL}),
        intents.update_async(intent.id, {"amount": 1000}),
    ):
        error = await refused(move)
        assert (error.http_status, error.code) == (400, "payment_intent_unexpected_state")
        assert error.error.payment_intent.status == "canceled"
        assert "status of canceled" in error.user_message
    await shop.until(lambda: "payment_intent.canceled" in shop.types(intent.id))


async def test_a_paid_intent_is_neither_confirmed_nor_canceled_nor_changed(refused, client, pay):
    intent = await pay()
    intents = client.v1.payment_intents
    for move in (
        intents.cancel_async(intent.id),
        intents.confirm_async(intent.id),
        intents.update_async(intent.id, {"payment_method": "pm_card_mastercard"}),
    ):
        assert (await refused(move)).code == "payment_intent_unexpected_state"
    described = await intents.update_async(intent.id, {"description": "two seats", "metadata": {"a": "1"}})
    assert described.description == "two seats"
    assert (await intents.update_async(intent.id, {"metadata": {"a": ""}})).metadata.to_dict() == {}


async def test_an_intent_without_payment_method_cannot_be_confirmed(refused, client):
    intent = await client.v1.payment_intents.create_async({"amount": 900, "currency": "eur"})
    error = await refused(client.v1.payment_intents.confirm_async(intent.id, {"return_url": RETURN_URL}))
    assert error.code == "payment_intent_unexpected_state"
    error = await refused(client.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"}))
    assert "return_url" in error.user_message


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"amount": 49, "currency": "usd"}, "amount_too_small", "amount"),
        ({"amount": 550, "currency": "isk"}, "parameter_invalid", "amount"),
        ({"amount": 5124, "currency": "kwd"}, "parameter_invalid", "amount"),
        ({"amount": 100_000_000, "currency": "usd"}, "amount_too_large", "amount"),
        ({"amount": 0, "currency": "usd"}, "parameter_invalid_integer", "amount"),
        ({"amount": "12.50", "currency": "usd"}, "parameter_invalid_integer", "amount"),
        ({"amount": 900}, "parameter_missing", "currency"),
        ({"currency": "usd"}, "parameter_missing", "amount"),
        ({"amount": 900, "currency": "xyz"}, None, "currency"),
        ({"amount": 900, "currency": "eur", "colour": "red"}, "parameter_unknown", "colour"),
        ({"amount": 900, "currency": "eur", "payment_method": "pm_none"}, "resource_missing", "payment_method"),
        ({"amount": 900, "currency": "eur", "metadata": {"k": "x" * 501}}, None, "metadata[k]"),
        ({"amount": 900, "currency": "eur", "metadata": {"k" * 41: "x"}}, None, "metadata"),
        ({"amount": 900, "currency": "eur", "metadata": {str(n): "x" for n in range(51)}}, None, "metadata"),
        ({"amount": 900, "currency": "eur", "payment_method_types": ["sepa_debit"]}, None, "payment_method_types"),
        ({"amount": 900, "currency": "eur", "capture_method": "manual"}, None, "capture_method"),
    ],
)
async def test_bad_parameters_are_named(refused, client, params, code, param):
    error = await refused(client.v1.payment_intents.create_async(params))
    assert (error.code, error.param) == (code, param)
    assert (await client.v1.payment_intents.list_async()).data == []


async def test_lists_page_by_cursor_newest_first(refused, client):
    intents = client.v1.payment_intents
    made = [(await intents.create_async({"amount": 900 + n, "currency": "eur"})).id for n in range(5)]
    first = await intents.list_async({"limit": 2})
    assert ([intent.id for intent in first.data], first.has_more) == (made[:2:-1], True)
    second = await intents.list_async({"limit": 3, "starting_after": first.data[-1].id})
    assert ([intent.id for intent in second.data], second.has_more) == (made[2::-1], False)
    back = await intents.list_async({"limit": 2, "ending_before": second.data[0].id})
    assert [intent.id for intent in back.data] == made[:2:-1]
    assert [intent.id async for intent in first.auto_paging_iter()] == made[::-1]
    assert (await intents.list_async({"created": {"lt": 1}})).data == []
    assert len((await intents.list_async({"created": {"gte": 1}})).data) == 5
    assert (await refused(intents.list_async({"limit": 101}))).param == "limit"
    assert (await refused(intents.list_async({"starting_after": "pi_none"}))).code == "resource_missing"


async def test_expansion_reaches_into_lists_and_refuses_nonsense(refused, client, pay):
    intent = await pay()
    listed = await client.v1.payment_intents.list_async({"expand": ["data.latest_charge", "data.payment_method"]})
    assert listed.data[0].latest_charge.payment_intent == intent.id
    assert listed.data[0].payment_method.card.last4 == "4242"
    error = await refused(client.v1.payment_intents.retrieve_async(intent.id, {"expand": ["amount"]}))
    assert "cannot be expanded" in error.user_message


async def test_unknown_objects_and_addresses_are_404(refused, client, control):
    for missing in (
        client.v1.payment_intents.retrieve_async("pi_none"),
        client.v1.charges.retrieve_async("ch_none"),
        client.v1.refunds.retrieve_async("re_none"),
        client.v1.payment_methods.retrieve_async("pm_none"),
        client.v1.disputes.retrieve_async("du_none"),
        client.v1.events.retrieve_async("evt_none"),
        client.v1.webhook_endpoints.retrieve_async("we_none"),
    ):
        error = await refused(missing)
        assert (error.http_status, error.code) == (404, "resource_missing")
    assert (await refused(client.v1.customers.create_async({}))).http_status == 404
