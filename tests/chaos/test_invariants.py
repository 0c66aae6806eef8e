"""The invariants find violations: each kind is planted in a copy of a real platform's facts."""

import asyncio
import re
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta

import facts
import pytest
from chassis.testing import until
from cinema import Cinema
from facts import Document, Facts
from invariants import at_rest, unrest, violations

from .conftest import stands
from .crowd import Crowd

LONG = timedelta(minutes=5)
OWN_PLANTS = {"swap@usher.example", "code@usher.example", "giver@usher.example", "mixed@usher.example"}
"""The addresses of bookings with violations of their own."""


async def _cancel_a_ticket(cinema: Cinema) -> None:
    """A guest cancels one of two tickets."""
    guest = cinema.guest()
    hold = await guest.buy(*await cinema.seats(2), "part@usher.example")
    booking = await guest.settled(hold, "confirmed")
    await guest.cancel_tickets(hold, booking["tickets"][0]["ticket_id"])


async def _exchange_a_ticket(cinema: Cinema) -> None:
    """A guest exchanges one of two tickets for another seat at a lower price."""
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(3)
    hold = await guest.buy(showtime_id, seats[:2], "swap@usher.example")
    booking = await guest.settled(hold, "confirmed")
    ticket_id = booking["tickets"][0]["ticket_id"]
    new, _ = await guest.exchange(hold, showtime_id, seats[2:], ticket_id, ticket_type="child")
    await guest.settled(new, "confirmed")


async def _give_a_ticket(cinema: Cinema) -> None:
    """A guest gives one of two tickets to a person who accepts it by the mailed link."""
    guest = cinema.guest()
    hold = await guest.buy(*await cinema.seats(2), "giver@usher.example")
    booking = await guest.settled(hold, "confirmed")
    ticket_id = booking["tickets"][0]["ticket_id"]
    body = {"email": "recipient@usher.example"}
    await guest.call("POST", f"/api/tickets/{ticket_id}/transfer", json=body, secret=hold["secret"])

    async def mailed() -> list[Document]:
        mails = (await cinema.http.get(f"{cinema.platform.env['MAILBOX_URL']}/email")).json()
        return [mail for mail in mails if mail["to"][0]["address"] == body["email"]]

    (mail,) = await until(mailed)
    (link,) = set(re.findall(r"/tickets/([\w-]+)#key=([\w.-]+)", mail["text"]))
    path, headers = f"/api/tickets/{link[0]}/transfer/accept", {"X-Booking-Key": link[1]}
    await cinema.guest().call("POST", path, headers=headers)


async def _buy_with_a_code(cinema: Cinema) -> None:
    """A guest buys three tickets for the price of two, of which a limited number is given."""
    admin, guest = await cinema.person("admin"), cinema.guest()
    discount = {"kind": "n_for_m", "tickets": 3, "pay": 2}
    terms = {"name": "3 for 2", "code": "THREE", "discount": discount, "max_uses": 5}
    await admin.call("POST", "/api/promotions", json=terms)
    hold = await guest.hold(*await cinema.seats(3))
    await guest.check_out(hold, "code@usher.example", promotion_codes=["three"])
    await guest.pay(await guest.create_intent(hold))
    await guest.settled(hold, "confirmed")


async def _pay_with_a_gift_card(cinema: Cinema) -> None:
    """A guest pays with a gift card and a card, and cancels one of two tickets."""
    showtime_id, seats = await cinema.seats(2)
    guest, code = cinema.guest(), await cinema.gift_card(showtime_id, 1000)
    hold = await guest.hold(showtime_id, seats)
    await guest.check_out(hold, "mixed@usher.example")
    await guest.pay(await guest.create_intent(hold, code))
    booking = await guest.settled(hold, "confirmed")
    await guest.cancel_tickets(hold, booking["tickets"][0]["ticket_id"])


