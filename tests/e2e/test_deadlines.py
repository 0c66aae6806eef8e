"""Sales that time out, and payments that arrive late."""

import asyncio

import pytest
from customer import Refused


async def free_again(cinema, showtime_id: str, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while await cinema.taken(showtime_id):
            await asyncio.sleep(0.1)


async def money(guest, hold) -> tuple[int, int]:
    payment = await guest.call("GET", f"/api/payments/{hold['hold_id']}", secret=hold["secret"])
    return payment["captured"], payment["refunded"]


async def test_a_hold_that_lapses_is_free_again_and_cannot_be_checked_out(impatient_cinema):
    guest = impatient_cinema.guest()
    showtime_id, seats = await impatient_cinema.seats(2)
    hold = await guest.hold(showtime_id, seats)
    await free_again(impatient_cinema, showtime_id)
    with pytest.raises(Refused) as refused:
        await guest.check_out(hold, "guest@usher.example")
    assert (refused.value.status, refused.value.problem["code"]) == (409, "hold_expired")
    with pytest.raises(Refused) as unknown:
        await guest.booking(hold)
    assert (unknown.value.status, unknown.value.problem["code"]) == (404, "booking_unknown")
    await impatient_cinema.guest().hold(showtime_id, seats)


async def test_a_booking_that_nobody_pays_expires_and_frees_its_seats(impatient_cinema):
    guest = impatient_cinema.guest()
    showtime_id, seats = await impatient_cinema.seats(1)
    hold = await guest.hold(showtime_id, seats)
    await guest.check_out(hold, "guest@usher.example")
    intent = await guest.create_intent(hold)
    await guest.settled(hold, "expired")
    await free_again(impatient_cinema, showtime_id)
    with pytest.raises(Refused):
        await guest.pay(intent)
    assert await money(guest, hold) == (0, 0)


async def paying_slowly(cinema, guest, seconds: float) -> tuple[str, list[str], dict]:
    """A booking whose payment Stripe processes until long after the deadline and the pin's grace period."""
    showtime_id, seats = await cinema.seats(2)
    hold = await guest.hold(showtime_id, seats)
    await guest.check_out(hold, "guest@usher.example")
    intent = await guest.create_intent(hold)
    await cinema.fault("processing", hold["hold_id"], seconds=seconds)
    assert (await guest.pay(intent))["status"] == "processing"
    await free_again(cinema, showtime_id)
    return showtime_id, seats, hold


async def test_money_that_comes_late_buys_the_seats_if_they_are_still_free(impatient_cinema):
    guest = impatient_cinema.guest()
    showtime_id, seats, hold = await paying_slowly(impatient_cinema, guest, seconds=25)
    booking = await guest.settled(hold, "confirmed")
    assert await impatient_cinema.taken(showtime_id) == dict.fromkeys(seats, "sold")
    assert await money(guest, hold) == (booking["amount"], 0)


async def test_money_that_comes_late_goes_back_once_if_the_seats_are_gone(impatient_cinema):
    guest, rival = impatient_cinema.guest(), impatient_cinema.guest()
    showtime_id, seats, hold = await paying_slowly(impatient_cinema, guest, seconds=25)
    rivals = await rival.buy(showtime_id, seats[:1], "rival@usher.example")
    await rival.settled(rivals, "confirmed")

    booking = await guest.settled(hold, "refunded")
    assert await money(guest, hold) == (booking["amount"], booking["amount"])
    assert await impatient_cinema.taken(showtime_id) == {seats[0]: "sold"}
