"""A waitlisted party gets its seats, in a real browser against the real platform."""

import re

from chassis.testing import until
from cinema import Cinema
from customer import Customer
from playwright.async_api import expect
from visitor import GOOD


async def _fill(cinema: Cinema) -> tuple[Customer, str, str, list[str]]:
    """Take all seats of a showtime off sale. Returns the member of staff, the showtime, and a block of two seats."""
    showtime_id, (first, second) = await cinema.seats(2)
    staff = await cinema.person("admin")
    seats = (await staff.call("GET", f"/api/showtimes/{showtime_id}/seats"))["layout"]["seats"]
    rest = [seat["seat_id"] for seat in seats if seat["seat_id"] not in {first, second}]
    blocks = f"/api/showtimes/{showtime_id}/blocks"
    await staff.call("POST", blocks, json={"seats": rest, "reason": "sold out"})
    pair = await staff.call("POST", blocks, json={"seats": [first, second], "reason": "sold out"})
    return staff, showtime_id, pair["block_id"], [first, second]


async def _link(cinema: Cinema, email: str, subject: str) -> str:
    async def there() -> list[str]:
        mails = (await cinema.http.get(f"{cinema.platform.env['MAILBOX_URL']}/email")).json()
        own = [mail for mail in mails if mail["to"][0]["address"] == email and mail["subject"].startswith(subject)]
        return [link for mail in own for link in re.findall(r"/showtimes/[\w-]+/waitlist#key=[\w-]+", mail["text"])]

    return (await until(there))[0]


async def test_a_waitlisted_party_gets_its_seats(visit, cinema, device):
    staff, showtime_id, block_id, seats = await _fill(cinema)
    email = f"waits-{device}@usher.example"
    visitor = await visit(device)
    page = visitor.page
    await visitor.open_seats(showtime_id)
    await page.get_by_role("link", name="Join the waitlist").click()
    await expect(page.get_by_role("heading", name="Waitlist", level=1)).to_be_visible()
    await expect(page.get_by_label("At least")).to_have_value("2")
    await page.get_by_label("E-mail").fill(email)
    await visitor.button("Join the waitlist").click()
    await expect(page.get_by_text("Your place on the waitlist: 1")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("Your place on the waitlist: 1")).to_be_visible()
    assert await _link(cinema, email, "On the waitlist")

    await staff.call("DELETE", f"/api/showtimes/{showtime_id}/blocks/{block_id}")
    link = await _link(cinema, email, "Seats for you")
    other = await visit(device)
    await other.page.goto(link)
    await expect(other.page.get_by_role("heading", name="We are holding seats for you")).to_be_visible()
    await other.page.get_by_role("link", name="Buy these seats").click()
    await other.page.get_by_label("E-mail").fill(email)
    await other.button(re.compile("Continue to payment")).click()
    await other.pay(GOOD)
    await other.sees_tickets(2)
    taken = await cinema.taken(showtime_id)
    assert {seat: taken[seat] for seat in seats} == dict.fromkeys(seats, "sold")


async def test_who_leaves_the_waitlist_sees_the_form_again(visit, cinema):
    _, showtime_id, _, _ = await _fill(cinema)
    visitor = await visit()
    page = visitor.page
    await page.goto(f"/showtimes/{showtime_id}/waitlist?party=1")
    await page.get_by_label("At most").select_option("3")
    await page.get_by_label("E-mail").fill("leaves@usher.example")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("1 to 3 seats")).to_be_visible()
    await visitor.button("Leave the waitlist").click()
    await expect(visitor.button("Join the waitlist")).to_be_visible()
