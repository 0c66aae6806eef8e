"""Free companion tickets: one with each wheelchair space."""

import pytest
from booking.model import CompanionWithoutWheelchair, Order, quote
from hypothesis import given as forall
from hypothesis import strategies as st

from . import examples as given
from .examples import NOW, OFFER, held

SEATS = {seat.seat_id: seat for seat in (given.C1, given.W1, given.C2, given.W2, given.C3)}


def quoted_and_charged(tickets: dict[str, str]) -> int:
    """The amount of these tickets, which must be the same in the quote and the checkout."""
    hold = held(seats=[SEATS[seat_id] for seat_id in tickets])
    quoted = sum(each.chosen.amount for each in quote(hold, OFFER, tickets, NOW))
    assert given.checkout(Order(tickets, "ada@example.org"), hold).amount == quoted
    return quoted


@pytest.mark.parametrize(
    ("tickets", "alone"),
    [
        ({"C1": "companion"}, ["C1"]),
        ({"C1": "companion", "C2": "adult"}, ["C1"]),
        ({"W1": "companion"}, ["W1"]),
        ({"W1": "companion", "W2": "adult"}, ["W1"]),
        ({"W1": "companion", "C1": "companion"}, ["W1", "C1"]),
        ({"W1": "adult", "C1": "companion", "C2": "companion"}, ["C2"]),
        ({"C1": "companion", "W1": "companion", "W2": "adult", "C2": "companion"}, ["W1", "C2"]),
    ],
)
def test_a_companion_without_a_wheelchair_is_named(tickets: dict[str, str], alone: list[str]) -> None:
    hold = held(seats=[SEATS[seat_id] for seat_id in tickets])
    with pytest.raises(CompanionWithoutWheelchair, match="Add a wheelchair space for each") as quoted:
        quote(hold, OFFER, dict(tickets), NOW)
    with pytest.raises(CompanionWithoutWheelchair) as charged:
        given.checkout(Order(tickets, "ada@example.org"), hold)
    assert quoted.value.members == charged.value.members == {"seats": alone}


def test_one_companion_goes_free_with_each_wheelchair_space() -> None:
    assert quoted_and_charged({"C1": "companion", "W1": "adult"}) == 1250
    assert quoted_and_charged({"W1": "adult", "C1": "companion", "C2": "adult"}) == 2500
    assert quoted_and_charged({"W1": "adult", "W2": "adult", "C1": "companion", "C2": "companion"}) == 2500


ORDERS = st.lists(st.sampled_from(sorted(SEATS)), min_size=1, unique=True).flatmap(
    lambda seats: st.fixed_dictionaries(dict.fromkeys(seats, st.sampled_from(["adult", "companion"])))
)


@forall(ORDERS)
def test_each_free_companion_has_a_paid_wheelchair_space(tickets: dict[str, str]) -> None:
    wheelchairs = sum(kind == "adult" and SEATS[seat].category == "wheelchair" for seat, kind in tickets.items())
    companions = [seat for seat, kind in tickets.items() if kind == "companion"]
    are_beside = all(SEATS[seat].category != "wheelchair" for seat in companions)
    try:
        amount = quoted_and_charged(tickets)
    except CompanionWithoutWheelchair:
        assert len(companions) > wheelchairs or not are_beside
    else:
        assert amount == 1250 * (len(tickets) - len(companions))
        assert len(companions) <= wheelchairs
        assert are_beside


@forall(ORDERS, st.data())
def test_a_quote_offers_exactly_the_types_that_can_be_chosen(tickets: dict[str, str], data: st.DataObject) -> None:
    hold = held(seats=[SEATS[seat_id] for seat_id in tickets])
    try:
        quoted = quote(hold, OFFER, dict(tickets), NOW)
    except CompanionWithoutWheelchair:
        tickets = dict.fromkeys(tickets, "adult")
        quoted = quote(hold, OFFER, {}, NOW)
    each = data.draw(st.sampled_from(quoted))
    assert each.chosen in each.options
    offered = {option.ticket_type for option in each.options}
    for kind in ("adult", "companion"):
        if kind in offered:
            quoted_and_charged(tickets | {each.seat.seat_id: kind})
        else:
            with pytest.raises(CompanionWithoutWheelchair):
                quoted_and_charged(tickets | {each.seat.seat_id: kind})


async def test_a_companion_goes_free_with_a_wheelchair_space_only(customer):
    await customer.add_showtime()
    customer.new_hold(given.C1, given.W1, given.C2)

    def tickets(*kinds: str) -> list[dict[str, str]]:
        return [
            {"seat_id": seat.seat_id, "ticket_type": kind}
            for seat, kind in zip((given.C1, given.W1, given.C2), kinds, strict=True)
        ]

    async def options(*kinds: str) -> list[list[str]]:
        seats = (await customer.get_quote(tickets=tickets(*kinds))).json()["seats"]
        return [[option["ticket_type"] for option in seat["options"]] for seat in seats]

    both = ["adult", "companion"]
    assert await options("adult", "adult", "adult") == [both, ["adult"], both]
    assert await options("companion", "adult", "adult") == [both, ["adult"], ["adult"]]
    for kinds, alone in [(("companion", "adult", "companion"), ["C2"]), (("adult", "companion", "adult"), ["W1"])]:
        for answer in (
            await customer.get_quote(tickets=tickets(*kinds)),
            await customer.check_out(tickets=tickets(*kinds)),
        ):
            assert (answer.status_code, answer.json()["code"]) == (422, "companion_without_wheelchair")
            assert answer.json()["seats"] == alone
            assert "choose another ticket type" in answer.json()["detail"]
    assert (await customer.check_out(tickets=tickets("companion", "adult", "adult"))).json()["amount"] == 2500