@pytest.fixture(scope="module")
async def real(arena: Cinema) -> Facts:
    """A platform at rest after some sales."""
    async with Crowd(arena) as crowd:
        await crowd.grows(5)
    now = await stands(arena, crowd)
    confirmed = [each for each in now.bookings.values() if each["state"] == "confirmed"]
    await _ask_for_a_link(arena, confirmed[0])
    await _lose_a_dispute(arena, now.payments[confirmed[-1]["_id"]])
    await _cancel_a_ticket(arena)
    await _give_a_ticket(arena)
    await _exchange_a_ticket(arena)
    await _buy_with_a_code(arena)
    await _pay_with_a_gift_card(arena)
    now = await at_rest(arena.platform.env)
    assert any(message["kind"] == "booking_link" for message in now.messages.values())
    assert now.bookings[confirmed[-1]["_id"]]["state"] == "refunded"
    return now


async def _ask_for_a_link(cinema: Cinema, booking: Document) -> None:
    """A second mail about a booking that is not a second confirmation."""
    lookup = {"reference": booking["reference"], "email": booking["email"]}
    await cinema.guest().call("POST", "/api/bookings/lookup", json=lookup)


async def _lose_a_dispute(cinema: Cinema, payment: Document) -> None:
    """The customer's bank takes the money back and the dispute is lost."""
    dispute = await cinema.stripe("POST", "/_sandbox/disputes", json={"payment_intent": payment["intent_id"]})
    await cinema.stripe("POST", f"/_sandbox/disputes/{dispute['id']}/close", json={"status": "lost"})
    async with asyncio.timeout(60):
        while (await facts.read(cinema.platform.env)).payments[payment["_id"]]["refunded"] != dispute["amount"]:
            await asyncio.sleep(0.2)


class Copy:
    """A copy for a planted violation, with one sale: booking, payment, showtime, a sold seat."""

    def __init__(self, now: Facts) -> None:
        self.now = deepcopy(now)
        confirmed = [
            each
            for each in self.now.bookings.values()
            if each["state"] == "confirmed" and not each["refunds"] and each["email"] not in OWN_PLANTS
        ]
        pair = [each for each in self.now.bookings.values() if each["email"] == "swap@usher.example"]
        self.exchanged, self.replacing = sorted(pair, key=lambda each: each["_id"])
        self.given = next(each for each in self.now.bookings.values() if each["email"] == "giver@usher.example")
        self.discounted = next(each for each in self.now.bookings.values() if each["email"] == "code@usher.example")
        self.uses = self.now.uses[self.discounted["uses_id"]]
        self.partly = next(each for each in self.now.bookings.values() if each["email"] == "part@usher.example")
        confirmed.sort(key=lambda each: each["opened_at"], reverse=True)  # the newest: after the last restart
        self.booking: Document = confirmed[0]
        self.other: Document = confirmed[1]
        self.payment = self.now.payments[self.booking["_id"]]
        self.mixed = next(each for each in self.now.payments.values() if each["shares"])
        self.gift_card = self.now.gift_cards[self.mixed["shares"][0]["card_id"]]
        self.showtime = self.now.showtimes[self.booking["showtime_id"]]
        self.seat: str = self.booking["tickets"][0]["seat"]["seat_id"]
        self.line: Document = self.payment["ledger"][0]
        self.message = self.now.messages.pop(
            next(id_ for id_, each in self.now.messages.items() if each["key"].endswith(self.booking["_id"]))
        )
        self.now.messages["message"] = self.message
        self.notifier = next(each for name, each in self.now.replicas.items() if name.startswith("NOTIFIER"))

    def hold(self, seats: list[str], ago: timedelta) -> Document:
        """Add a hold to the showtime that expired `ago`."""
        hold = {"id": "a-hold", "seats": seats, "expires_at": self.now.at - ago}
        self.showtime["holds"].append(hold)
        return hold


def sold_twice(copy: Copy) -> None:
    for name in ("showtime_id", "tickets", "lines", "seats"):
        copy.other[name] = copy.booking[name]


def sold_and_forgotten(copy: Copy) -> None:
    del copy.showtime["taken"][copy.seat]


def sold_to_nobody(copy: Copy) -> None:
    copy.showtime["taken"][copy.seat]["by"] = "nobody"


def half_a_hold(copy: Copy) -> None:
    hold = copy.hold(["Z1", "Z2"], -LONG)
    copy.showtime["taken"]["Z1"] = {"by": hold["id"], "state": "held", "until": hold["expires_at"]}


