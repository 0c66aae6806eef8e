"""One function per consumed event. Each stores the request first; the reconciliation job repeats what Stripe missed.

A person's data are erased and exported on identity's events. The ledger stays.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from chassis.clock import now
from chassis.messaging.consumer import Handlers
from chassis.privacy import Privacy
from contracts.booking import BookingAdopted, BookingEmailChanged, PaymentCancelRequested, RefundRequested
from contracts.errors import NotYet, RejectedEvent
from contracts.payment import PaymentDataExported

from payment import model, store
from payment.settlement import Settlement

EXPORTED_FIELDS = {
    "id", "holder", "email", "reference", "showtime_id", "seats", "amount", "currency", "payment_deadline_at", "state",
    "intent_id", "captured", "refunding", "refunded", "refunds", "disputes", "ledger", "shares", "purchase",
}  # fmt: skip


async def on_payment_cancel_requested(settlement: Settlement, event: PaymentCancelRequested) -> None:
    """Cancel the payment: at once when it has no intent, else when Stripe has decided."""
    if await store.open_account(*model.create_tombstone(event.booking_id)):
        return
    account = await store.change(event.booking_id, lambda account: model.request_cancel(account, now()))
    if account and account.is_waiting:
        await settlement.try_settle(account)


async def on_refund_requested(settlement: Settlement, event: RefundRequested) -> None:
    """Refund the booking. Raises NotYet before any money is captured, and RejectedEvent for another currency."""

    def request(account: model.Account) -> model.AccountChange | None:
        if account.currency and account.currency != event.currency:
            raise RejectedEvent(f"paid in {account.currency}")
        bonus = (event.bonus_percent or 0) if event.refund_to == "credit" else None
        facts = (event.refund_id, event.amount, now())
        return model.request_booking_refund(account, *facts, credit_bonus=bonus, locale=event.locale or "en")

    account = await store.change(event.booking_id, request)
    if account is None:
        raise NotYet(f"no payment for booking {event.booking_id}")
    if not account.is_refund_blocked:
        await settlement.try_settle(account)


async def on_booking_adopted(event: BookingAdopted) -> None:
    """Give the payment of a guest's booking to the account that owns the booking now."""
    await store.adopt(event.booking_id, event.user_id)


async def on_booking_email_changed(event: BookingEmailChanged) -> None:
    """Store the corrected address."""
    await store.change_email(event.booking_id, event.email, event.new_email)


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the person's payments, credit, and the gift cards that they bought, without what others paid with these."""
    async for account in store.find_by_owner(user_id):
        yield account.model_dump(include=EXPORTED_FIELDS)
    for credit in await store.credit_of(user_id):
        yield credit.model_dump(include={"kind", "currency", "balance", "entries"})
    for card in await store.cards_of_buyer(user_id):
        yield card.model_dump(include={"id", "kind", "currency", "delivery", "mailed_at", "created_at"})


async def erase(user_id: str) -> None:
    """Remove the person from their payments, credit and gift cards. The ledgers stay."""
    await store.erase_owner(user_id)
    await store.erase_cards_of(user_id)


PRIVACY = Privacy(erase=erase, gather=gather, exported=PaymentDataExported)


def handlers(settlement: Settlement) -> Handlers:
    """Return the handlers by the class of their event."""
    return {
        PaymentCancelRequested: partial(on_payment_cancel_requested, settlement),
        RefundRequested: partial(on_refund_requested, settlement),
        BookingAdopted: on_booking_adopted,
        BookingEmailChanged: on_booking_email_changed,
    }
