"""The choice page of a moved showtime: by the mailed link, with the keyboard, in both languages."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from chassis.testing import until
from playwright.async_api import expect

from .test_owners import fits_everywhere


async def test_a_guest_keeps_the_tickets_and_then_gives_them_back(visit, cinema):
    guest, admin = cinema.guest(), await cinema.person("admin")
    showtime_id, seats = await cinema.seats(2)
    hold = await guest.buy(showtime_id, seats, "moved@usher.example")
    booking = await guest.settled(hold, "confirmed")
    old, zone = datetime.fromisoformat(booking["screening"]["starts_at"]), booking["screening"]["time_zone"]

    async def move(days: int) -> None:
        local = old.astimezone(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(days=days)
        await admin.call("PATCH", f"/api/showtimes/{showtime_id}", json={"local_start": local.isoformat()})

    async def mailed() -> str | None:
        mails = [mail["text"] for mail in await cinema.mails(booking["reference"]) if "/choice#key=" in mail["text"]]
        return mails[0] if mails else None

    await move(61)
    text = await until(mailed)
    assert text is not None
    link = re.search(r"\S+/choice#key=[\w.-]+", text)
    assert link is not None

    visitor = await visit("desk")
    page = visitor.page
    await page.goto(link[0])
    await expect(page.get_by_role("heading", name="Your showtime was moved")).to_be_visible()
    assert "key=" not in page.url
    keep, give_back = (
        page.get_by_role("radio", name=re.compile("^Keep")),
        page.get_by_role("radio", name=re.compile("^Get")),
    )
    confirm = page.locator("button[type=submit]")
    await expect(confirm).to_be_disabled()
    await expect(page.get_by_text("you can exchange your tickets without a fee until it begins")).to_be_visible()
    await fits_everywhere(page, keep, give_back)
    await keep.focus()
    await keep.press("Space")
    await confirm.press("Enter")
    await expect(page.get_by_text("You keep your tickets for the new time.")).to_be_visible()

    await move(62)

    async def is_moved_again() -> bool:
        return not (await guest.booking(hold))["choice"]["is_kept"]

    await until(is_moved_again)
    await page.reload()
    await expect(confirm).to_be_disabled()
    await expect(page.get_by_text("You keep your tickets for the new time.")).to_have_count(0)
    await visitor.page.goto(f"/bookings/{booking['id']}")
    await page.get_by_role("link", name="Choose").click()
    await give_back.check()
    await confirm.click()
    await expect(page.get_by_role("heading", name="Your money has been refunded")).to_be_visible()
    refunded = await guest.settled(hold, "refunded")
    assert refunded["refunded_amount"] == booking["amount"]
    await page.goto(f"/bookings/{booking['id']}/choice")
    await expect(page.get_by_text("This booking has no valid tickets any more")).to_be_visible()


async def test_the_page_speaks_german_and_knows_when_there_is_nothing_to_choose(visit, cinema):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(1)
    hold = await guest.buy(showtime_id, seats, "as-booked@usher.example")
    booking = await guest.settled(hold, "confirmed")
    visitor = await visit("phone", locale="de-DE")
    await visitor.page.goto(await cinema.mailed_link(booking["reference"], "Your tickets: "))
    await expect(visitor.page.get_by_role("region", name="Tickets")).to_be_visible()
    await visitor.page.goto(f"/bookings/{booking['id']}/choice")
    await expect(visitor.page.get_by_role("heading", name="Nichts zu wählen")).to_be_visible()
    await expect(visitor.page.get_by_text("Ihre Tickets sind gültig.")).to_be_visible()
