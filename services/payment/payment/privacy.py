"""What payment keeps about a person: taken out when they are gone, handed out when they ask. The ledger stays."""

from collections.abc import AsyncIterator
from typing import Any

from chassis.privacy import Privacy
from contracts.payment import PaymentDataExported

from payment import store

HANDED_OUT = {
    "id", "holder", "email", "reference", "showtime_id", "seats", "amount", "currency", "payment_deadline_at", "state",
    "intent_id", "captured", "refunding", "refunded", "refunds", "ledger",
}  # fmt: skip


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """The person's payments."""
    async for payment in store.owned_by(user_id):
        yield payment.model_dump(include=HANDED_OUT)


PRIVACY = Privacy(erase=store.forget_owner, gather=gather, says=PaymentDataExported)
