"""One function per consumed event. Each stores the request first; the reconciliation job repeats what Stripe missed."""

from chassis.clock import now
from contracts.booking import PaymentCancelRequested, RefundRequested
from contracts.errors import NotYet, RejectedEvent

from payment import model, settlement, store


async def on_payment_cancel_requested(event: PaymentCancelRequested) -> None:
    """Cancel the payment: at once when it has no intent, else when Stripe has decided."""
    if await store.open_account(*model.create_tombstone(event.booking_id)):
        return
    payment = await store.change(event.booking_id, lambda account: model.request_cancel(account, now()))
    if payment and payment.is_waiting:
        await settlement.try_settle(payment)


async def on_refund_requested(event: RefundRequested) -> None:
    """Refund the booking. Raises NotYet before any money is captured, and RejectedEvent for another currency."""

    def request(account: model.Account) -> model.AccountChange | None:
        if account.currency and account.currency != event.currency:
            raise RejectedEvent(f"paid in {account.currency}")
        return model.request_booking_refund(account, event.refund_id, event.amount, now())

    payment = await store.change(event.booking_id, request)
    if payment is None:
        raise NotYet(f"no payment for booking {event.booking_id}")
    await settlement.try_settle(payment)


HANDLERS = {
    PaymentCancelRequested: on_payment_cancel_requested,
    RefundRequested: on_refund_requested,
}
