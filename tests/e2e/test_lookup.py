"""A guest opens a booking on another device, by the link in a mail or by a requested link."""

from urllib.parse import urlsplit

from chassis.testing import until

from .test_accounts import refusal


async def sold(house, buyer, email):
    showtime_id, seats = await house.seats(2)
    hold = await buyer.buy(showtime_id, seats, email)
    return hold, await buyer.settled(hold, "confirmed")


async def opened(house, link):
    """Read the booking with nothing but the link."""
    page = urlsplit(link)
    key = page.fragment.removeprefix("key=")
    return await house.guest().call("GET", f"/api{page.path}", headers={"X-Booking-Key": key})


async def test_the_link_in_a_guests_mail_opens_the_booking_anywhere_and_only_shows_it(house):
    guest = house.guest()
    hold, booking = await sold(house, guest, "lost@usher.example")
    link = await house.mailed_link(booking["reference"], "Your tickets")
    assert await opened(house, link) == booking
    assert len(booking["tickets"]) == 2
    key = {"X-Booking-Key": urlsplit(link).fragment.removeprefix("key=")}
    path = f"/api/bookings/{hold['hold_id']}"
    assert await refusal(house.guest().call("POST", f"{path}/cancel", headers=key)) == (401, "unauthenticated")
    assert await refusal(house.guest().call("GET", "/api/bookings/another", headers=key)) == (404, "booking_link_void")
    assert await refusal(house.guest().call("GET", path)) == (401, "unauthenticated")
    assert await refusal(house.guest().call("GET", path, secret=key["X-Booking-Key"])) == (404, "booking_unknown")
    for headers in ({"X-Booking-Key": booking["tickets"][0]["qr"]}, {"X-Booking-Key": hold["secret"]}):
        assert await refusal(house.guest().call("GET", path, headers=headers)) == (404, "booking_link_void")
    for service_path in (path, "/api/users/me", f"/api/payments/{hold['hold_id']}"):
        bearer = {"Authorization": f"Bearer {key['X-Booking-Key']}"}
        assert await refusal(house.guest().call("GET", service_path, headers=bearer)) == (401, "token_invalid")


async def test_who_signed_in_to_buy_gets_a_plain_link_and_another_one_when_asking(house):
    person = await house.person()
    hold, booking = await sold(house, person, "customer@usher.example")
    plain = await house.mailed_link(booking["reference"], "Your tickets")
    assert plain == f"{house.platform.url}/bookings/{hold['hold_id']}"
    ask = {"reference": booking["reference"], "email": "customer@usher.example"}
    await house.guest().call("POST", "/api/bookings/lookup", json=ask)
    assert await opened(house, await house.mailed_link(booking["reference"], "Your booking")) == booking


async def test_a_link_that_is_asked_for_is_mailed_once_to_its_own_address_and_nobody_learns_of_it(house):
    _, booking = await sold(house, house.guest(), "forgetful@usher.example")
    _, others = await sold(house, house.guest(), "somebody.else@usher.example")
    reference = booking["reference"]
    await house.mailed_link(others["reference"], "Your tickets")
    wishes = [
        {"reference": reference.lower(), "email": "Forgetful@usher.example"},
        {"reference": reference, "email": "forgetful@usher.example"},
        {"reference": reference, "email": "eve@usher.example"},
        {"reference": others["reference"], "email": "forgetful@usher.example"},
        {"reference": "CDFGHJKM", "email": "forgetful@usher.example"},
    ]
    answers = [await house.guest().call("POST", "/api/bookings/lookup", json=wish) for wish in wishes]
    assert answers == [answers[0]] * 5
    assert await opened(house, await house.mailed_link(reference, "Your booking")) == booking
    addresses = [each["address"] for mail in await house.mails(reference) for each in mail["to"]]
    assert addresses == ["forgetful@usher.example"] * 2, "the tickets and the link"
    assert len(await house.mails(others["reference"])) == 1


async def test_the_link_in_the_mail_about_a_cancelled_showtime_shows_what_goes_back(house):
    hold, booking = await sold(house, house.guest(), "unlucky@usher.example")
    before = await house.mailed_link(booking["reference"], "Your tickets")
    admin = await house.person("admin")
    showtime = f"/api/showtimes/{booking['showtime_id']}"
    await admin.call("POST", f"{showtime}/cancel", json={"reason": "technical"})
    link = await house.mailed_link(booking["reference"], "Cancelled")

    async def refunded():
        return (await opened(house, link))["state"] == "refunded"

    await until(refunded)
    seen = await opened(house, link)
    assert (seen["id"], seen["refunded_amount"]) == (hold["hold_id"], booking["amount"])
    assert await opened(house, before) == seen


async def test_no_log_tells_a_link_or_an_address(house):
    _, booking = await sold(house, house.guest(), "secretive@usher.example")
    link = await house.mailed_link(booking["reference"], "Your tickets")
    await opened(house, link)
    ask = {"reference": booking["reference"], "email": "secretive@usher.example"}
    await house.guest().call("POST", "/api/bookings/lookup", json=ask)
    asked = await house.mailed_link(booking["reference"], "Your booking")
    await opened(house, asked)
    for name in ("gateway", "booking", "notifier", "realtime", "catalog"):
        log = house.platform.log(name).read_text()
        for word in (urlsplit(link).fragment[4:], urlsplit(asked).fragment[4:], "secretive@"):
            assert word not in log, name
