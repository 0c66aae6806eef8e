"""A customer exchanges tickets: up, down, in part, and then cancels: money, seats and codes."""

from chassis.testing import until
from cinema import Cinema
from customer import Customer, Json


async def in_the_same_currency(cinema: Cinema, customer: Customer, booking: Json) -> tuple[str, list[str]]:
    """Another showtime that is sold in the booking's currency, and free seats."""
    while True:
        showtime_id, seats = await cinema.seats(3)
        if (await customer.call("GET", f"/api/showtimes/{showtime_id}"))["currency"] == booking["currency"]:
            return showtime_id, seats


async def test_a_guest_exchanges_a_part_down_and_the_rest_up_and_gets_everything_back(cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(4)
    first = await guest.buy(showtime_id, seats[:2], "swap@usher.example")
    booking = await guest.settled(first, "confirmed")
    one, two = (ticket["ticket_id"] for ticket in booking["tickets"])

    cheaper, quote = await guest.exchange(first, showtime_id, seats[2:3], one, ticket_type="child")
    assert quote["amount_due"] < 0
    part = await guest.settled(cheaper, "confirmed")
    assert part["replaces"] == first["hold_id"]

    async def is_refunded() -> bool:
        return (await guest.booking(first))["refunded_amount"] == -quote["amount_due"]

    await until(is_refunded)
    left = await guest.booking(first)
    assert [ticket["status"] for ticket in left["tickets"]] == ["exchanged", "valid"]

    async def are_free() -> bool:
        return set(seats) & set(await cinema.taken(showtime_id)) == set(seats[1:3])

    await until(are_free)

    other_id, others = await in_the_same_currency(cinema, guest, booking)
    dearer, due = await guest.order_exchange(first, other_id, others, two)
    assert due["amount_due"] > 0
    valid = await guest.call("GET", f"/api/tickets/{two}", secret=first["secret"])
    assert valid["ticket"]["ticket_id"] == two, "valid until the difference is paid"
    await guest.pay(await guest.create_intent(dearer))
    paid = await guest.settled(dearer, "confirmed")
    assert sum(tender["captured"] for tender in paid["tenders"]) == paid["amount"] == due["price"]
    assert (await guest.settled(first, "exchanged"))["tickets"] == []

    await guest.cancel_tickets(dearer)
    ended = await guest.settled(dearer, "refunded")
    assert ended["refunded_amount"] == paid["amount"]
    assert len(ended["refunds"]) == 2, "on the payment of the first booking and on that of the difference"


async def test_an_exchange_that_is_given_up_leaves_the_tickets_valid(cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(3)
    first = await guest.buy(showtime_id, seats[:1], "keep@usher.example")
    booking = await guest.settled(first, "confirmed")
    new, quote = await guest.order_exchange(first, showtime_id, seats[1:])
    assert quote["amount_due"] > 0
    await guest.cancel(new)
    await guest.settled(new, "cancelled")
    assert (await guest.booking(first))["tickets"] == booking["tickets"]

    async def are_free() -> bool:
        return set(seats) & set(await cinema.taken(showtime_id)) == set(seats[:1])

    await until(are_free)
