"""The invariants of a platform at rest, whatever crashed, repeated, changed order or came late.

`make invariants` checks the platform of `make run` and prints each violation. That platform may be busy, so unfinished
work is no violation. Tests wait until their platform is at rest; then nothing is unfinished.
"""

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import chain
from typing import NamedTuple

import facts
import httpx
import ledgers
from aio_pika.exceptions import AMQPException
from contracts import topology
from facts import Document, Facts
from launcher.ports import configured_ports
from launcher.settings import RUNTIME, given_settings, platform_environment
from pymongo.errors import PyMongoError

UNSETTLED = {"awaiting_payment", "closing", "confirming", "exchanging", "refunding"}
TOOK_OVER = {"confirmed", "refunding", "refunded", "exchanged"}
"""The states of a booking after its exchange."""
WAITLIST = "waitlist"
"""The owner of seats that are marked for waiting parties."""
OVERDUE = timedelta(seconds=20)
"""How late a timer, outbox, webhook or acknowledgement may be before it is a violation: longer than a job's lease."""
MESSAGES_KEPT = timedelta(days=3)
"""The shortest MESSAGE_DAYS."""
DEAD = {topology.dead_letter_queue_name(service) for service in topology.CONSUMES}


class Violation(NamedTuple):
    """`rule` is the broken promise: seats, codes, money, instruments, no loss, once, progress."""

    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def violations(now: Facts) -> list[Violation]:
    """Yield all violations in the order of the table. Unfinished work that is not overdue is no violation."""
    rules = {
        "seats": _seats,
        "codes": _codes,
        "money": _money,
        "instruments": _instruments,
        "no loss": _no_loss,
        "once": _once,
        "progress": _progress,
    }
    return [Violation(rule, text) for rule, check in rules.items() for text in check(now)]


def unrest(now: Facts) -> list[str]:
    """Yield the unfinished work."""
    return [
        *(f"booking {each['_id']} is {each['state']}" for each in now.bookings.values() if _is_unsettled(each)),
        *(
            f"refund {refund['refund_id']} is requested"
            for each in now.bookings.values()
            for refund in _refunds(each, "requested")
        ),
        *(f"the uses of booking {each['_id']} are open" for each in now.bookings.values() if each.get("has_open_uses")),
        *(f"hold {hold['id']} is live" for each in now.showtimes.values() for hold in each["holds"]),
        *(f"the waitlist of {each['_id']} has a round to do" for each in now.showtimes.values() if _is_due(now, each)),
        *(f"the map of {each['_id']} is stale" for each in now.showtimes.values() if each.get("is_stale")),
        *(f"outbox of {place}: {len(entries)}" for place, entries in now.unsent.items()),
        *(f"{name}: {count} messages" for name, count in now.queues.items() if count and name not in DEAD),
        *(f"webhook {each['_id']}" for each in now.webhooks.values() if each["next_try_at"]),
        *(f"payment {each['_id']} is refunding" for each in now.payments.values() if each["refunding"]),
        *(f"payment {each['_id']} has transfers" for each in now.payments.values() if each.get("transfers")),
        *(f"mail {each['key']} is {each['state']}" for each in now.messages.values() if each.get("due_at")),
        *(f"{name}: {each.in_hand} events in hand" for name, each in now.replicas.items() if each.in_hand),
        *(
            f"{name}: {each.unacknowledged} unacknowledged"
            for name, each in now.replicas.items()
            if each.unacknowledged
        ),
    ]


def _is_due(now: Facts, showtime: Document) -> bool:
    due_at = showtime.get("waitlist_at")
    return due_at is not None and due_at <= now.at


async def at_rest(env: Mapping[str, str], seconds: float = 120) -> Facts:
    """Wait until nothing is unfinished and return the facts. Raises AssertionError naming the unfinished work."""
    deadline, was_quiet, moving = asyncio.get_running_loop().time() + seconds, False, ["nothing could be read"]
    while asyncio.get_running_loop().time() < deadline:
        try:
            now = await facts.read(env)
        except (PyMongoError, AMQPException, OSError, httpx.HTTPError) as error:  # it may be starting again
            was_quiet, moving = False, [repr(error)]
        else:
            moving = unrest(now)
            if was_quiet and not moving:
                return now
            was_quiet = not moving
        await asyncio.sleep(0.3)
    raise AssertionError("not at rest:\n" + "\n".join(moving))


