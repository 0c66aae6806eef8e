"""Sales through the gateway, successful or not, as a customer sees them."""

import asyncio

import pytest
from customer import Refused


async def test_a_customer_buys_two_tickets(cinema):
    customer = await cinema.person()
    showtime_id, seats = await cinema.seats(2)
    hold = await customer.buy(showtime_id, seats, "customer@usher.example")
    booking = await customer.settled(hold, "confirmed")

    assert {ticket["seat"]["seat_id"] for ticket in booking["tickets"]} == set(seats)
    assert booking["amount"] == sum(ticket["amount"] for ticket in booking["tickets"])
    assert await cinema.taken(showtime_id) == dict.fromkeys(seats, "sold")
    payment = await customer.call("GET", f"/api/payments/{hold['hold_id']}")
    assert (payment["captured"], payment["refunded"]) == (booking["amount"], 0)
    listed = await customer.call("GET", "/api/bookings")
    assert hold["hold_id"] in [each["id"] for each in listed["items"]]
    await mailed(cinema, booking["reference"])


async def mailed(cinema, reference: str) -> None:
    async with asyncio.timeout(60):
        while len(mails := await cinema.mails(reference)) == 0:
            await asyncio.sleep(0.1)
    assert len(mails) == 1


async def test_a_guest_buys_with_the_holds_secret_and_nobody_else_sees_it(cinema):
    guest, stranger, staff = cinema.guest(), cinema.guest(), await cinema.person("staff")
    showtime_id, seats = await cinema.seats(1)
    hold = await guest.buy(showtime_id, seats, "guest@usher.example")
    await guest.settled(hold, "confirmed")

    for someone in (stranger, await cinema.person("customer")):
        for path in (f"/api/bookings/{hold['hold_id']}", f"/api/payments/{hold['hold_id']}"):
            with pytest.raises(Refused) as refused:
                await someone.call("GET", path)
            assert refused.value.status in {401, 404}
    assert (await staff.call("GET", f"/api/bookings/{hold['hold_id']}"))["state"] == "confirmed"


