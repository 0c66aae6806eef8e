"""Gift cards and credit: bought, mailed, paid with, beside a card and alone, refunded, blocked, looked up."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from chassis.clock import now
from chassis.security.secrets import hash_secret
from chassis.testing import replica_of, until
from contracts.booking import RefundRequested
from contracts.payment import GiftCardActed, GiftCardMailed, PaymentCancelled, PaymentRefunded, PaymentSucceeded
from contracts.types import Holder

from .conftest import GUEST, HOLD_SECRET, PRICE, Checkout, reconcile_now
from .gift_cards import RECIPIENT, STAFF, balance, code_of, issue, ledger, pay_with, wait_for_balance

pytestmark = pytest.mark.usefixtures("client")


async def buy(checkout: Checkout, headers: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    body = {"amount": 2000, "currency": "EUR", "recipient_email": RECIPIENT} | changes
    answer = await checkout.client.post("/api/gift-cards", json=body, headers=headers or GUEST)
    assert answer.status_code == 201, answer.text
    checkout.id, checkout.intent_id = answer.json()["id"], answer.json()["payment_intent_id"]
    return answer.json()


async def state_of(checkout: Checkout, headers: dict[str, str] | None = None) -> dict[str, Any]:
    return (await checkout.client.get(f"/api/gift-cards/{checkout.id}", headers=headers or GUEST)).json()


async def bought(checkout: Checkout, headers: dict[str, str] | None = None, **changes: Any) -> str:
    """Buy a gift card and pay it; return its code."""
    await buy(checkout, headers, **changes)
    assert (await checkout.confirm()).json()["status"] == "succeeded"
    return await code_of(checkout, checkout.id)


async def test_a_gift_card_is_bought_mailed_and_used(new_checkout: Callable[[], Checkout]):
    purchase, booking = new_checkout(), new_checkout()
    made = await buy(purchase, sender="Ada", message="Enjoy!\nAda", locale="de")
    assert (made["state"], made["amount"], made["refundable"], made["secret"]) == ("unpaid", 2000, False, None)
    assert (await purchase.client.get(f"/api/gift-cards/{purchase.id}")).status_code == 404
    await purchase.confirm()
    code = await code_of(purchase, purchase.id)
    mail = purchase.bus.events(GiftCardMailed, lambda each: each.gift_card_id == purchase.id)[0]
    assert (mail.email, mail.sender, mail.message, mail.locale) == (RECIPIENT, "Ada", "Enjoy!\nAda", "de")
    assert (mail.amount, mail.reason, code in mail.model_dump_json()) == (2000, "bought", False)
    paid = await state_of(purchase)
    assert (paid["state"], paid["refundable"], paid["client_secret"]) == ("paid", True, None)
    assert purchase.events(PaymentSucceeded) == []

    answer = (await pay_with(booking, code.lower())).json()
    assert (answer["amount"], answer["shares"]) == (
        500,
        [{"kind": "gift_card", "last_characters": code[-4:], "amount": 2000}],
    )
    assert await balance(booking, code) == 0
    again = (await booking.create_intent()).json()
    assert (again["payment_intent_id"], again["shares"]) == (answer["payment_intent_id"], answer["shares"])
    await booking.confirm()
    paid = await booking.wait_until(state="succeeded", captured=PRICE)
    assert [(entry["tender"], entry["amount"]) for entry in paid["ledger"]] == [("card", 500), ("gift_card", 2000)]
    event = (await booking.wait_for_events(PaymentSucceeded))[0]
    assert (event.amount, [(each.kind, each.captured) for each in event.tenders or []]) == (
        PRICE,
        [("gift_card", 2000), ("card", 500)],
    )
    await reconcile_now(booking.id)
    assert [entry["kind"] for entry in (await ledger(booking, purchase.id))["entries"]] == [
        "issued",
        "reserved",
        "taken",
    ]

    await booking.request_refund(2200, f"{booking.id}-refund")
    refunded = (await booking.wait_for_events(PaymentRefunded))[0]
    assert (refunded.amount, refunded.refunded, refunded.requested) == (2200, 2200, True)
    assert await balance(booking, code) == 2000
    assert [refund["amount"] for refund in await booking.refunds_at_stripe()] == [200]
    assert (await state_of(purchase))["refundable"] is False


async def test_a_gift_card_can_pay_everything(checkout: Checkout):
    card_id, code = await issue(checkout, 3000)
    answer = await pay_with(checkout, code)
    assert (answer.json()["amount"], answer.json()["client_secret"]) == (0, None)
    assert await checkout.intents_at_stripe() == []
    assert [event.amount for event in await checkout.wait_for_events(PaymentSucceeded)] == [PRICE]
    for _ in range(2):
        assert (await pay_with(checkout, code)).json()["code"] == "already_paid"
    assert (await checkout.create_intent()).json()["code"] == "already_paid"
    assert (await ledger(checkout, card_id))["reserved"] == 0
    await checkout.request_refund(PRICE, f"{checkout.id}-refund")
    await wait_for_balance(checkout, code, 3000)


async def test_what_is_left_for_the_card_can_be_charged(checkout: Checkout):
    _, code = await issue(checkout, PRICE - 20)
    assert (await pay_with(checkout, code)).json()["amount"] == 50
    assert await balance(checkout, code) == 30


async def test_a_cancelled_payment_releases_the_gift_card(new_checkout: Callable[[], Checkout]):
    with_intent, planned = new_checkout(), new_checkout()
    _, code = await issue(with_intent, 2000)
    await pay_with(with_intent, code)
    await with_intent.cancel()
    await with_intent.wait_for_events(PaymentCancelled)
    await wait_for_balance(with_intent, code, 2000)
    await planned.cancel()  # overtakes create-intent
    await planned.wait_for_events(PaymentCancelled)
    assert (await pay_with(planned, code)).json()["code"] in {"payment_closed", "payment_unknown"}
    assert await balance(planned, code) == 2000


async def test_a_payment_that_has_begun_keeps_its_tenders(new_checkout: Callable[[], Checkout]):
    plain, mixed = new_checkout(), new_checkout()
    (_, code), (_, other) = await issue(plain, 1000), await issue(plain, 1000)
    await plain.with_intent()
    assert (await pay_with(plain, code)).json()["code"] == "tenders_fixed"
    await pay_with(mixed, code)
    assert (await pay_with(mixed, other)).json()["code"] == "tenders_fixed"
    assert await balance(mixed, other) == 1000


async def test_wrong_codes_are_refused_and_limited(checkout: Checkout, monkeypatch: pytest.MonkeyPatch):
    from payment.store import attempts  # noqa: PLC0415 - its settings come from the environment

    _, foreign = await issue(checkout, 3000, currency="GBP")
    assert (await pay_with(checkout, foreign)).json()["code"] == "gift_card_currency"
    caller = checkout.signer.headers("a-guesser")
    monkeypatch.setattr(attempts, "MAX_FAILURES", 3)
    await attempts.AttemptsDocument.get_pymongo_collection().delete_many({})
    codes = []
    for guess in ("0000-0000-0000-0000-0000", "x", "U" * 20, foreign):
        answer = await checkout.client.post("/api/gift-cards/balance", json={"code": guess}, headers=caller)
        codes.append(answer.json()["code"])
    assert codes == [*["gift_card_unknown"] * 3, "too_many_attempts"]
    assert int(answer.headers["Retry-After"]) > 0
    await attempts.AttemptsDocument.get_pymongo_collection().delete_many({})


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 499},
        {"amount": 100_001},
        {"amount": 20.5},
        {"currency": "XXX"},
        {"recipient_email": "nobody"},
        {"message": "x" * 501},
        {"deliver_at": (now() + timedelta(days=400)).isoformat()},
    ],
)
async def test_a_gift_card_that_nobody_can_buy(checkout: Checkout, changes: dict[str, Any]):
    body = {"amount": 2000, "currency": "EUR", "recipient_email": RECIPIENT} | changes
    assert (await checkout.client.post("/api/gift-cards", json=body, headers=GUEST)).status_code == 422


async def test_a_present_is_mailed_on_its_day(checkout: Checkout):
    from payment import jobs, main  # noqa: PLC0415 - its settings come from the environment
    from payment.store import GiftCardDocument  # noqa: PLC0415

    await buy(checkout, deliver_at=(now() + timedelta(days=3)).isoformat())
    await checkout.confirm()
    await checkout.wait_until(state="succeeded")
    await reconcile_now(checkout.id)
    card = await ledger(checkout, checkout.id)
    assert (card["balance"], card["code_hash"], card["mailed_at"]) == (2000, None, None)
    await GiftCardDocument.get_pymongo_collection().update_one({"_id": checkout.id}, {"$set": {"deliver_at": now()}})
    await jobs.deliver_gift_cards(main.gift_cards)
    code = await code_of(checkout, checkout.id)
    assert await balance(checkout, code) == 2000
    await jobs.deliver_gift_cards(main.gift_cards)
    assert (await state_of(checkout))["mailed_at"] is not None


async def test_an_unused_gift_card_is_refunded(new_checkout: Callable[[], Checkout]):
    unused, used = new_checkout(), new_checkout()
    code, spent = await bought(unused), await bought(used)
    path = f"/api/gift-cards/{unused.id}/refund"
    assert (await unused.client.post(path, headers=unused.signer.headers("a-thief"))).status_code == 404
    for _ in range(2):
        answer = await unused.client.post(path, headers=GUEST)
        assert (answer.status_code, answer.json()["refundable"]) == (202, False)
    await unused.wait_until(refunded=2000)
    assert (await state_of(unused))["state"] == "refunded"
    assert [refund["amount"] for refund in await unused.refunds_at_stripe()] == [2000]
    assert (await pay_with(new_checkout(), code)).json()["code"] == "gift_card_unusable"
    await pay_with(new_checkout(), spent)
    answer = await used.client.post(f"/api/gift-cards/{used.id}/refund", headers=GUEST)
    assert (answer.status_code, answer.json()["code"]) == (409, "gift_card_used")
    assert await used.refunds_at_stripe() == []


async def test_a_disputed_purchase_blocks_its_gift_card(checkout: Checkout):
    await buy(checkout)
    await checkout.confirm("pm_card_createDispute")
    code = await code_of(checkout, checkout.id)

    async def is_blocked() -> bool:
        await reconcile_now(checkout.id)
        answer = await checkout.client.post("/api/gift-cards/balance", json={"code": code})
        return answer.json()["state"] == "blocked"

    await until(is_blocked)


async def refund_to_credit(checkout: Checkout, amount: int, number: int = 1) -> None:
    await checkout.bus.publish(
        RefundRequested(
            booking_id=checkout.id,
            refund_id=f"{checkout.id}-refund-{number}",
            amount=amount,
            currency="EUR",
            reason="cancelled",
            refund_to="credit",
            bonus_percent=10,
            locale="de",
        )
    )


async def test_a_refund_to_credit_pays_the_next_booking(new_checkout: Callable[[], Checkout]):
    first, second = new_checkout(), new_checkout()
    mine = first.signer.headers(f"user-{first.id}")
    holder = {"holder": Holder(user_id=f"user-{first.id}")}
    first.changes, second.changes = holder, holder
    await first.create_intent(mine)
    await first.confirm()
    await first.wait_until(state="succeeded")
    for _ in range(2):
        await refund_to_credit(first, 2000)
    refunded = (await first.wait_for_events(PaymentRefunded))[0]
    assert (refunded.amount, refunded.captured) == (2000, PRICE)

    async def credited() -> bool:
        answer = await first.client.get("/api/gift-cards/credit", headers=mine)
        return answer.json() == [{"balance": 2200, "currency": "EUR"}]

    await until(credited)
    assert await first.refunds_at_stripe() == []
    answer = await pay_with(second, headers=mine, use_credit=True)
    assert (answer.json()["amount"], answer.json()["shares"][0]["kind"]) == (300, "credit")
    assert (await pay_with(second, headers=mine, use_credit=True)).json()["amount"] == 300


async def test_a_guests_credit_is_a_gift_card(checkout: Checkout):
    await checkout.paid()
    await refund_to_credit(checkout, PRICE)
    code = await code_of(checkout, f"{checkout.id}-refund-1")
    mail = checkout.bus.events(GiftCardMailed, lambda each: each.gift_card_id == f"{checkout.id}-refund-1")[0]
    assert (mail.reason, mail.email, mail.locale) == ("refund", "guest@usher.example", "de")
    assert await balance(checkout, code) == PRICE * 110 // 100


async def test_staff_look_up_block_and_mail_again(checkout: Checkout):
    staff, client = checkout.signer.headers("staff-1", STAFF), checkout.client
    card_id, code = await issue(checkout, 1500)
    found = (await client.get(f"/api/gift-cards?last_characters={code[-4:].lower()}", headers=staff)).json()
    shown = next(card for card in found if card["id"] == card_id)
    assert (shown["balance"], shown["recipient_email"], "code_hash" in shown) == (1500, RECIPIENT, False)
    for act, state in (("block", "blocked"), ("unblock", "active"), ("mail", "active")):
        answer = await client.post(f"/api/gift-cards/{card_id}/{act}", headers=staff)
        assert (answer.status_code, answer.json()["state"]) == (200, state)
    new_code = await code_of(checkout, card_id, 2)
    assert await balance(checkout, new_code) == 1500
    assert (await pay_with(checkout, code)).json()["code"] == "gift_card_unknown"

    async def acts() -> bool:
        found = checkout.bus.events(GiftCardActed, lambda each: each.gift_card_id == card_id)
        return {each.action.removeprefix("gift_card_") for each in found} == {
            "issued",
            "blocked",
            "unblocked",
            "mailed",
        }

    await until(acts)
    owed = (await client.get("/api/gift-cards/liability", headers=staff)).json()
    euros = next(each for each in owed if (each["currency"], each["kind"]) == ("EUR", "gift_card"))
    assert euros["owed"] >= 1500 + euros["reserved"]


@pytest.mark.parametrize("guarded", [False, True], ids=["no guard", "guard"])
async def test_one_gift_card_on_two_replicas_at_once(
    new_checkout: Callable[[], Checkout], monkeypatch: pytest.MonkeyPatch, *, guarded: bool
):
    """Both replicas have read a balance of 2000. Without the guard both bookings spend it."""
    from payment.store.gift_cards import cards  # noqa: PLC0415 - its settings come from the environment

    mine, theirs = new_checkout(), new_checkout()
    card_id, code = await issue(mine, 2000)
    read, write = cards.get, cards.update
    answers: list[int] = []
    async with replica_of("payment") as (_, http):
        other = replace(theirs, client=http)

        async def read_slowly(document_id: object) -> Any:
            card = await read(document_id)
            if document_id == card_id and not answers:
                answers.append((await pay_with(other, code)).status_code)
            return card

        async def write_unguarded(where: Any, change: Any, **options: Any) -> bool:
            return await write({"_id": where["_id"]}, change, **options)

        monkeypatch.setattr(cards, "get", read_slowly)
        if not guarded:
            monkeypatch.setattr(cards, "update", write_unguarded)
        answer = await pay_with(mine, code)
    assert answers == [200]
    monkeypatch.setattr(cards, "get", read)
    card = await ledger(mine, card_id)
    if guarded:
        assert (answer.status_code, answer.json()["code"], card["balance"]) == (409, "gift_card_used", 0)
        assert (await mine.create_intent()).json()["amount"] == PRICE
    else:
        assert (answer.status_code, card["balance"]) == (200, -2000)


async def test_a_gift_card_outlives_its_buyers_account(checkout: Checkout):
    from payment import handlers  # noqa: PLC0415 - its settings come from the environment

    buyer = f"buyer-{checkout.id}"
    headers = checkout.signer.headers(buyer)
    code = await bought(checkout, headers, sender="Ada")
    exported = [part async for part in handlers.gather(buyer)]
    assert [part["kind"] for part in exported if "kind" in part] == ["gift_card"]
    assert code not in str(exported)
    await handlers.erase(buyer)
    assert [part async for part in handlers.gather(buyer)] == []
    card = await ledger(checkout, checkout.id)
    assert (card["delivery"], card["buyer"]["user_id"]) == (None, f"erased-{checkout.id}")
    assert await balance(checkout, code) == 2000


async def test_a_purchase_that_is_paid_after_the_erasure_of_its_buyer_is_mailed(checkout: Checkout):
    from payment import handlers, store  # noqa: PLC0415 - its settings come from the environment

    await buy(checkout, checkout.signer.headers(buyer := f"buyer-{checkout.id}"), message="Enjoy")
    await handlers.erase(buyer)
    await checkout.confirm()
    await checkout.wait_until(state="succeeded")
    await reconcile_now(checkout.id)
    assert await balance(checkout, await code_of(checkout, checkout.id)) == 2000
    (mail,) = checkout.bus.events(GiftCardMailed, lambda each: each.gift_card_id == checkout.id)
    assert (mail.email, mail.message) == (RECIPIENT, "Enjoy")
    account = await store.find(checkout.id)
    assert account
    assert account.purchase
    assert (account.purchase.email, account.purchase.message) == ("", None), "the gift card has them now"


async def test_an_abandoned_purchase_forgets_the_recipient(checkout: Checkout):
    from payment import store  # noqa: PLC0415 - its settings come from the environment

    await buy(checkout, message="Enjoy")
    late = {"$set": {"payment_deadline_at": now() - timedelta(seconds=1)}}
    await store.AccountDocument.get_pymongo_collection().update_one({"_id": checkout.id}, late)
    await reconcile_now(checkout.id)
    await checkout.wait_until(state="cancelled")
    account = await store.find(checkout.id)
    assert account
    assert account.purchase
    assert (account.purchase.email, account.purchase.message) == ("", None)


async def test_a_guest_without_a_secret_gets_one(checkout: Checkout):
    body = {"amount": 2000, "currency": "EUR", "recipient_email": RECIPIENT}
    made = (await checkout.client.post("/api/gift-cards", json=body)).json()
    checkout.id = made["id"]
    assert (await state_of(checkout, {"X-Hold-Secret": made["secret"]}))["state"] == "unpaid"
    assert hash_secret(made["secret"]) != hash_secret(HOLD_SECRET)