def _is_unsettled(booking: Document) -> bool:
    """Whether the saga continues without a person. A failed refund waits for staff, who can see it."""
    return booking["state"] in UNSETTLED and not (booking["state"] == "refunding" and _waits_for_staff(booking))


def _waits_for_staff(booking: Document) -> bool:
    return bool(_refunds(booking, "failed")) and not _refunds(booking, "requested")


def _refunds(booking: Document, state: str) -> list[Document]:
    """The refunds in this state that booking has requested, without failed ones that were repeated."""
    own = [each for each in booking.get("refunds", []) if each["is_requested"] and not each["repeated_as"]]
    return [each for each in own if each["state"] == state]


def _seats_in(booking: Document, *statuses: str) -> list[str]:
    """The seats of the lines with these statuses. Lines from before 2026-12 have none and are valid."""
    return [line["seat"]["seat_id"] for line in booking["lines"] if line.get("status", "valid") in statuses]


# ---- seats


def _entitled(now: Facts) -> list[Document]:
    """Yield the bookings with valid tickets."""
    return [booking for booking in now.bookings.values() if booking["state"] == "confirmed"]


def _seats(now: Facts) -> Iterator[str]:
    for showtime in now.showtimes.values():
        yield from _holds_and_seats(now, showtime)
        yield from _waitlist(now, showtime)
        yield from _sales(now, showtime)
        yield from _live_map(now, showtime)
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    is_quiet = not unrest(now)
    for booking in _entitled(now):
        seats = [ticket["seat"]["seat_id"] for ticket in booking["tickets"]]
        if sorted(seats) != sorted(seat["seat_id"] for seat in booking["seats"]):
            yield f"booking {booking['_id']} has tickets for {seats}, not for its seats"
        returned = {seat for refund in _refunds(booking, "accepted") for seat in refund["seats"]}
        for seat in returned if is_quiet else ():
            if now.showtimes[booking["showtime_id"]]["taken"].get(seat, {}).get("by") == booking["_id"]:
                yield f"booking {booking['_id']} was refunded for {seat}, which inventory has not freed"
        for seat in _seats_in(booking, "valid", "transferred"):
            owners[booking["showtime_id"], seat].append(booking["_id"])
            taken = now.showtimes[booking["showtime_id"]]["taken"].get(seat, {})
            if (taken.get("by"), taken.get("state")) != (booking["_id"], "sold"):
                yield f"booking {booking['_id']} has a ticket for {seat}, which inventory has not sold to it"
    yield from _exchanges(now)
    for (showtime_id, seat), sold_to in owners.items():
        if len(sold_to) > 1:
            yield f"showtime {showtime_id}: {seat} was sold {len(sold_to)} times, to {', '.join(sold_to)}"


def _exchanges(now: Facts) -> Iterator[str]:
    """After an exchange exactly one of the two bookings has the tickets, and both have the same decision."""
    for old in now.bookings.values():
        for exchange in old.get("exchanges", ()):
            new = now.bookings.get(exchange["replaced_by"], {})
            if kept := set(exchange["seats"]) & set(_seats_in(old, "valid", "transferred")):
                yield f"booking {old['_id']} was exchanged and still has tickets for {sorted(kept)}"
            if new.get("state") not in TOOK_OVER | {"exchanging"}:
                yield f"booking {old['_id']} was exchanged for {exchange['replaced_by']}, which is {new.get('state')}"
    for new in now.bookings.values():
        if new.get("exchange") and new["state"] in {"confirmed", "exchanged"} and not _exchange_of(now, new):
            yield f"booking {new['_id']} has the tickets of an exchange that {new['replaces']} does not know"


def _exchange_of(now: Facts, new: Document) -> Document | None:
    """The exchange that made the booking, as the earlier one records it; None if it was not made, or is none."""
    old = now.bookings.get(new.get("replaces") or "", {})
    return next((each for each in old.get("exchanges", ()) if each["replaced_by"] == new["_id"]), None)


