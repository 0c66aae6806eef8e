"""Promotion codes in the checkout: by keyboard and by touch, in English and in German."""

import re
from typing import Any

from cinema import Cinema
from playwright.async_api import Page, expect
from visitor import Visitor


async def added(cinema: Cinema, code: str, **terms: Any) -> None:
    """Add a promotion."""
    admin = await cinema.person("admin")
    facts = {"name": "Half price", "code": code, "discount": {"kind": "percentage", "percent": 50}}
    await admin.call("POST", "/api/promotions", json=facts | terms)


async def order_of(visitor: Visitor, count: int = 2) -> int:
    """Hold seats and open the order. Returns its price in minor units."""
    await visitor.hold(count)
    async with visitor.page.expect_response("**/api/bookings/quote") as quoted:
        await visitor.page.get_by_role("button", name=re.compile("Continue|Weiter")).click()
    return (await (await quoted.value).json())["amount"]


def digits(amount: int, point: str = ".") -> re.Pattern[str]:
    """The amount in any currency of two digits."""
    return re.compile(rf"(?<!\d){amount // 100}{re.escape(point)}{amount % 100:02}(?!\d)")


async def test_a_code_lowers_the_sum_step_by_step_and_the_payment(visit, cinema):
    await added(cinema, "WEBHALF")
    visitor: Visitor = await visit("desk")
    page: Page = visitor.page
    price = await order_of(visitor)
    half = price - (price + 1) // 2
    tickets, field = visitor.part("Tickets"), page.get_by_label("Promotion code")
    await field.fill("no such code")
    await field.press("Enter")
    await expect(tickets.get_by_text("We don't know the code NOSUCHCODE.")).to_be_visible()
    await expect(page.get_by_role("heading", name="Your order")).to_be_visible()
    await field.fill(" web half")
    await field.press("Enter")
    await expect(tickets.get_by_text("Half price (WEBHALF)")).to_be_visible()
    await expect(tickets).to_contain_text(digits(price))
    await expect(visitor.button(digits(half))).to_be_enabled()
    await expect(tickets.get_by_text("We don't know the code")).to_have_count(0)
    await page.reload()
    await expect(tickets.get_by_text("Half price (WEBHALF)")).to_be_visible()
    await visitor.button("Remove WEBHALF").press("Enter")
    await expect(visitor.button(digits(price))).to_be_enabled()
    await expect(field).to_be_focused()
    await field.fill("WEBHALF")
    await field.press("Tab")
    await expect(visitor.button("Apply")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(visitor.button(digits(half))).to_be_enabled()
    await page.get_by_label("E-mail").fill("guest@usher.example")
    await visitor.button(re.compile("Continue to payment")).click()
    await expect(visitor.button(re.compile("^Pay "))).to_contain_text(digits(half))
    await visitor.pay()
    await visitor.sees_tickets(2)
    await expect(page.get_by_role("main")).to_contain_text(digits(half))


async def test_a_refused_code_says_when_it_would_work_and_a_free_order_needs_no_card(visit, cinema):
    await added(cinema, "WEBEARLY", conditions={"starts_before": "05:01"})
    await added(cinema, "WEBFREE", name="Geschenkt", discount={"kind": "percentage", "percent": 100})
    visitor: Visitor = await visit("phone", locale="de-DE")
    page: Page = visitor.page
    showtime_id, seats = await cinema.seats(1)
    await page.goto(f"/showtimes/{showtime_id}")
    await page.get_by_label("Plätze", exact=True).select_option("1")
    await visitor.pick(seats[0])
    await page.get_by_role("button", name="Weiter").click()
    tickets, field = visitor.part("Tickets"), page.get_by_label("Aktionscode")
    await field.fill("webearly")
    await visitor.button("Anwenden").click()
    await expect(tickets.get_by_text("gilt für Vorstellungen, die vor 05:01 Uhr beginnen.")).to_be_visible()
    await field.fill("webfree")
    await visitor.button("Anwenden").click()
    await expect(tickets.get_by_text("Geschenkt (WEBFREE)")).to_be_visible()
    assert await page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "no sideways scrolling"
    await page.get_by_label("E-Mail").fill("guest@usher.example")
    await visitor.button("Tickets bestellen").click()
    await expect(page.get_by_role("heading", name="Viel Vergnügen!")).to_be_visible()
