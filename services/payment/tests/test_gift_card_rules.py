"""The rules of gift cards, credit and mixed tenders, without I/O: any sequence of steps adds up to the minor unit."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts import currencies
from contracts.payment import PaymentRefunded, PaymentSucceeded
from contracts.types import Holder
from hypothesis import example, given
from hypothesis import strategies as st
from payment import model
from payment.model import (
    Account,
    AccountChange,
    CardChange,
    GiftCard,
    GiftCardUnusable,
    GiftCardUsed,
    LedgerBroken,
    MoneyMismatch,
    State,
    Transfer,
    WrongCurrency,
)
from payment.model.updates import DisputeUpdate, IntentUpdate, RefundUpdate

NOW = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)


def card(balance: int, card_id: str = "g1", **changes: Any) -> GiftCard:
    empty = GiftCard(id=card_id, kind="gift_card", currency="EUR", created_at=NOW, last_characters="WXYZ", **changes)
    return written(empty, model.give(empty, card_id, balance, NOW, kind="issued"))


def written(card: GiftCard, change: CardChange | None) -> GiftCard:
    """Return the card as the store would write it; the store's guards must hold."""
    if change is None:
        return card
    ids = {entry.entry_id for entry in card.entries}
    assert not ids & {entry.entry_id for entry in change.entries}
    after = card.model_copy(
        update={
            **change.fields,
            "entries": [*card.entries, *change.entries],
            "balance": card.balance + change.amount,
            "reserved": card.reserved + change.reserved,
        }
    )
    check_card(after)
    return after


def check_card(card: GiftCard) -> None:
    """The balance is the sum of the entries, and each reservation is open, taken or released."""
    assert card.balance == sum(entry.amount for entry in card.entries) >= 0
    ended = {entry.use for entry in card.entries if entry.kind in ("taken", "released")}
    reserved = [entry for entry in card.entries if entry.kind == "reserved"]
    assert card.reserved == -sum(entry.amount for entry in reserved if entry.use not in ended)


def account_of(price: int, **changes: Any) -> Account:
    fields = {"id": "b1", "holder": Holder(user_id="u1"), "amount": price, "currency": "EUR", "reference": "USHER1"}
    fields |= {"showtime_id": "s1", "seats": ["F7"], "payment_deadline_at": NOW + timedelta(minutes=10)}
    return Account.model_validate(fields | changes)


def applied(account: Account, change: AccountChange | None) -> Account:
    if change is None:
        return account
    ids = {entry.entry_id for entry in account.ledger}
    assert not ids & {entry.entry_id for entry in change.entries}
    return account.model_copy(update={**change.fields, "ledger": [*account.ledger, *change.entries]})


def test_a_reservation_is_taken_once_and_then_stays():
    held = written(card(1000), model.reserve(card(1000), "b1-1", 600, NOW))
    assert (held.balance, held.reserved) == (400, 600)
    assert model.reserve(held, "b1-1", 600, NOW) is None
    taken = written(held, model.take(held, "b1-1", NOW))
    assert (taken.balance, taken.reserved, model.take(taken, "b1-1", NOW)) == (400, 0, None)
    with pytest.raises(LedgerBroken):
        model.release(taken, "b1-1", NOW)


def test_a_payment_that_was_given_up_does_not_use_a_card():
    held = written(card(1000), model.reserve(card(1000), "b1-1", 600, NOW))
    assert not held.is_unused
    assert written(held, model.release(held, "b1-1", NOW)).is_unused
    assert not written(held, model.take(held, "b1-1", NOW)).is_unused


def test_a_release_that_comes_first_ends_the_use():
    ended = written(card(1000), model.release(card(1000), "b1-1", NOW))
    assert (ended.balance, model.release(ended, "b1-1", NOW)) == (1000, None)
    with pytest.raises(GiftCardUsed):
        model.reserve(ended, "b1-1", 600, NOW)
    with pytest.raises(LedgerBroken):
        model.take(ended, "b1-1", NOW)


@pytest.mark.parametrize("state", ["blocked", "refunded"])
def test_only_an_active_card_pays(state: str):
    closed = card(1000).model_copy(update={"state": state})
    with pytest.raises(GiftCardUnusable):
        model.reserve(closed, "b1-1", 1, NOW)
    with pytest.raises(GiftCardUnusable):
        model.plan_shares(500, "EUR", [closed])


