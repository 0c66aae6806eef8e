"""The invariants of gift cards and store credit: each entry is reserved, taken or released, and everything adds up."""

from collections.abc import Iterator

from facts import Document, Facts


def check(now: Facts) -> Iterator[str]:
    """Yield what is wrong with gift cards and credit. A transfer that is under way is no violation."""
    for card in now.gift_cards.values():
        yield from _ledger(now, card)
    for payment in now.payments.values():
        if not payment.get("transfers"):
            yield from _payment(now, payment)


def _ledger(now: Facts, card: Document) -> Iterator[str]:
    """The balance is the sum of the entries, and every reservation is open, taken or released."""
    name, entries = f"gift card {card['_id']}", card["entries"]
    if card["balance"] != (total := sum(entry["amount"] for entry in entries)) or total < 0:
        yield f"{name}: the balance is {card['balance']}, its entries add up to {total}"
    if len({entry["entry_id"] for entry in entries}) != len(entries):
        yield f"{name} has an entry twice"
    ends = {kind: {entry["use"] for entry in entries if entry["kind"] == kind} for kind in ("taken", "released")}
    if both := ends["taken"] & ends["released"]:
        yield f"{name}: {sorted(both)} were taken and released"
    uses = {entry["use"]: -entry["amount"] for entry in entries if entry["kind"] == "reserved"}
    still_open = {use: amount for use, amount in uses.items() if use not in ends["taken"] | ends["released"]}
    if card["reserved"] != sum(still_open.values()):
        yield f"{name}: {card['reserved']} is reserved, its entries say {still_open}"
    for use in still_open:
        payment = now.payments.get(use.rpartition("-")[0])
        is_open = payment is not None and payment["state"] in ("requested", "intent_created")
        if not is_open and not (payment and payment["transfers"]):
            yield f"{name}: money is reserved for {use}, whose payment has ended"


def _payment(now: Facts, payment: Document) -> Iterator[str]:
    """What gift cards and credit paid was taken from them, and what they got back was returned."""
    use = f"{payment['_id']}-{payment.get('plan', 0)}"
    for share in payment.get("shares", ()) if payment["state"] == "succeeded" else ():
        kinds = {"reserved": -share["amount"], "taken": 0}
        if _entries(now, share["card_id"], use, *kinds) != kinds:
            yield f"payment {payment['_id']}: gift card {share['card_id']} paid {share['amount']}, which was not taken"
    for refund_id, refund in payment["refunds"].items():
        for card_id, amount in refund.get("returned", {}).items():
            if _entries(now, card_id, refund_id, "returned") != {"returned": amount}:
                yield f"payment {payment['_id']}: {amount} of {refund_id} was not returned to gift card {card_id}"
        if refund.get("to_credit"):
            given = [
                entry["amount"]
                for card in now.gift_cards.values()
                for entry in card["entries"]
                if entry["use"] == refund_id and entry["kind"] in ("issued", "bonus")
            ]
            if sum(given) != refund["amount"] + refund["bonus"]:
                yield f"payment {payment['_id']}: {refund_id} promised credit, and {sum(given)} was credited"


def _entries(now: Facts, card_id: str, use: str, *kinds: str) -> dict[str, int]:
    """The amounts of the card's entries of these kinds for a use."""
    card = now.gift_cards.get(card_id, {"entries": []})
    return {each["kind"]: each["amount"] for each in card["entries"] if each["use"] == use and each["kind"] in kinds}