def _holds_and_seats(now: Facts, showtime: Document) -> Iterator[str]:
    """A hold has all of its seats or none. A held seat has one hold."""
    taken, held = showtime["taken"], Counter(seat for hold in showtime["holds"] for seat in hold["seats"])
    for hold in showtime["holds"]:
        own = [seat for seat in hold["seats"] if taken.get(seat, {}).get("by") == hold["id"]]
        if hold["expires_at"] > now.at and own != hold["seats"]:
            yield f"hold {hold['id']} of {hold['seats']} has only {own}"
    for seat, entry in taken.items():
        is_held = entry["state"] == "held" and entry["by"] != WAITLIST and entry["until"] > now.at
        if is_held and held[seat] != 1:
            yield f"showtime {showtime['_id']}: {seat} is held by {entry['by']} and stands in {held[seat]} holds"
        owners = {block["id"] for block in showtime["blocks"] if seat in block["seats"]}
        if entry["state"] == "blocked" and owners != {entry["by"]}:
            yield f"showtime {showtime['_id']}: {seat} is blocked without its block"


def _waitlist(now: Facts, showtime: Document) -> Iterator[str]:
    """A marked seat, and an offer whose hold has ended, have a round of the waitlist that is due and not late."""
    due_at = showtime.get("waitlist_at")
    if due_at is not None and now.at - OVERDUE < due_at <= now.at:
        return
    for seat, entry in showtime["taken"].items():
        if entry["by"] == WAITLIST:
            yield f"showtime {showtime['_id']}: {seat} stays marked for the waitlist"
    holds = {hold["id"] for hold in showtime["holds"]}
    for party in showtime.get("waitlist", ()):
        if (offer := party.get("hold_id")) and offer not in holds:
            yield f"showtime {showtime['_id']}: {party['id']} waits for the end of an offer without a hold"


def _sales(now: Facts, showtime: Document) -> Iterator[str]:
    """Booking has confirmed, or will confirm, what inventory has sold. A sale may cross the end of its booking."""
    may_have_seats = {"confirmed", *UNSETTLED} | ({"expired", "cancelled"} if unrest(now) else set())
    for seat, entry in showtime["taken"].items():
        booking = now.bookings.get(entry["by"], {})
        if entry["state"] == "sold" and booking.get("state") not in may_have_seats:
            yield f"showtime {showtime['_id']}: {seat} is sold to {entry['by']}, which is {booking.get('state')}"
        if entry["state"] == "held" and booking.get("state") == "confirmed":
            yield f"showtime {showtime['_id']}: {seat} is only held for the confirmed booking {entry['by']}"


def _live_map(now: Facts, showtime: Document) -> Iterator[str]:
    """Realtime's and catalog's copies of the seats equal inventory's, once every snapshot has arrived."""
    if unrest(now):
        return
    shown = now.shown.get(showtime["_id"], {})
    for state in ("held", "sold", "blocked"):
        seats = {seat for seat, entry in showtime["taken"].items() if entry["state"] == state}
        if wrong := seats ^ set(shown.get(state, ())):
            yield f"showtime {showtime['_id']}: the live map is wrong in {sorted(wrong)} ({state})"
    taken = len(showtime["taken"]), sum(entry["state"] == "sold" for entry in showtime["taken"].values())
    occupancy = now.occupancies.get(showtime["_id"], {"taken": 0, "sold": 0})
    if taken != (counted := (occupancy["taken"], occupancy["sold"])):
        yield f"showtime {showtime['_id']}: {taken} seats are taken and sold, catalog counts {counted}"


# ---- codes


def _codes(now: Facts) -> Iterator[str]:
    """Each admission has one valid code, which is the customer's or that of the one recipient who has accepted."""
    for booking in _entitled(now):
        by_seat = defaultdict[str, list[str]](list)
        for ticket in booking["tickets"]:
            by_seat[ticket["seat"]["seat_id"]].append(ticket["ticket_id"])
        accepted = defaultdict[str, list[str]](list)
        for transfer in booking.get("transfers", []):
            if transfer["state"] == "accepted":
                accepted[transfer["seat_id"]].append(transfer["ticket_id"])
        for status, holders in (("valid", None), ("transferred", accepted)):
            for seat in _seats_in(booking, status):
                expected = holders[seat] if holders is not None else [f"{booking['_id']}-{seat}"]
                if by_seat[seat] != expected or (holders is None and accepted[seat]):
                    yield f"booking {booking['_id']}: {seat} is {status}, its codes are {by_seat[seat]}"