def test_only_an_unused_card_is_refunded():
    void = written(card(1000), model.void(card(1000), "g1", NOW))
    assert (void.balance, void.state, model.void(void, "g1", NOW)) == (0, "refunded", None)
    used = written(card(1000), model.reserve(card(1000), "b1-1", 1, NOW))
    with pytest.raises(GiftCardUsed):
        model.void(used, "g1", NOW)
    given_up = written(used, model.release(used, "b1-1", NOW))
    assert written(given_up, model.void(given_up, "g1", NOW)).balance == 0, "a checkout that expired is no use"
    with pytest.raises(GiftCardUsed):
        model.void(written(used, model.take(used, "b1-1", NOW)), "g1", NOW)


def test_a_code_is_read_in_any_spelling():
    code = model.new_code()
    plain = model.normal_code(code)
    assert plain is not None
    assert len(plain) * 5 >= 80
    spelled = f" {code.lower().replace('-', ' – ').replace('0', 'o').replace('1', 'l')} "
    assert model.hashes_of(spelled, ["one", "two"]) == [model.hash_code(plain, key) for key in ("one", "two")]
    assert model.hash_code(plain, "one") != model.hash_code(plain, "two")
    for wrong in ("", code[:-1], f"{code}A", "UUUU-UUUU-UUUU-UUUU-UUUU", "ä" * 20, "٣" * 20):
        assert model.hashes_of(wrong, ["one"]) == []


@given(price=st.integers(50, 20_000), balances=st.lists(st.integers(0, 9_000), max_size=5))
@example(price=2500, balances=[2000, 480])
@example(price=60, balances=[20, 5])
def test_what_is_left_for_the_card_is_nothing_or_chargeable(price: int, balances: list[int]):
    cards = [card(balance, f"g{number}") for number, balance in enumerate(balances)]
    shares = model.plan_shares(price, "EUR", cards)
    left = price - sum(share.amount for share in shares)
    assert left == 0 or left >= currencies.minimum("EUR")
    owned = {each.id: each.balance for each in cards}
    assert all(0 < share.amount <= owned[share.card_id] for share in shares)
    most = price if sum(balances) >= price else min(sum(balances), price - currencies.minimum("EUR"))
    assert price - left == max(0, most)


def test_a_card_of_another_currency_does_not_pay():
    with pytest.raises(WrongCurrency):
        model.plan_shares(500, "GBP", [card(1000)])


