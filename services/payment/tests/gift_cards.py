"""What the tests of gift cards share: buy or issue one, read its code in the mail's event, pay with it."""

from typing import Any

import httpx
from chassis.security.secrets import Cipher
from chassis.testing import until
from contracts.payment import GiftCardMailed

from .conftest import GUEST, LINK_KEY, ORDERS, Checkout

STAFF = ["gift_cards:read", "gift_cards:write"]
RECIPIENT = "grace@usher.example"


async def code_of(checkout: Checkout, gift_card_id: str, count: int = 1) -> str:
    """Wait for the card's mail number `count`; return its code."""

    def mails() -> list[GiftCardMailed]:
        return checkout.bus.events(GiftCardMailed, lambda each: each.gift_card_id == gift_card_id)

    async def mailed() -> bool:
        return len(mails()) >= count

    await until(mailed)
    return Cipher(LINK_KEY).decrypt(mails()[count - 1].sealed_code)


async def issue(checkout: Checkout, amount: int, **changes: Any) -> tuple[str, str]:
    """Let staff issue a gift card; return its id and code."""
    body = {"amount": amount, "currency": "EUR", "recipient_email": RECIPIENT} | changes
    headers = checkout.signer.headers("staff-1", STAFF)
    answer = await checkout.client.post("/api/gift-cards/issue", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], await code_of(checkout, answer.json()["id"])


async def pay_with(
    checkout: Checkout, *codes: str, headers: dict[str, str] | None = None, **body: Any
) -> httpx.Response:
    """Request the booking's intent with these gift cards."""
    body = {"order": ORDERS.sign(checkout.order()), "gift_cards": list(codes)} | body
    answer = await checkout.client.post("/api/payments/create-intent", json=body, headers=headers or GUEST)
    if answer.is_success:
        checkout.intent_id = answer.json()["payment_intent_id"] or ""
    return answer


async def balance(checkout: Checkout, code: str) -> int:
    answer = await checkout.client.post("/api/gift-cards/balance", json={"code": code})
    assert answer.status_code == 200, answer.text
    return answer.json()["balance"]


async def wait_for_balance(checkout: Checkout, code: str, expected: int) -> None:
    async def fits() -> bool:
        return await balance(checkout, code) == expected

    await until(fits)


async def ledger(checkout: Checkout, gift_card_id: str) -> dict[str, Any]:
    """The gift card as staff see it."""
    from payment import store  # noqa: PLC0415 - its settings come from the environment

    card = await store.find_card(gift_card_id)
    assert card is not None
    return card.model_dump()