# ---- money


def _money(now: Facts) -> Iterator[str]:
    for booking in now.bookings.values():
        yield from _promises(now, booking)
    for chain_of in _chains(now):
        if any(each["state"] in UNSETTLED or _refunds(each, "requested") for each in chain_of):
            continue
        payments = [now.payments[each["_id"]] for each in chain_of if each["_id"] in now.payments]
        kept = sum(payment["captured"] - payment["refunded"] for payment in payments)
        if kept != (price := sum(_price(now, each) for each in chain_of)):
            names = ", ".join(f"{each['_id']} ({each['state']})" for each in chain_of)
            yield f"booking {names}: {kept} was kept, its tickets cost {price}"
    for payment in now.payments.values():
        yield from _account(now, payment)
        if payment["_id"] not in now.bookings and not payment.get("purchase"):
            yield f"payment {payment['_id']} belongs to no booking"
    for intent in now.intents.values():
        payment = now.payments.get(intent["metadata"].get("booking_id", ""))
        if intent["amount_received"] and (payment is None or payment["intent_id"] != intent["id"]):
            yield f"Stripe took {intent['amount_received']} with {intent['id']}, which no payment knows"


def _chains(now: Facts) -> list[list[Document]]:
    """The bookings, together with those that replace their tickets: their money is on each other's payments."""
    chains: dict[str, list[Document]] = {}
    for booking in sorted(now.bookings.values(), key=lambda each: each["_id"]):  # the earlier booking comes first
        chain_of = chains.get(booking.get("replaces") or "", [])
        chain_of.append(booking)
        chains[booking["_id"]] = chain_of
    return list({id(each): each for each in chains.values()}.values())


def _price(now: Facts, booking: Document) -> int:
    """Return what the cinema may keep: the price of the tickets, less refunds of cancelled ones and manual refunds.

    Of exchanged tickets it keeps the fee. A refund that failed is still to be paid out.
    """
    payment, exchange = now.payments.get(booking["_id"]), booking.get("exchange")
    is_made = exchange is None or _exchange_of(now, booking) is not None
    ended_with_tickets = booking["state"] == "refunded" and _seats_in(booking, "cancelled")
    if not is_made or not (booking["state"] in {"confirmed", "exchanged"} or ended_with_tickets):
        return 0
    owed = sum(refund["amount"] for refund in _refunds(booking, "failed"))
    fees = sum(each["fee"] - each["value"] for each in booking.get("exchanges", ()))
    fees -= exchange["waived"] if exchange else 0
    return sum(line["amount"] - (line.get("refund") or 0) for line in booking["lines"]) + fees - _gifts(payment) + owed


PAID_OUT = {"requested": {"asked", "pending"}, "accepted": {"succeeded"}, "failed": {"failed"}}


def _promises(now: Facts, booking: Document) -> Iterator[str]:
    """Each cancellation leads to exactly its refund: accepted, failed and visible, or under way."""
    for state, expected in PAID_OUT.items():
        for refund in _refunds(booking, state):
            payment = now.payments.get(refund.get("payment_id") or booking["_id"])
            made = payment["refunds"].get(refund["refund_id"]) if payment else None
            under_way = state == "requested" and booking["due_at"] is not None
            if refund["amount"] and not under_way and (made is None or made["state"] not in expected):
                found = made["state"] if made else "unknown to payment"
                yield f"booking {booking['_id']}: refund {refund['refund_id']} is {state}, and {found} at payment"
    quotes = {refund["quote_id"] for refund in _refunds(booking, "accepted") if refund["quote_id"]}
    for quote_id in quotes:
        quoted = [refund for refund in booking["refunds"] if refund["quote_id"] == quote_id]
        parts = [refund for refund in quoted if not refund["repeated_as"]]
        seats = {seat for refund in parts for seat in refund["seats"]}
        due = sum(line["refund"] for line in booking["lines"] if line["seat"]["seat_id"] in seats)
        made = sum(refund["amount"] for refund in parts) + sum(refund.get("returned", 0) for refund in quoted)
        if made != due and not _gifts(now.payments.get(booking["_id"])):
            yield f"booking {booking['_id']}: {due} was quoted, {made} was refunded"


