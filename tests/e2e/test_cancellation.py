"""A customer cancels two of four tickets, and then the rest: money, seats and mails."""

from chassis.testing import until


async def test_a_guest_cancels_two_of_four_tickets_and_then_the_rest(cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(4)
    hold = await guest.buy(showtime_id, seats, "guest@usher.example")
    booking = await guest.settled(hold, "confirmed")
    assert booking["refund_policy"]["tiers"][0] == {"minutes_before_start": 120, "refund_percent": 100}
    tickets = [ticket["ticket_id"] for ticket in booking["tickets"]]

    async def mailed(subject: str) -> list[dict]:
        return [mail for mail in await cinema.mails(booking["reference"]) if mail["subject"].startswith(subject)]

    quote = await guest.cancel_tickets(hold, *tickets[:2])
    assert quote["total"] == sum(ticket["amount"] for ticket in booking["tickets"][:2])

    async def is_refunded() -> bool:
        return [each["state"] for each in (await guest.booking(hold))["refunds"]] == ["accepted"]

    await until(is_refunded)
    part = await guest.booking(hold)
    assert [ticket["status"] for ticket in part["tickets"]] == ["cancelled", "cancelled", "valid", "valid"]
    assert (part["state"], part["refunded_amount"]) == ("confirmed", quote["total"])
    [mail] = await until(lambda: mailed("Cancelled: tickets of your booking"))
    assert f"{quote['total'] / 100:.2f}" in mail["text"]
    assert all(seat in mail["text"] for seat in seats)
    [refund] = await until(lambda: mailed("Refund of "))
    assert "other tickets stay valid" in refund["text"]

    async def are_free() -> bool:
        return set(seats) & set(await cinema.taken(showtime_id)) == set(seats[2:])

    await until(are_free)
    other = await cinema.guest().hold(showtime_id, seats[:2])
    assert len(other["seats"]) == 2

    await guest.cancel_tickets(hold)
    ended = await guest.settled(hold, "refunded")
    assert (ended["refunded_amount"], ended["ending"]) == (booking["amount"], "by_customer")

    async def are_mailed() -> bool:
        return len(await mailed("Refund of ")) == len(await mailed("Cancelled: tickets")) == 2

    await until(are_mailed)