class Cinema:
    """One booking that gift cards pay together with a card: the account, the ledgers, and a simple Stripe."""

    def __init__(self, price: int, balances: list[int]) -> None:
        self.cards = {f"g{number}": card(balance, f"g{number}") for number, balance in enumerate(balances)}
        self.started = sum(balances)
        self.account = account_of(price)
        self.events: list[Any] = []
        self.at_stripe: dict[str, RefundUpdate] = {}
        self.credit = card(0, "credit")

    def change(self, change: AccountChange | None) -> None:
        self.account = applied(self.account, change)
        if change:
            self.events += change.events

    def reserve(self) -> bool:
        """Plan and reserve the shares; return whether something is reserved."""
        self.change(
            model.set_shares(self.account, model.plan_shares(self.account.amount, "EUR", [*self.cards.values()]))
        )
        for share in self.account.shares:
            self._on(share.card_id, lambda each, part=share: model.reserve(each, self.account.use, part.amount, NOW))
        self.change(model.confirm_shares(self.account, self.account.plan, NOW))
        return bool(self.account.shares)

    def _on(self, card_id: str, rule: Callable[[GiftCard], CardChange | None]) -> None:
        """Apply a rule to a card, and a second time as after a crash."""
        for _ in range(2):
            self.cards[card_id] = written(self.cards[card_id], rule(self.cards[card_id]))

    def pay(self) -> None:
        """Capture what is due on the card."""
        if self.account.due and self.account.state is State.REQUESTED:
            made = intent("requires_payment_method", amount=self.account.due)
            self.change(model.attach_intent(self.account, made, NOW))
            paid = intent("succeeded", amount_received=self.account.due, charge_id="ch_1")
            for _ in range(2):
                self.change(model.apply_intent(self.account, paid, NOW))

    def carry_out(self, only: int = 99) -> None:
        """Carry out the first transfers, as far as the service gets before it is killed."""
        for transfer in self.account.transfers[:only]:
            self._carry_out(transfer)
            self.change(model.finish_transfer(self.account, transfer))

    def _carry_out(self, transfer: Transfer) -> None:
        match transfer.kind:
            case "take":
                self._on(transfer.card_id, lambda each: model.take(each, transfer.use, NOW))
            case "release":
                self._on(transfer.card_id, lambda each: model.release(each, transfer.use, NOW))
            case "return":
                self._on(transfer.card_id, lambda each: model.give(each, transfer.use, transfer.amount, NOW))
            case _:
                given = model.give(self.credit, transfer.use, transfer.amount, NOW, kind="issued", bonus=transfer.bonus)
                self.credit = written(self.credit, given)

    def refund(self, number: int, amount: int, bonus: int | None) -> None:
        if self.account.captured:
            facts = (f"b1-refund-{number}", amount, NOW)
            for _ in range(2):
                self.change(model.request_booking_refund(self.account, *facts, credit_bonus=bonus))

    def answer(self, state: str) -> None:
        """Stripe accepts the oldest refund that is not final, or the bank returns the oldest one."""
        wanted = "succeeded" if state == "failed" else "asked"
        for refund_id, refund in self.account.refunds.items():
            if refund.state == wanted and not refund.to_credit and refund.amount:
                made = {"id": f"re-{refund_id}", "intent_id": "pi_1", "refund_id": refund_id}
                update = RefundUpdate.model_validate(made | {"amount": refund.amount, "state": state})
                self.change(model.apply_refund(self.account, update, NOW))
                return

    def refund_at_stripe(self, number: int, amount: int) -> None:
        """Somebody refunds at Stripe, which knows nothing of gift cards and credit."""
        if self.account.charged:
            facts = {"id": f"re-by-hand-{number}", "intent_id": "pi_1", "refund_id": None, "state": "succeeded"}
            self.change(model.apply_refund(self.account, RefundUpdate.model_validate(facts | {"amount": amount}), NOW))

    def dispute(self, status: str) -> None:
        if self.account.captured and self.account.due:
            update = DisputeUpdate(id="dp_1", intent_id="pi_1", amount=self.account.due, status=status)
            self.change(model.apply_dispute(self.account, update, NOW))

    def check(self) -> None:
        """Nothing is lost or made: of the account, of each card, and of both together."""
        account = self.account
        assert account.refunding + account.refunded <= account.captured in (0, account.amount)
        kinds = {"captured": 1, "refunded": -1, "refund_failed": 1}
        assert sum(kinds[entry.kind] * entry.amount for entry in account.ledger) == account.captured - account.refunded
        card_back = sum(refund.amount for refund in account.refunds.values() if refund.state != "failed")
        assert 0 <= card_back <= account.charged
        for each in self.cards.values():
            check_card(each)
        if account.transfers:
            return
        spent = sum(share.amount for share in account.shares) if account.state is not State.CANCELLED else 0
        back = sum(sum(refund.returned.values()) for refund in account.refunds.values())
        assert sum(each.balance for each in self.cards.values()) == self.started - spent + back
        assert back <= spent
        taken = account.state is State.SUCCEEDED
        assert sum(each.reserved for each in self.cards.values()) == (0 if taken else spent)
        credited = [refund for refund in account.refunds.values() if refund.to_credit]
        assert self.credit.balance == sum(refund.amount + refund.bonus for refund in credited)


def intent(status: str, **changes: Any) -> IntentUpdate:
    fields = {"id": "pi_1", "booking_id": "b1", "status": status, "amount_received": 0, "currency": "EUR"}
    return IntentUpdate.model_validate(fields | changes)


STEPS = st.one_of(
    st.just(("pay",)),
    st.just(("carry_out",)),
    st.tuples(st.just("carry_out"), st.integers(0, 2)),
    st.tuples(st.just("refund"), st.integers(1, 4), st.integers(1, 9_000), st.sampled_from([None, 0, 10])),
    st.tuples(st.just("answer"), st.sampled_from(["pending", "succeeded", "failed"])),
    st.tuples(st.just("refund_at_stripe"), st.integers(1, 2), st.integers(1, 9_000)),
    st.tuples(st.just("dispute"), st.sampled_from(["needs_response", "lost", "won"])),
)


@given(
    price=st.integers(50, 9_000),
    balances=st.lists(st.integers(0, 5_000), min_size=1, max_size=3),
    steps=st.lists(STEPS, max_size=12),
)
def test_any_sequence_of_steps_adds_up(price: int, balances: list[int], steps: list[tuple[Any, ...]]):
    cinema = Cinema(price, balances)
    cinema.reserve()
    for name, *arguments in steps:
        getattr(cinema, name)(*arguments)
        cinema.check()
    cinema.change(model.request_cancel(cinema.account, NOW))
    cinema.carry_out()
    cinema.check()
    if cinema.account.state is State.SUCCEEDED:
        paid = [event for event in cinema.events if isinstance(event, PaymentSucceeded)]
        assert [event.amount for event in paid] == [price]
        assert paid[0].tenders is None or sum(tender.captured for tender in paid[0].tenders) == price