def _gifts(payment: Document | None) -> int:
    """What staff or the provider refunded without booking."""
    refunds = payment["refunds"].values() if payment else ()
    given = [each for each in refunds if each["asked_by"] != "booking" and each["state"] == "succeeded"]
    return sum(each["amount"] + sum(each.get("returned", {}).values()) for each in given)


def _account(now: Facts, payment: Document) -> Iterator[str]:
    """The account equals its ledger and Stripe's records."""
    sums, by_card = Counter[str](), Counter[str]()
    for line in payment["ledger"]:
        sums[line["kind"]] += line["amount"]
        by_card[line["kind"]] += line["amount"] if line.get("tender", "card") == "card" else 0
    ours = payment["captured"], payment["refunded"]
    if ours != (sums["captured"], sums["refunded"] - sums["refund_failed"]):
        yield f"payment {payment['_id']}: captured and refunded are {ours}, its ledger says {dict(sums)}"
    if payment["refunded"] + payment["refunding"] > payment["captured"]:
        yield f"payment {payment['_id']}: more is refunded than was captured"
    if payment["refunding"]:
        return
    intent = now.intents.get(payment["intent_id"] or "", {"amount_received": 0})
    gone = [each for each in now.refunds.values() if each["status"] == "succeeded"]
    gone += [each for each in now.disputes.values() if each["status"] == "lost"]
    back = sum(each["amount"] for each in gone if each["payment_intent"] == payment["intent_id"])
    at_stripe = intent["amount_received"], back
    ours = by_card["captured"], by_card["refunded"] - by_card["refund_failed"]
    if ours != at_stripe and not (payment["state"] == "intent_created" and payment["next_check_at"]):
        yield f"payment {payment['_id']}: captured and refunded are {ours}, at Stripe {at_stripe}"


# ---- instruments

ORPHANED = timedelta(minutes=15)
"""How long uses may be reserved before their booking is stored."""


def _instruments(now: Facts) -> Iterator[str]:
    """Each discount has its uses, in the state of its booking, and no slot of a limit is occupied twice.

    Gift cards and credit: see `ledgers`.
    """
    yield from ledgers.check(now)
    slots = Counter(slot for uses in now.uses.values() for slot in uses["slots"])
    for slot, count in slots.items():
        if count > 1:
            yield f"the slot {slot} of a promotion is occupied {count} times"
    for uses in now.uses.values():
        if sorted(uses["slots"]) != sorted(slot for use in uses["uses"] for slot in use["slots"]):
            yield f"uses {uses['_id']} occupy other slots than they say"
        booking = now.bookings.get(uses["booking_id"], {})
        is_late = uses["reserved_at"] < now.at - ORPHANED - OVERDUE
        if uses["is_reserved"] and booking.get("uses_id") != uses["_id"] and is_late:
            yield f"uses {uses['_id']} are reserved for a booking without them"
    for booking in now.bookings.values():
        if not booking.get("promotions") or booking["has_open_uses"]:
            continue
        found = now.uses.get(booking["uses_id"], {"uses": []})["uses"]
        states = [(use["promotion_id"], use["seats"], use["state"]) for use in found]
        if states != (due := _due_uses(booking)):
            yield f"booking {booking['_id']} ({booking['state']}) has the uses {states}, not {due}"
        given = sum(sum(each["shares"].values()) for each in booking["promotions"])
        shown = sum(line["discount"] for line in booking["lines"])
        if not _seats_in(booking, "cancelled") and given != shown:
            yield f"booking {booking['_id']}: its promotions give {given}, its tickets show {shown}"


def _due_uses(booking: Document) -> list[tuple[str, list[str], str]]:
    """The uses that a booking has in its state: a use is released with the last of its tickets."""
    kept = set(_seats_in(booking, "valid", "transferred")) if booking["state"] == "confirmed" else set[str]()
    is_open = booking["state"] in UNSETTLED - {"refunding"}
    return [
        (each["promotion_id"], seats, "reserved" if is_open else "released" if kept.isdisjoint(seats) else "taken")
        for each in booking["promotions"]
        for seats in each["uses"]
    ]