def a_seat_in_two_holds(copy: Copy) -> None:
    for hold in (copy.hold(["Z1"], -LONG), copy.hold(["Z1"], -LONG)):
        copy.showtime["taken"]["Z1"] = {"by": hold["id"], "state": "held", "until": hold["expires_at"]}


def a_refunded_seat_that_stays_sold(copy: Copy) -> None:
    seat = copy.partly["refunds"][0]["seats"][0]
    copy.now.showtimes[copy.partly["showtime_id"]]["taken"][seat] = {"by": copy.partly["_id"], "state": "sold"}


def a_valid_ticket_without_its_seat(copy: Copy) -> None:
    copy.partly["lines"][0]["status"] = "valid"


def less_refunded_than_quoted(copy: Copy) -> None:
    copy.partly["lines"][0]["refund"] += 1


def tickets_on_both_sides_of_an_exchange(copy: Copy) -> None:
    copy.exchanged["lines"][0]["status"] = "valid"


def an_exchange_that_only_one_side_knows(copy: Copy) -> None:
    copy.exchanged["exchanges"].clear()


def an_exchange_for_nothing(copy: Copy) -> None:
    copy.replacing["state"] = "expired"


def an_exchange_that_keeps_too_much(copy: Copy) -> None:
    copy.exchanged["exchanges"][0]["fee"] += 1


def a_lost_refund(copy: Copy) -> None:
    copy.partly["refunds"][0]["state"] = "requested"


def a_refund_that_payment_does_not_know(copy: Copy) -> None:
    del copy.now.payments[copy.partly["_id"]]["refunds"][copy.partly["refunds"][0]["refund_id"]]


def a_cancelled_ticket_that_is_not_refunded(copy: Copy) -> None:
    copy.partly["lines"][0]["refund"] = 0


def a_mark_that_stays(copy: Copy) -> None:
    copy.showtime["taken"]["Z1"] = {"by": "waitlist", "state": "held"}


def an_offer_without_a_hold(copy: Copy) -> None:
    copy.showtime["waitlist"] = [{"id": "a-party", "hold_id": "a-hold"}]


def two_people_with_a_code(copy: Copy) -> None:
    copy.given["lines"][0]["status"] = "valid"


def a_second_code(copy: Copy) -> None:
    copy.given["transfers"].append(copy.given["transfers"][0] | {"ticket_id": "another"})


def a_code_for_the_giver(copy: Copy) -> None:
    copy.given["tickets"][0]["ticket_id"] = copy.given["transfers"][0]["previous_id"]


def ticket_for_another_seat(copy: Copy) -> None:
    copy.booking["seats"][0]["seat_id"] = "Z9"


def the_map_errs(copy: Copy) -> None:
    copy.now.shown[copy.showtime["_id"]]["sold"].remove(copy.seat)


def the_count_errs(copy: Copy) -> None:
    copy.now.occupancies[copy.showtime["_id"]]["sold"] -= 1


def a_ticket_for_nothing(copy: Copy) -> None:
    copy.booking["lines"][0]["amount"] += 1


def money_for_nothing(copy: Copy) -> None:
    copy.booking["state"] = "expired"


def the_ledger_errs(copy: Copy) -> None:
    copy.line["amount"] -= 1


def more_back_than_came(copy: Copy) -> None:
    copy.payment["refunded"] = copy.payment["captured"] + 1


def stripe_took_more(copy: Copy) -> None:
    copy.now.intents[copy.payment["intent_id"]]["amount_received"] += 1


def stripe_gave_back(copy: Copy) -> None:
    copy.now.refunds["re"] = {"payment_intent": copy.payment["intent_id"], "amount": 1, "status": "succeeded"}


def money_that_nobody_knows(copy: Copy) -> None:
    copy.now.intents["pi"] = {"id": "pi", "amount_received": 1, "metadata": {}}


def money_of_nobody(copy: Copy) -> None:
    del copy.now.bookings[copy.other["_id"]]


def money_from_nowhere(copy: Copy) -> None:
    copy.gift_card["balance"] += 1


def a_reservation_without_end(copy: Copy) -> None:
    copy.gift_card["entries"] = [each for each in copy.gift_card["entries"] if each["kind"] != "taken"]
    copy.gift_card["reserved"] = -copy.gift_card["entries"][1]["amount"]