def test_gift_cards_get_their_money_back_first():
    cinema = Cinema(5000, [2000])
    cinema.reserve()
    cinema.pay()
    cinema.carry_out()
    cinema.refund(1, 1500, None)
    refund = cinema.account.refunds["b1-refund-1"]
    assert (refund.amount, refund.returned, refund.state) == (0, {"g0": 1500}, "succeeded")
    cinema.refund(2, 3000, None)
    refund = cinema.account.refunds["b1-refund-2"]
    assert (refund.amount, refund.returned, refund.state) == (2500, {"g0": 500}, "asked")
    cinema.answer("succeeded")
    made = [event for event in cinema.events if isinstance(event, PaymentRefunded)]
    assert [(event.amount, event.refunded) for event in made] == [(1500, 1500), (3000, 4500)]
    by_kind = {tender.kind: (tender.captured, tender.refunded) for tender in made[-1].tenders or []}
    assert by_kind == {"gift_card": (2000, 2000), "card": (3000, 2500)}


def test_a_refund_under_way_counts_as_a_whole_when_it_is_accepted_or_has_failed():
    """Booking deducts the whole of its open refunds, so the part of a gift card must not count twice until then."""
    cinema = Cinema(3050, [1000])
    cinema.reserve()
    cinema.pay()
    cinema.refund(1, 1250, None)
    assert (cinema.account.refunded, cinema.account.refunding) == (1000, 250)
    goodwill = RefundUpdate(id="re_1", intent_id="pi_1", refund_id=None, amount=100, state="succeeded")
    cinema.change(model.apply_refund(cinema.account, goodwill, NOW))
    event = cinema.events[-1]
    assert (event.amount, event.refunded) == (100, 100)
    assert [(each.kind, each.refunded) for each in event.tenders] == [("gift_card", 0), ("card", 100)]
    failed = RefundUpdate(id="re_2", intent_id="pi_1", refund_id="b1-refund-1", amount=250, state="failed")
    cinema.change(model.apply_refund(cinema.account, failed, NOW))
    event = cinema.events[-1]
    assert (event.amount, event.returned, event.refunded) == (250, 1000, 1100)
    assert [(each.kind, each.refunded) for each in event.tenders] == [("gift_card", 1000), ("card", 100)]
    cinema.refund(2, 250, None)
    cinema.answer("succeeded")
    event = cinema.events[-1]
    assert (event.amount, event.refunded) == (250, 1350)


def test_a_payment_after_the_release_of_its_gift_card_needs_a_person():
    """The card's part alone does not pay for the booking, and the gift card may be used up by now."""
    cinema = Cinema(3050, [1000])
    cinema.reserve()
    cinema.change(model.attach_intent(cinema.account, intent("requires_payment_method", amount=2050), NOW))
    cinema.change(model.apply_intent(cinema.account, intent("canceled"), NOW))
    late = intent("succeeded", amount_received=2050, charge_id="ch_1")
    with pytest.raises(MoneyMismatch):
        model.apply_intent(cinema.account, late, NOW)
    cinema.carry_out()
    cinema.check()
    assert cinema.cards["g0"].balance == 1000


def test_a_refund_to_credit_raises_the_cards_part_only():
    cinema = Cinema(5000, [2000])
    cinema.reserve()
    cinema.pay()
    cinema.refund(1, 5000, 10)
    cinema.carry_out()
    cinema.check()
    assert cinema.credit.balance == 3300
    assert cinema.cards["g0"].balance == 2000
    assert cinema.account.refunds["b1-refund-1"].state == "succeeded"
    assert (cinema.account.refunded, model.refunded_at_stripe(cinema.account)) == (5000, 0)


def test_a_refund_at_stripe_does_not_count_money_that_became_credit():
    cinema = Cinema(5000, [2000])
    cinema.reserve()
    cinema.pay()
    cinema.refund(1, 4500, 0)
    cinema.refund_at_stripe(1, 3000)
    cinema.carry_out()
    cinema.check()
    assert (cinema.account.refunded, cinema.account.refunds["re-by-hand-1"].amount) == (5000, 500)
