"""Erasure and export of a person's data. The ledger stays."""

from collections.abc import AsyncIterator
from typing import Any

from chassis.privacy import Privacy
from contracts.payment import PaymentDataExported

from payment import store

EXPORTED_FIELDS = {
    "id", "holder", "email", "reference", "showtime_id", "seats", "amount", "currency", "payment_deadline_at", "state",
    "intent_id", "captured", "refunding", "refunded", "refunds", "ledger",
}  # fmt: skip


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the person's payments."""
    async for payment in store.find_by_owner(user_id):
        yield payment.model_dump(include=EXPORTED_FIELDS)


PRIVACY = Privacy(erase=store.erase_owner, gather=gather, exported=PaymentDataExported)
