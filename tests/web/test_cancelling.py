"""Cancelling on the booking page: the terms before paying, the quote, the refund, and the mail."""

import re
from datetime import UTC, datetime, timedelta

from chassis.testing import until
from cinema import Cinema
from playwright.async_api import expect

from .test_owners import fits_everywhere

TERMS = re.compile(r"100% back until .+ and 50% back until .+, nothing after that\.")


async def test_a_guest_cancels_two_of_four_tickets_and_reads_the_mail(visit, cinema):
    visitor = await visit("phone")
    page = visitor.page
    _, seats = await visitor.hold(4)
    await visitor.button("Continue").click()
    await page.wait_for_url("**/checkout/*")
    await expect(page.get_by_text(TERMS)).to_be_visible()
    await page.get_by_label("E-mail").fill("four@usher.example")
    await visitor.button(re.compile("Continue to payment")).click()
    await expect(page.get_by_text(TERMS)).to_be_visible()
    await visitor.pay()
    await visitor.sees_tickets(4)
    await expect(page.get_by_text(TERMS)).to_be_visible()

    await visitor.button("Cancel tickets").press("Enter")
    await expect(page.get_by_role("heading", name="Which tickets do you want to cancel?")).to_be_focused()
    see = visitor.button("See the refund")
    await expect(see).to_be_disabled()
    boxes = page.get_by_role("checkbox")
    await expect(boxes).to_have_count(4)
    for index in (0, 1):
        await boxes.nth(index).press("Space")
    await fits_everywhere(page, see)
    await see.press("Enter")
    await expect(page.get_by_role("heading", name="Please check before you cancel")).to_be_focused()
    back = page.get_by_text(re.compile(r"^You get [€£][\d.]+ back"))
    await expect(back).to_be_visible()
    await expect(page.get_by_text(re.compile(r"[€£][\d.]+ goes back to the card"))).to_be_visible()
    confirm = visitor.button("Cancel these tickets")
    await fits_everywhere(page, confirm, visitor.button("Back"))
    await confirm.press("Enter")

    await visitor.sees_tickets(2)
    await expect(page.get_by_text(re.compile(r"[€£][\d.]+ was sent back on"))).to_be_visible()
    await expect(visitor.button("Cancel tickets")).to_be_focused()

    async def mailed() -> list[dict]:
        mails = (await cinema.http.get(f"{cinema.platform.env['MAILBOX_URL']}/email")).json()
        mine = [mail for mail in mails if mail["to"][0]["address"] == "four@usher.example"]
        return [mail for mail in mine if mail["subject"].startswith("Cancelled: tickets")]

    [mail] = await until(mailed)
    assert all(seat in mail["text"] for seat in seats)
    assert "your other tickets stay valid" in mail["text"]

    await visitor.button("Cancel tickets").click()
    for box in await page.get_by_role("checkbox").all():
        await box.check()
    await see.click()
    await confirm.click()
    await expect(page.get_by_role("heading", name="Your money has been refunded")).to_be_visible()


async def _couch(cinema: Cinema) -> tuple[str, list[str]]:
    """A showtime and a free couch that is sold only whole, for which no deadline passes during the test."""
    soon = (datetime.now(UTC) + timedelta(hours=4)).isoformat()
    page = await cinema.guest().call("GET", "/api/showtimes", params={"limit": 100, "from": soon})
    for showtime in page["items"]:
        seat_map = await cinema.guest().call("GET", f"/api/showtimes/{showtime['id']}/seats")
        for seat in seat_map["layout"]["seats"]:
            pair = [seat["seat_id"], seat.get("pair") or seat["seat_id"]]
            if len({*pair}) == 2 and seat_map["taken"].keys().isdisjoint(pair):
                return showtime["id"], pair
    raise LookupError("no showtime has a free couch")


async def test_half_a_couch_is_cancelled_with_the_other_half(visit, cinema):
    guest, (showtime_id, couch) = cinema.guest(), await _couch(cinema)
    booking = await guest.settled(await guest.buy(showtime_id, couch, "couch@usher.example"), "confirmed")
    page = (visitor := await visit("phone")).page
    await page.goto(await cinema.mailed_link(booking["reference"], "Your tickets"))
    await visitor.button("Cancel tickets").click()
    await page.get_by_role("checkbox").first.check()
    await visitor.button("See the refund").click()
    await expect(page.get_by_text("Some tickets belong together")).to_be_visible()
    await fits_everywhere(page, visitor.button("Cancel these tickets"))
    await visitor.button("Cancel these tickets").click()
    await expect(page.get_by_role("heading", name="Your money has been refunded")).to_be_visible()
