"""Events in. A wish of booking's is written down first; what Stripe does not do at once, the job asks for again."""

from chassis.clock import now
from contracts.booking import PaymentCancelRequested, RefundRequested
from contracts.errors import NotYet, RejectedEvent

from payment import model, settlement, store


async def on_payment_cancel_requested(event: PaymentCancelRequested) -> None:
    """No money is wanted: said at once when there is no intent, else when Stripe has decided."""
    if await store.open_account(*model.tombstone(event.booking_id)):
        return
    payment = await store.change(event.booking_id, lambda account: model.cancel(account, now()))
    if payment and payment.is_waiting:
        await settlement.settle_soon(payment)


async def on_refund_requested(event: RefundRequested) -> None:
    """Money goes back. NotYet while none has come; RejectedEvent for money of another currency."""

    def ask(account: model.Account) -> model.Change | None:
        if account.currency and account.currency != event.currency:
            raise RejectedEvent(f"paid in {account.currency}")
        return model.ask_booking_refund(account, event.refund_id, event.amount, now())

    payment = await store.change(event.booking_id, ask)
    if payment is None:
        raise NotYet(f"no payment for booking {event.booking_id}")
    await settlement.settle_soon(payment)


REACTIONS = {
    PaymentCancelRequested: on_payment_cancel_requested,
    RefundRequested: on_refund_requested,
}
