"""Keeps accounts and Stripe's intents in agreement.

The API, the handlers, the webhook and the jobs all use it. A request is first stored in the account, so that it is
eventually carried out. Then Stripe is called, and its answer is applied by the rules of `model`.
"""

from collections.abc import Sequence

import structlog
from chassis.clock import now
from contracts.claims import PaymentOrder
from prometheus_client import Counter

from payment import model, store
from payment.model import (
    Account,
    AlreadyPaid,
    ChargeUpdate,
    DisputeUpdate,
    GiftCard,
    GiftCardUsed,
    IntentUpdate,
    MoneyMismatch,
    ProviderFailed,
    ProviderRefused,
    ProviderUnavailable,
    RefundUpdate,
    State,
    StripeEvent,
    StripeUpdate,
    TendersFixed,
)
from payment.settlement.gift_cards import GiftCards, shares_of
from payment.stripe import IntentHandle, Stripe, time_budget, wait_before_retry

log = structlog.get_logger()
_failed_refunds = Counter("usher_payment_refunds_failed_total", "Refunds that failed at the bank")


class UnknownBooking(Exception):
    """The booking has no account, and the metadata of its intent is not enough to restore one."""


class Settlement:
    """Applies Stripe's updates to accounts, and sends the requests stored in accounts to Stripe."""

    def __init__(self, stripe: Stripe, gift_cards: GiftCards) -> None:
        self._stripe, self._gift_cards = stripe, gift_cards

    async def open_intent(self, order: PaymentOrder) -> IntentHandle:
        """Return the order's one intent. The first request creates it and stores it with its account in one write.

        Raises what `model.new_account`, `check_payable` and `complete_account` raise, ProviderUnavailable and
        ProviderRefused.
        """
        account = model.new_account(order)
        if problem := model.reason_not_payable(account, now()):
            if stored := await store.find(account.id):
                model.check_payable(stored, now())  # the stored account may give a better reason, e.g. AlreadyPaid
            raise problem
        if order.was_guests and (stored := await store.find(account.id)):
            return await self._resume_intent(stored, order)  # the guest may have begun to pay
        try:
            handle = await self._stripe.create_intent(account)
        except ProviderFailed:
            # Stripe repeats this failure for as long as it stores the idempotency key. So the account is stored
            # without an intent and counts the spent keys. A later request, on any replica, fails here again and
            # continues there.
            await store.open_account(account.model_copy(update={"intent_attempt": account.intent_attempt + 1}))
            await wait_before_retry()
            if stored := await store.find(account.id):
                return await self._resume_intent(stored, order)
            raise
        attached = model.attach_intent(account, handle.intent, now())
        if attached and await store.open_account(account.model_copy(update=attached.fields)):
            return handle
        if stored := await store.find(account.id):
            return await self._attach_intent(stored, order, handle)
        await self._stripe.cancel_intent(handle.intent.id)
        raise model.DeadlinePassed  # the deadline passed while Stripe created the intent

    async def open_mixed(self, order: PaymentOrder, cards: Sequence[GiftCard]) -> tuple[Account, IntentHandle | None]:
        """Reserve what these gift cards and credit pay, and return the intent for the rest; None when all is paid.

        The account stores the shares first, then the cards' ledgers reserve them. So a cancellation at any moment
        releases them. A repeated request continues where an earlier one stopped. Raises GiftCardUsed when a card has
        too little money by now, TendersFixed when the payment has begun with other tenders, and what `open_intent`
        raises.
        """
        account = model.new_account(order)
        stored = account if await store.open_account(account) else await store.find(account.id) or account
        model.check_payable(stored, now())
        account = await _change(stored, lambda account: model.complete_account(account, order))
        if not account.shares:
            shares = shares_of(cards, account.amount, account.currency)
            account = await _change(account, lambda account: model.set_shares(account, shares))
        if {share.card_id for share in account.shares} - {card.id for card in cards} or not account.shares:
            raise TendersFixed
        return await self._reserve(account, order)

    async def _reserve(self, account: Account, order: PaymentOrder) -> tuple[Account, IntentHandle | None]:
        plan = account.plan
        if not account.are_shares_reserved:
            if not await self._gift_cards.reserve(account):
                dropped = await _change(account, lambda account: model.drop_shares(account, plan, now()))
                await self._gift_cards.carry_out(dropped)
                raise GiftCardUsed
            account = await _change(account, lambda account: model.confirm_shares(account, plan, now()))
        if account.state is State.SUCCEEDED:
            return await self._gift_cards.carry_out(account), None
        handle = await self._resume_intent(account, order)
        return await store.find(account.id) or account, handle

    async def buy(self, purchase: Account) -> IntentHandle:
        """Create the intent of the purchase of a gift card, and store the purchase with it."""
        handle = await self._stripe.create_intent(purchase)
        attached = model.attach_intent(purchase, handle.intent, now())
        if attached is None or not await store.open_account(purchase.model_copy(update=attached.fields)):
            raise ProviderRefused
        return handle

    async def resume_purchase(self, account: Account) -> IntentHandle | None:
        """Return the intent of an unpaid purchase in its state at Stripe."""
        if account.state is not State.INTENT_CREATED or not account.intent_id:
            return None
        handle = await self._stripe.retrieve_intent(account.intent_id)
        await self.apply_update(account.id, handle.intent)
        return handle

    async def _resume_intent(self, account: Account, order: PaymentOrder) -> IntentHandle:
        """Return the intent of an existing account in its state at Stripe; create one if the account has none.

        An intent that Stripe created although it answered with an error stays unpaid: its secret never left Stripe.
        """
        model.check_payable(account, now())
        account = await _change(account, lambda account: model.complete_account(account, order))
        if account.shares and not account.are_shares_reserved:  # an earlier request stopped in between
            account, handle = await self._reserve(account, order)
            if handle is None:
                raise AlreadyPaid
            return handle
        if account.intent_id:
            handle = await self._stripe.retrieve_intent(account.intent_id)
            try:
                updated = await self.apply_update(account.id, handle.intent)
            except MoneyMismatch as error:  # the webhook with the same update is parked until a person looks at it
                raise ProviderRefused from error
            model.check_payable(updated, now())
            return handle
        try:
            handle = await self._stripe.create_intent(account)
        except ProviderFailed:
            attempt = account.intent_attempt
            account = await _change(account, lambda account: model.rotate_intent_key(account, attempt))
            await wait_before_retry()
            return await self._resume_intent(account, order)
        return await self._attach_intent(account, order, handle)

    async def _attach_intent(self, account: Account, order: PaymentOrder, handle: IntentHandle) -> IntentHandle:
        """Attach a new intent to the account. If the account has another intent or is closed, cancel the new one.

        The client secret of an intent that is not attached is never returned.
        """
        account = await _change(account, lambda account: model.attach_intent(account, handle.intent, now()))
        if account.intent_id != handle.intent.id:
            await self._stripe.cancel_intent(handle.intent.id)
        return await self._resume_intent(account, order)

    async def apply_update(self, booking_id: str, update: StripeUpdate, cause: StripeEvent | None = None) -> Account:
        """Apply an update from Stripe to a booking's account. Raises UnknownBooking and MoneyMismatch.

        An intent's webhook event (`cause`) is stored in the account by the write that it causes. A lost account (after
        a restored backup, or after a crash between Stripe's write and ours) is restored from its intent.
        """
        match update:
            case IntentUpdate():

                def decide(account: Account) -> model.AccountChange | None:
                    return model.apply_intent(account, update, now(), cause)

                account = await store.change(booking_id, decide)
                if account is None and (lost := model.restore_account(update, now())):
                    if await store.open_account(lost):
                        log.warning("account_restored", booking_id=booking_id, intent_id=update.id)
                    account = await store.change(booking_id, decide)
            case RefundUpdate():
                account = await store.change(booking_id, lambda account: model.apply_refund(account, update, now()))
                if update.state == "failed":
                    _failed_refunds.inc()
                    log.error("refund_failed", booking_id=booking_id, refund=update.id, amount=update.amount)
            case DisputeUpdate():
                account = await store.change(booking_id, lambda account: model.apply_dispute(account, update, now()))
                log.warning("dispute", booking_id=booking_id, dispute=update.id, status=update.status)
            case ChargeUpdate():
                account = await store.find(booking_id)
                if account and update.amount_refunded > model.refunded_at_stripe(account):
                    await self._fetch_refunds(account)
        if account is None:
            raise UnknownBooking(booking_id)
        return account

    async def _fetch_disputes(self, account: Account) -> None:
        if account.intent_id:
            for dispute in await self._stripe.list_disputes(account.intent_id):
                await self.apply_update(account.id, dispute)

    async def _fetch_refunds(self, account: Account) -> None:
        if account.intent_id:
            for refund in await self._stripe.list_refunds(account.intent_id):
                await self.apply_update(account.id, refund)

    async def settle(self, account: Account) -> None:
        """Ask Stripe for every outcome that this account waits for. Raises ProviderUnavailable and ProviderRefused."""
        account = await self._gift_cards.carry_out(account)
        if account.purchase and account.payment_deadline_at and account.payment_deadline_at <= now():
            account = await _change(account, lambda account: model.request_cancel(account, now()))
        with time_budget():
            if account.state is State.INTENT_CREATED and account.intent_id:
                if account.cancel_requested:
                    await self.apply_update(account.id, await self._stripe.cancel_intent(account.intent_id))
                else:
                    await self.apply_update(account.id, (await self._stripe.retrieve_intent(account.intent_id)).intent)
            if account.is_disputed:
                await self._fetch_disputes(account)
                account = await store.find(account.id) or account
            for refund_id, refund in account.refunds.items():
                if refund.state in {"asked", "pending"}:
                    await self._settle_refund(account, refund_id)

    async def try_settle(self, account: Account) -> None:
        """Settle now if Stripe answers. Otherwise the job does it later: the request is stored in the account."""
        try:
            await self.settle(account)
        except (ProviderUnavailable, ProviderRefused) as problem:
            log.warning("settlement_postponed", booking_id=account.id, reason=problem.code)

    async def _settle_refund(self, account: Account, refund_id: str) -> None:
        refund = account.refunds[refund_id]
        if refund.state == "pending" or refund.attempt:
            await self._fetch_refunds(account)
            account = await store.find(account.id) or account
            refund = account.refunds[refund_id]
        if refund.state != "asked" or account.is_refund_blocked:
            return
        try:
            update = await self._stripe.create_refund(account, refund_id, refund)
        except ProviderFailed:
            await store.change(account.id, lambda account: model.rotate_refund_key(account, refund_id))
            raise
        except ProviderRefused:
            # Most likely someone has refunded money at Stripe in the meantime: then less, or nothing, is left to send.
            # Or the customer's bank disputes the charge: then the refund waits for the end of the dispute.
            await self._fetch_refunds(account)
            await self._fetch_disputes(account)
            current = await store.find(account.id)
            if current is None or (current.refunds[refund_id] == refund and not current.is_refund_blocked):
                raise
            await self._settle_refund(current, refund_id)
            return
        if update:
            await self.apply_update(account.id, update)


async def _change(account: Account, decide: store.Decide) -> Account:
    if (changed := await store.change(account.id, decide, account)) is None:
        raise model.PaymentUnknown
    return changed