async def test_a_declined_card_keeps_the_seats_and_a_good_one_buys_them(cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(1)
    hold = await guest.hold(showtime_id, seats)
    await guest.check_out(hold, "guest@usher.example")
    intent = await guest.create_intent(hold)
    with pytest.raises(Refused) as declined:
        await guest.pay(intent, "pm_card_chargeDeclinedInsufficientFunds")
    assert (declined.value.status, declined.value.problem["decline_code"]) == (402, "insufficient_funds")
    assert (await guest.booking(hold))["state"] == "awaiting_payment"
    assert await cinema.taken(showtime_id) == {seats[0]: "held"}

    assert (await guest.create_intent(hold))["client_secret"] == intent["client_secret"]
    await guest.pay(intent)
    await guest.settled(hold, "confirmed")


async def test_of_two_who_want_one_seat_one_gets_it(cinema):
    showtime_id, (seat, other) = await cinema.seats(2)
    answers = await asyncio.gather(
        *(cinema.guest().hold(showtime_id, [seat, other]) for _ in range(8)), return_exceptions=True
    )
    holds = [answer for answer in answers if isinstance(answer, dict)]
    refusals = [answer for answer in answers if isinstance(answer, Refused)]
    assert (len(holds), len(refusals)) == (1, 7)
    for refusal in refusals:
        assert (refusal.status, refusal.problem["code"]) == (409, "seats_taken")
        assert set(refusal.problem["seats"]) == {seat, other}


async def test_cancelling_before_the_payment_frees_the_seats_and_takes_no_money(cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(2)
    hold = await guest.hold(showtime_id, seats)
    await guest.check_out(hold, "guest@usher.example")
    intent = await guest.create_intent(hold)
    await guest.cancel(hold)
    await guest.settled(hold, "cancelled")
    async with asyncio.timeout(60):
        while await cinema.taken(showtime_id):
            await asyncio.sleep(0.05)
    with pytest.raises(Refused):
        await guest.pay(intent)
    with pytest.raises(Refused) as closed:
        await guest.create_intent(hold)
    assert closed.value.status == 409


async def test_cancelled_while_paying_ends_with_tickets_or_without_money(cinema):
    for _ in range(5):
        guest = cinema.guest()
        showtime_id, seats = await cinema.seats(1)
        hold = await guest.hold(showtime_id, seats)
        await guest.check_out(hold, "guest@usher.example")
        intent = await guest.create_intent(hold)
        await asyncio.gather(guest.pay(intent), guest.cancel(hold), return_exceptions=True)
        booking = await guest.settled(hold, "confirmed", "cancelled", "refunded")
        await money_fits(guest, hold, booking)


async def money_fits(guest, hold, booking) -> None:
    payment = await guest.call("GET", f"/api/payments/{hold['hold_id']}", secret=hold.get("secret"))
    entitled = booking["amount"] if booking["state"] == "confirmed" else 0
    assert payment["captured"] - payment["refunded"] == entitled


async def test_a_webhook_that_comes_three_times_changes_nothing_more(cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(1)
    hold = await guest.hold(showtime_id, seats)
    await cinema.fault("webhook_repeat", hold["hold_id"], times=3, count=None)
    booking = await guest.check_out(hold, "guest@usher.example")
    await guest.pay(await guest.create_intent(hold))
    booking = await guest.settled(hold, "confirmed")
    await asyncio.sleep(1)
    assert (await guest.booking(hold)) == booking
    await money_fits(guest, hold, booking)
    await mailed(cinema, booking["reference"])


async def test_a_lost_webhook_is_healed_by_asking_stripe(cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(1)
    hold = await guest.hold(showtime_id, seats)
    await cinema.fault("webhook_drop", hold["hold_id"], count=None)
    await guest.check_out(hold, "guest@usher.example")
    await guest.pay(await guest.create_intent(hold))
    await guest.settled(hold, "confirmed")


async def test_three_d_secure_is_asked_for_and_approved(cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(1)
    hold = await guest.hold(showtime_id, seats)
    await guest.check_out(hold, "guest@usher.example")
    intent = await guest.pay(await guest.create_intent(hold), "pm_card_authenticationRequired")
    assert intent["status"] == "requires_action"
    await cinema.stripe("POST", f"/_sandbox/payment_intents/{intent['id']}/authenticate", json={"approve": True})
    await guest.settled(hold, "confirmed")


async def test_checking_out_twice_is_one_booking_and_one_charge(cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(1)
    hold = await guest.hold(showtime_id, seats)
    first, second = await asyncio.gather(*(guest.check_out(hold, "guest@usher.example") for _ in range(2)))
    assert first["id"] == second["id"]
    one, two = await asyncio.gather(*(guest.create_intent(hold) for _ in range(2)))
    assert one["client_secret"] == two["client_secret"]
    await asyncio.gather(*(guest.pay(one) for _ in range(2)), return_exceptions=True)
    await money_fits(guest, hold, await guest.settled(hold, "confirmed"))


async def test_others_see_the_seats_change_as_it_happens(cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(2)
    seen: list[dict] = []

    async def shows(kind: str) -> None:
        async with asyncio.timeout(60):
            while not any(message["type"] == kind for message in seen):
                await asyncio.sleep(0.01)

    async with cinema.guest().watching(showtime_id, seen.append):
        await shows("showtime:update")
        hold = await guest.hold(showtime_id, seats)
        await shows("seat:lock")
        await guest.call("DELETE", f"/api/holds/{hold['hold_id']}", secret=hold["secret"])
        await shows("seat:release")
        hold = await guest.buy(showtime_id, seats, "guest@usher.example")
        await shows("seat:book")
    assert all("booking" not in message["type"] for message in seen)
    assert all(hold["hold_id"] not in str(message) for message in seen)
