"""Exchanging on the booking page: the seat map again, the sum step by step, a refund and a payment."""

import re

from playwright.async_api import expect

from .test_owners import fits_everywhere


async def test_a_guest_exchanges_a_ticket_down_and_up(visit, cinema):
    visitor = await visit("phone")
    page = visitor.page
    showtime_id, seats = await cinema.seats(3)
    await visitor.open_seats(showtime_id)
    await visitor.take(seats[0])
    await visitor.order("swap@usher.example")
    await visitor.pay()
    await visitor.sees_tickets(1)

    await visitor.button("Exchange tickets").press("Enter")
    await expect(page.get_by_role("heading", name="Which tickets do you want to exchange?")).to_be_focused()
    places = page.get_by_role("navigation", name="Where to look for new seats").get_by_role("link")
    await expect(places).to_have_text(["Other seats", "Another time", "Another film"])
    await fits_everywhere(page, places.first, visitor.button("Keep the tickets"))
    await places.first.press("Enter")
    notice = page.get_by_text(re.compile("^You are exchanging: "))
    await page.get_by_role("link", name="Keep my tickets").click()
    await visitor.sees_tickets(1)
    await visitor.button("Exchange tickets").click()
    await places.first.click()
    await expect(notice).to_be_visible()
    await expect(visitor.seat(seats[0])).to_have_attribute("data-old", "true")
    await expect(visitor.seat(seats[0])).to_have_attribute("aria-label", re.compile("your present seat$"))
    await expect(visitor.seat(seats[1])).to_have_attribute("data-old", "false")
    await visitor.take(seats[1])
    await visitor.button("Continue").click()
    await expect(page.get_by_role("heading", name="Your exchange")).to_be_focused()
    await expect(visitor.button("Exchange now")).to_be_enabled()  # the same price
    await page.get_by_label(re.compile("^Ticket for ")).select_option("child")
    back = visitor.button(re.compile(r"^Exchange and get [€£][\d.]+ back"))
    await expect(back).to_be_enabled()
    await expect(page.locator("dl div").filter(has_text="Your old tickets")).to_contain_text(re.compile(r"[-−][€£]"))
    await fits_everywhere(page, back)
    await back.press("Enter")
    await visitor.sees_tickets(1)
    cheaper = page.url

    await visitor.button("Exchange tickets").click()
    await places.first.click()
    await visitor.take(seats[2])
    await visitor.button("Continue").click()
    due = visitor.button(re.compile(r"^Continue to payment: [€£][\d.]+"))
    await expect(due).to_be_enabled()
    amount = re.search(r"[€£][\d.]+", await due.inner_text())
    assert amount
    await due.click()
    await expect(page.get_by_text("Your old tickets stay valid until this is paid.")).to_be_visible()
    await expect(visitor.button(f"Pay {amount[0]}")).to_be_enabled()
    await visitor.pay()
    await visitor.sees_tickets(1)

    await page.goto(cheaper)
    await expect(page.get_by_role("heading", name="This booking was exchanged")).to_be_visible()
    await page.get_by_role("link", name="Go to the new tickets").click()
    await visitor.sees_tickets(1)