# ---- no loss, once, progress


def _no_loss(now: Facts) -> Iterator[str]:
    for place, entries in now.unsent.items():
        late = [entry["type"] for entry in entries if entry["time"] < now.at - OVERDUE]
        if late:
            yield f"outbox of {place}: {', '.join(late)} not sent"
    for webhook in now.webhooks.values():
        if webhook["outcome"] is None and webhook["received_at"] < now.at - OVERDUE:
            yield f"webhook {webhook['_id']} ({webhook['type']}) not processed: {webhook['last_error']}"
    for name, count in now.queues.items():
        if count and name in DEAD:
            yield f"{name}: {count} dead letters"
    for name, replica in now.replicas.items():
        if replica.oldest_s > OVERDUE.total_seconds():
            yield f"{name}: {replica.unacknowledged} messages unacknowledged, one for {replica.oldest_s:.0f} s"
    for message in now.messages.values():
        if message["state"] == "sent" and message["queued_at"] >= now.mailbox_since and not now.mails[message["key"]]:
            yield f"mail {message['key']} was sent and is not in the mailbox"


def _once(now: Facts) -> Iterator[str]:
    lines = chain.from_iterable(payment["ledger"] for payment in now.payments.values())
    for entry_id, count in Counter(line["entry_id"] for line in lines).items():
        if count > 1:
            yield f"ledger entry {entry_id} was written {count} times"
    charged = Counter(i["metadata"].get("booking_id") for i in now.intents.values() if i["amount_received"])
    for booking_id, count in charged.items():
        if count > 1:
            yield f"booking {booking_id} was charged {count} times"
    messages = Counter(message["key"] for message in now.messages.values())
    for booking in _entitled(now):
        count = messages[f"confirmation.{booking['_id']}"]
        if count != 1 and (count or booking["opened_at"] > now.at - MESSAGES_KEPT):
            yield f"booking {booking['_id']} is confirmed by {count} messages"
    for message in now.messages.values():
        if (copies := now.mails[message["key"]]) > 1 and not _sender_may_have_died(now, message):
            yield f"mail {message['key']} was sent {copies} times"


def _sender_may_have_died(now: Facts, message: Document) -> bool:
    """Whether a notifier was started after the message was queued.

    A notifier that is killed after the mail server's answer and before its record leaves a message that is sent again.
    Nothing else excuses a second copy.
    """
    notifiers = (each for name, each in now.replicas.items() if name.startswith("NOTIFIER"))
    return any(each.started_at > message["queued_at"] for each in notifiers)


def _progress(now: Facts) -> Iterator[str]:
    for booking in now.bookings.values():
        due_at = booking["due_at"]
        if _is_unsettled(booking) and (due_at is None or due_at < now.at - OVERDUE):
            yield f"booking {booking['_id']} is stuck in {booking['state']}"
    for showtime in now.showtimes.values():
        for hold in showtime["holds"]:
            if hold["expires_at"] < now.at - OVERDUE:
                yield f"hold {hold['id']} lapsed at {hold['expires_at']:%X} and was not released"
    for message in now.messages.values():
        if message["state"] == "failed":
            yield f"mail {message['key']} failed: {message['reason']}"


async def _lasting(env: Mapping[str, str]) -> tuple[Facts, list[Violation]]:
    """Return the facts, and the violations that remain after OVERDUE.

    The services are read one after another while they run, so a first reading of a busy platform may be inconsistent.
    """
    now = await facts.read(env)
    if not (found := violations(now)):
        return now, []
    await asyncio.sleep(OVERDUE.total_seconds())
    now = await facts.read(env)
    still = violations(now)
    return now, [violation for violation in found if violation in still]


def main() -> int:
    """Check the platform of `make run`. Returns the exit status."""
    given = given_settings()
    env = platform_environment(configured_ports(given), RUNTIME / "data", given)
    now, found = asyncio.run(_lasting(env))
    print(*found, sep="\n" if found else "")
    totals = f"{len(now.bookings)} bookings, {len(now.payments)} payments, {len(now.intents)} intents at Stripe"
    print(f"{len(found)} violations; {totals}; {len(unrest(now))} things under way", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