def a_gift_card_that_was_never_charged(copy: Copy) -> None:
    share = copy.mixed["shares"][0]
    copy.gift_card["entries"] = [copy.gift_card["entries"][0]]
    copy.gift_card["balance"] = share["amount"]


def money_that_did_not_return(copy: Copy) -> None:
    back = copy.gift_card["entries"].pop()
    copy.gift_card["balance"] -= back["amount"]


def a_discount_without_a_use(copy: Copy) -> None:
    del copy.now.uses[copy.uses["_id"]]


def a_use_that_is_not_taken(copy: Copy) -> None:
    copy.uses["uses"][0]["state"] = "reserved"


def a_slot_occupied_twice(copy: Copy) -> None:
    copy.now.uses["other"] = copy.uses | {"_id": "other"}


def a_slot_that_no_use_has(copy: Copy) -> None:
    copy.uses["slots"].append("p|all|000009")


def a_use_for_nobody(copy: Copy) -> None:
    orphan = {"_id": "b", "booking_id": "b", "uses": [], "slots": [], "is_reserved": True}
    copy.now.uses["b"] = orphan | {"reserved_at": copy.now.at - timedelta(hours=1)}


def a_discount_that_no_promotion_gives(copy: Copy) -> None:
    copy.discounted["lines"][0]["discount"] += 1


def an_event_not_sent(copy: Copy) -> None:
    copy.now.unsent["usher_booking.bookings b"] = [{"type": "booking.paid.v1", "time": copy.now.at - LONG}]


def a_webhook_not_processed(copy: Copy) -> None:
    failed = {"type": "refund.updated", "outcome": None, "next_try_at": None, "last_error": "KeyError"}
    copy.now.webhooks["evt"] = {"_id": "evt", "received_at": copy.now.at - LONG} | failed


def a_dead_letter(copy: Copy) -> None:
    copy.now.queues["booking.events.dead"] = 1


def a_line_written_twice(copy: Copy) -> None:
    copy.payment["ledger"].append(copy.line)


def charged_twice(copy: Copy) -> None:
    copy.now.intents["pi"] = copy.now.intents[copy.payment["intent_id"]] | {"id": "pi"}


def two_messages(copy: Copy) -> None:
    copy.now.messages["again"] = copy.message


def no_mail(copy: Copy) -> None:
    del copy.now.mails[copy.message["key"]]


def two_mails(copy: Copy) -> None:
    copy.now.mails[copy.message["key"]] = 2


def no_message(copy: Copy) -> None:
    del copy.now.messages["message"]


def a_dispute_that_nobody_knows(copy: Copy) -> None:
    lost = {"payment_intent": copy.payment["intent_id"], "amount": 1, "status": "lost"}
    copy.now.disputes["dp"] = lost


def an_event_stuck_in_hand(copy: Copy) -> None:
    copy.notifier.unacknowledged, copy.notifier.oldest_s = 1, 21.0


def a_failed_mail(copy: Copy) -> None:
    copy.message.update(state="failed", reason="550")


def stuck(copy: Copy) -> None:
    copy.booking.update(state="confirming", due_at=copy.now.at - LONG)


def a_hold_that_stays(copy: Copy) -> None:
    copy.hold(["Z1"], LONG)


