"""A guest opens a booking on another device, by the link in a mail or by a requested link."""

from urllib.parse import urlsplit

from chassis.testing import until

from .test_accounts import refusal


async def sold(cinema, buyer, email):
    showtime_id, seats = await cinema.seats(2)
    hold = await buyer.buy(showtime_id, seats, email)
    return hold, await buyer.settled(hold, "confirmed")


async def opened(cinema, link):
    """Read the booking with nothing but the link."""
    page = urlsplit(link)
    key = page.fragment.removeprefix("key=")
    return await cinema.guest().call("GET", f"/api{page.path}", headers={"X-Booking-Key": key})


async def test_the_link_in_a_guests_mail_opens_the_booking_anywhere_and_only_shows_it(cinema):
    guest = cinema.guest()
    hold, booking = await sold(cinema, guest, "lost@usher.example")
    link = await cinema.mailed_link(booking["reference"], "Your tickets")
    assert await opened(cinema, link) == booking
    assert len(booking["tickets"]) == 2
    key = {"X-Booking-Key": urlsplit(link).fragment.removeprefix("key=")}
    path = f"/api/bookings/{hold['hold_id']}"
    assert await refusal(cinema.guest().call("POST", f"{path}/cancel", headers=key)) == (401, "unauthenticated")
    assert await refusal(cinema.guest().call("GET", "/api/bookings/another", headers=key)) == (404, "booking_link_void")
    assert await refusal(cinema.guest().call("GET", path)) == (401, "unauthenticated")
    assert await refusal(cinema.guest().call("GET", path, secret=key["X-Booking-Key"])) == (404, "booking_unknown")
    for headers in ({"X-Booking-Key": booking["tickets"][0]["qr"]}, {"X-Booking-Key": hold["secret"]}):
        assert await refusal(cinema.guest().call("GET", path, headers=headers)) == (404, "booking_link_void")
    for service_path in (path, "/api/users/me", f"/api/payments/{hold['hold_id']}"):
        bearer = {"Authorization": f"Bearer {key['X-Booking-Key']}"}
        assert await refusal(cinema.guest().call("GET", service_path, headers=bearer)) == (401, "token_invalid")


async def test_who_signed_in_to_buy_gets_a_plain_link_and_another_one_when_asking(cinema):
    person = await cinema.person()
    hold, booking = await sold(cinema, person, "customer@usher.example")
    plain = await cinema.mailed_link(booking["reference"], "Your tickets")
    assert plain == f"{cinema.platform.url}/bookings/{hold['hold_id']}"
    ask = {"reference": booking["reference"], "email": "customer@usher.example"}
    await cinema.guest().call("POST", "/api/bookings/lookup", json=ask)
    assert await opened(cinema, await cinema.mailed_link(booking["reference"], "Your booking")) == booking


async def test_a_link_that_is_asked_for_is_mailed_once_to_its_own_address_and_nobody_learns_of_it(cinema):
    _, booking = await sold(cinema, cinema.guest(), "forgetful@usher.example")
    _, others = await sold(cinema, cinema.guest(), "somebody.else@usher.example")
    reference = booking["reference"]
    await cinema.mailed_link(others["reference"], "Your tickets")
    wishes = [
        {"reference": reference.lower(), "email": "Forgetful@usher.example"},
        {"reference": reference, "email": "forgetful@usher.example"},
        {"reference": reference, "email": "eve@usher.example"},
        {"reference": others["reference"], "email": "forgetful@usher.example"},
        {"reference": "CDFGHJKM", "email": "forgetful@usher.example"},
    ]
    answers = [await cinema.guest().call("POST", "/api/bookings/lookup", json=wish) for wish in wishes]
    assert answers == [answers[0]] * 5
    assert await opened(cinema, await cinema.mailed_link(reference, "Your booking")) == booking
    addresses = [each["address"] for mail in await cinema.mails(reference) for each in mail["to"]]
    assert addresses == ["forgetful@usher.example"] * 2, "the tickets and the link"
    assert len(await cinema.mails(others["reference"])) == 1


async def test_the_link_in_the_mail_about_a_cancelled_showtime_shows_what_goes_back(cinema):
    hold, booking = await sold(cinema, cinema.guest(), "unlucky@usher.example")
    before = await cinema.mailed_link(booking["reference"], "Your tickets")
    admin = await cinema.person("admin")
    showtime = f"/api/showtimes/{booking['showtime_id']}"
    await admin.call("POST", f"{showtime}/cancel", json={"reason": "technical"})
    link = await cinema.mailed_link(booking["reference"], "Cancelled")

    async def refunded():
        return (await opened(cinema, link))["state"] == "refunded"

    await until(refunded)
    seen = await opened(cinema, link)
    assert (seen["id"], seen["refunded_amount"]) == (hold["hold_id"], booking["amount"])
    assert await opened(cinema, before) == seen


async def test_no_log_tells_a_link_or_an_address(cinema):
    _, booking = await sold(cinema, cinema.guest(), "secretive@usher.example")
    link = await cinema.mailed_link(booking["reference"], "Your tickets")
    await opened(cinema, link)
    ask = {"reference": booking["reference"], "email": "secretive@usher.example"}
    await cinema.guest().call("POST", "/api/bookings/lookup", json=ask)
    asked = await cinema.mailed_link(booking["reference"], "Your booking")
    await opened(cinema, asked)
    for name in ("gateway", "booking", "notifier", "realtime", "catalog"):
        log = cinema.platform.log(name).read_text()
        for word in (urlsplit(link).fragment[4:], urlsplit(asked).fragment[4:], "secretive@"):
            assert word not in log, name
