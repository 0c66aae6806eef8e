"""Gift cards in the browser: bought and mailed, checked, and used with a card that the bank asks about."""

import re

from chassis.ids import new_id
from playwright.async_api import expect
from visitor import ASKED

from .test_owners import fits_everywhere

MINIMA = {"EUR": "5", "GBP": "3"}


async def test_a_bought_gift_card_and_a_card_with_3d_secure_pay_together(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    showtime_id, _ = await visitor.hold(1)
    currency = (await cinema.guest().call("GET", f"/api/showtimes/{showtime_id}"))["currency"]
    await visitor.button("Continue").click()
    await page.wait_for_url("**/checkout/*")
    checkout = page.url

    friend = f"friend-{new_id()}@usher.example"
    await page.goto("/gift-cards")
    await page.get_by_label(re.compile("^Currency")).select_option(currency)
    await page.get_by_label(f"Amount in {currency}").fill(MINIMA[currency])
    await page.get_by_label("Recipient's e-mail address").fill(friend)
    await page.get_by_label("From (optional)").fill("Ada")
    buy = visitor.button("Continue to payment")
    await fits_everywhere(page, buy)
    await buy.press("Enter")
    await page.wait_for_url(re.compile("/gift-cards/[^/]+$"))
    await visitor.pay()
    await expect(page.get_by_text("Thank you.")).to_be_visible()
    code = await cinema.mailed_code(friend)
    await page.reload()
    await expect(visitor.button("Return this gift card")).to_be_visible()

    await page.goto(f"/gift-cards/balance#code={code}")
    await expect(page.get_by_text(re.compile(rf"…{code[-4:]} has [€£]{MINIMA[currency]}\.00 left"))).to_be_visible()

    await page.goto(checkout)
    entry = page.get_by_label("Code of a gift card")
    await entry.fill("0000-0000-0000-0000-0000")
    await entry.press("Enter")
    await expect(page.get_by_text("There is no gift card with this code.")).to_be_visible()
    await entry.fill(code.lower())
    await entry.press("Enter")
    steps = page.get_by_role("listitem")
    await expect(steps.filter(has_text=f"Gift card …{code[-4:]}")).to_contain_text(f"{MINIMA[currency]}.00")
    await page.get_by_label("E-mail").fill("guest@usher.example")
    await fits_everywhere(page, visitor.button(re.compile("Continue to payment")))
    await visitor.button(re.compile("Continue to payment")).click()
    await expect(steps.filter(has_text="To pay by card")).to_be_visible()
    await page.reload()  # the same tenders go on
    await visitor.pay(ASKED)
    await visitor.answer_bank("Complete authentication")
    await visitor.sees_tickets(1)