PLANTS: dict[Callable[[Copy], None], tuple[str, str]] = {
    sold_twice: ("seats", "was sold 2 times"),
    sold_and_forgotten: ("seats", "which inventory has not sold to it"),
    sold_to_nobody: ("seats", "is sold to nobody"),
    half_a_hold: ("seats", "has only ['Z1']"),
    a_seat_in_two_holds: ("seats", "stands in 2 holds"),
    a_mark_that_stays: ("seats", "stays marked for the waitlist"),
    an_offer_without_a_hold: ("seats", "an offer without a hold"),
    two_people_with_a_code: ("codes", "is valid, its codes are"),
    a_second_code: ("codes", "is transferred, its codes are"),
    a_code_for_the_giver: ("codes", "is transferred, its codes are"),
    ticket_for_another_seat: ("seats", "not for its seats"),
    the_map_errs: ("seats", "the live map is wrong"),
    the_count_errs: ("seats", "catalog counts"),
    a_ticket_for_nothing: ("money", "its tickets cost"),
    a_refunded_seat_that_stays_sold: ("seats", "which inventory has not freed"),
    a_valid_ticket_without_its_seat: ("seats", "which inventory has not sold to it"),
    less_refunded_than_quoted: ("money", "was quoted"),
    tickets_on_both_sides_of_an_exchange: ("seats", "was exchanged and still has tickets"),
    an_exchange_that_only_one_side_knows: ("seats", "does not know"),
    an_exchange_for_nothing: ("seats", "which is expired"),
    an_exchange_that_keeps_too_much: ("money", "its tickets cost"),
    a_lost_refund: ("money", "is requested, and succeeded at payment"),
    a_refund_that_payment_does_not_know: ("money", "unknown to payment"),
    a_cancelled_ticket_that_is_not_refunded: ("money", "its tickets cost"),
    money_for_nothing: ("money", "its tickets cost 0"),
    the_ledger_errs: ("money", "its ledger says"),
    more_back_than_came: ("money", "more is refunded than was captured"),
    stripe_took_more: ("money", "at Stripe"),
    stripe_gave_back: ("money", "at Stripe"),
    a_dispute_that_nobody_knows: ("money", "at Stripe"),
    money_that_nobody_knows: ("money", "which no payment knows"),
    money_of_nobody: ("money", "belongs to no booking"),
    money_from_nowhere: ("instruments", "its entries add up to"),
    a_reservation_without_end: ("instruments", "whose payment has ended"),
    a_gift_card_that_was_never_charged: ("instruments", "which was not taken"),
    money_that_did_not_return: ("instruments", "was not returned"),
    a_discount_without_a_use: ("instruments", "has the uses []"),
    a_use_that_is_not_taken: ("instruments", "'reserved')"),
    a_slot_occupied_twice: ("instruments", "is occupied 2 times"),
    a_slot_that_no_use_has: ("instruments", "occupy other slots"),
    a_use_for_nobody: ("instruments", "reserved for a booking without them"),
    a_discount_that_no_promotion_gives: ("instruments", "its tickets show"),
    an_event_not_sent: ("no loss", "booking.paid.v1 not sent"),
    a_webhook_not_processed: ("no loss", "not processed: KeyError"),
    a_dead_letter: ("no loss", "1 dead letters"),
    a_line_written_twice: ("once", "was written 2 times"),
    charged_twice: ("once", "was charged 2 times"),
    two_messages: ("once", "2 messages"),
    no_message: ("once", "0 messages"),
    no_mail: ("no loss", "is not in the mailbox"),
    an_event_stuck_in_hand: ("no loss", "1 messages unacknowledged, one for 21 s"),
    two_mails: ("once", "was sent 2 times"),
    a_failed_mail: ("progress", "failed: 550"),
    stuck: ("progress", "is stuck in confirming"),
    a_hold_that_stays: ("progress", "was not released"),
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_violation_is_named(real: Facts, plant: Callable[[Copy], None]):
    copy = Copy(real)
    assert violations(copy.now) == []
    plant(copy)
    rule, text = PLANTS[plant]
    assert any(found.rule == rule and text in found.text for found in violations(copy.now)), violations(copy.now)


def test_what_is_under_way_is_unrest_and_no_violation(real: Facts):
    copy = Copy(real)
    copy.booking.update(state="confirming", due_at=copy.now.at + LONG)
    copy.now.unsent["usher_booking.bookings b"] = [{"type": "booking.paid.v1", "time": copy.now.at}]
    copy.now.queues["booking.events"] = 1
    copy.notifier.in_hand = copy.notifier.unacknowledged = 1
    assert len(unrest(copy.now)) == 5
    assert violations(copy.now) == []


def test_a_second_copy_from_before_a_notifier_was_killed_is_no_violation(real: Facts):
    copy = Copy(real)
    two_mails(copy)
    copy.notifier.started_at = copy.message["queued_at"] + timedelta(seconds=1)
    assert violations(copy.now) == []


def test_a_mailbox_that_was_emptied_is_no_violation(real: Facts):
    copy = Copy(real)
    copy.now.mails.clear()
    copy.now.mailbox_since = copy.now.at
    assert violations(copy.now) == []
