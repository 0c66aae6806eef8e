"""The checker notices what it is for: each kind of violation is planted in a copy of a real platform's facts."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta

import pytest
from facts import Document, Facts
from house import House
from invariants import unrest, violations

from .conftest import stands
from .crowd import Crowd

LONG = timedelta(minutes=5)


@pytest.fixture(scope="module")
async def real(arena: House) -> Facts:
    """A platform at rest after some sales."""
    async with Crowd(arena) as crowd:
        await crowd.grows(4)
    return await stands(arena, crowd)


class Copy:
    """A copy to plant in, with one sale in it: booking, payment, showtime, a sold seat."""

    def __init__(self, now: Facts) -> None:
        self.now = deepcopy(now)
        confirmed = [each for each in self.now.bookings.values() if each["state"] == "confirmed"]
        self.booking: Document = confirmed[0]
        self.other: Document = confirmed[1]
        self.payment = self.now.payments[self.booking["_id"]]
        self.showtime = self.now.showtimes[self.booking["showtime_id"]]
        self.seat: str = self.booking["tickets"][0]["seat"]["seat_id"]
        self.line: Document = self.payment["ledger"][0]
        self.message = self.now.messages.pop(
            next(id_ for id_, each in self.now.messages.items() if each["key"].endswith(self.booking["_id"]))
        )
        self.now.messages["message"] = self.message

    def hold(self, seats: list[str], ago: timedelta) -> Document:
        """A hold in the showtime whose time was over `ago`."""
        hold = {"id": "a-hold", "seats": seats, "expires_at": self.now.at - ago}
        self.showtime["holds"].append(hold)
        return hold


def sold_twice(copy: Copy) -> None:
    copy.other["showtime_id"], copy.other["tickets"] = copy.booking["showtime_id"], copy.booking["tickets"]


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


def ticket_for_another_seat(copy: Copy) -> None:
    copy.booking["seats"][0]["seat_id"] = "Z9"


def the_map_errs(copy: Copy) -> None:
    copy.now.shown[copy.showtime["_id"]]["sold"].remove(copy.seat)


def the_count_errs(copy: Copy) -> None:
    copy.now.occupancies[copy.showtime["_id"]]["sold"] -= 1


def a_ticket_for_nothing(copy: Copy) -> None:
    copy.booking["tickets"][0]["amount"] += 1


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


def an_event_not_sent(copy: Copy) -> None:
    copy.now.unsent["usher_booking.bookings b"] = [{"type": "booking.paid.v1", "time": copy.now.at - LONG}]


def a_webhook_not_worked_off(copy: Copy) -> None:
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
    del copy.now.mails[copy.booking["reference"]]


def two_mails(copy: Copy) -> None:
    copy.now.mails[copy.booking["reference"]].add("another")


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
    ticket_for_another_seat: ("seats", "not for its seats"),
    the_map_errs: ("seats", "the live map errs"),
    the_count_errs: ("seats", "catalog counts"),
    a_ticket_for_nothing: ("money", "its tickets cost"),
    money_for_nothing: ("money", "its tickets cost 0"),
    the_ledger_errs: ("money", "its ledger says"),
    more_back_than_came: ("money", "more goes back than came in"),
    stripe_took_more: ("money", "at Stripe"),
    stripe_gave_back: ("money", "at Stripe"),
    money_that_nobody_knows: ("money", "which no payment knows"),
    money_of_nobody: ("money", "belongs to no booking"),
    an_event_not_sent: ("no loss", "booking.paid.v1 not sent"),
    a_webhook_not_worked_off: ("no loss", "not worked off: KeyError"),
    a_dead_letter: ("no loss", "1 dead letters"),
    a_line_written_twice: ("once", "was written 2 times"),
    charged_twice: ("once", "was charged 2 times"),
    two_messages: ("once", "2 messages"),
    no_mail: ("once", "0 mails"),
    two_mails: ("once", "2 mails"),
    a_failed_mail: ("progress", "failed: 550"),
    stuck: ("progress", "is stuck in confirming"),
    a_hold_that_stays: ("progress", "was not let go"),
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
    copy.now.in_hand = 1
    assert len(unrest(copy.now)) == 4
    assert violations(copy.now) == []
