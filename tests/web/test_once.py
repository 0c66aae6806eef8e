"""One booking and one charge, whatever the visitor does: two tabs, a double click, a reload, the way back."""

import asyncio
import re
from urllib.parse import urlsplit

import pytest
from cinema import Cinema
from playwright.async_api import Route, expect
from visitor import GOOD, Visitor

CONFIRMING = "We are confirming your booking"
WATCH_ALERTS = """() => {
  window.alerts = [];
  const look = () => {
    for (const { textContent } of document.querySelectorAll("[role=alert]")) window.alerts.push(textContent);
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true });
}"""


async def charged(cinema: Cinema, visitor: Visitor) -> list[str]:
    """Return the states of all payments for the booking on the page."""
    booking_id = re.split(r"[/?#]", visitor.page.url.partition("/bookings/")[2])[0]
    intents = await cinema.stripe("GET", "/v1/payment_intents", params={"limit": 100})
    return [each["status"] for each in intents["data"] if each["metadata"].get("booking_id") == booking_id]


async def another_tab(visitor: Visitor) -> Visitor:
    """Open the page again as "duplicate tab" does: with the tab's session storage."""
    async with visitor.page.expect_popup() as opening:
        await visitor.page.evaluate("() => void open(location.href)")
    return Visitor(await opening.value, visitor.cinema)


async def click_both(tabs: list[Visitor], name: str) -> None:
    """Click the same button in both tabs at the same time; the other tab may navigate away meanwhile."""
    buttons = [tab.button(re.compile(name)) for tab in tabs]
    for button in buttons:
        await expect(button).to_be_enabled()
    handles = [await button.element_handle() for button in buttons]
    await asyncio.gather(*(handle.evaluate("button => button.click()") for handle in handles))


@pytest.mark.parametrize("who", ["guest", "customer"])
async def test_two_tabs_of_one_order_pay_it_once_and_both_end_on_the_tickets(visit, cinema, who):
    one = await visit()
    if who == "customer":
        await one.sign_in()
    await one.hold(2)
    await one.button("Continue").click()
    await one.page.wait_for_url("**/checkout/*")
    other = await another_tab(one)
    for tab in (one, other):
        await tab.page.get_by_label("E-mail").fill("guest@usher.example")
    await click_both([one, other], "Continue to payment")
    for tab in (one, other):
        await tab.fill_card(GOOD)
    await click_both([one, other], "^Pay ")
    for tab in (one, other):
        await tab.sees_tickets(2)
    assert await charged(cinema, one) == ["succeeded"]


async def test_a_tab_that_was_left_open_shows_the_tickets_that_the_other_one_paid(visit, cinema, device):
    one = await visit(device)
    await one.hold(1)
    await one.order("guest@usher.example")
    other = await another_tab(one)
    await expect(other.button(re.compile("^Pay "))).to_be_enabled()
    await one.pay()
    await one.sees_tickets(1)
    await other.sees_tickets(1)
    assert await charged(cinema, one) == ["succeeded"]


async def test_a_tab_that_pays_what_another_one_has_paid_is_not_told_of_a_failure(visit, cinema):
    one = await visit()
    await one.hold(1)
    await one.order("guest@usher.example")
    other = await another_tab(one)
    await cinema.fault("webhook_hold", one.page.url.rsplit("/", 1)[1], count=None)
    for tab in (one, other):
        await tab.fill_card(GOOD)
    for tab in (one, other):
        await tab.button(re.compile("^Pay ")).click()
        await expect(tab.page.get_by_role("heading", name=CONFIRMING)).to_be_visible()
        await expect(tab.page.get_by_role("alert")).to_have_count(0)
    await cinema.stripe("POST", "/_sandbox/webhooks/release")
    for tab in (one, other):
        await tab.sees_tickets(1)
    assert await charged(cinema, one) == ["succeeded"]


async def test_a_double_click_on_pay_charges_once(visit, cinema, device):
    visitor = await visit(device)
    await visitor.hold(1)
    await visitor.order("guest@usher.example")
    await visitor.fill_card(GOOD)
    confirmed: list[str] = []
    visitor.page.on("request", lambda sent: confirmed.append(sent.url) if sent.url.endswith("/confirm") else None)
    await visitor.button(re.compile("^Pay ")).dblclick()
    await visitor.sees_tickets(1)
    assert len(confirmed) == 1
    assert await charged(cinema, visitor) == ["succeeded"]


async def test_while_stripe_is_slow_to_tell_a_reload_goes_on_confirming_until_the_tickets_are_there(
    visit, cinema, device
):
    visitor = await visit(device)
    page = visitor.page
    await visitor.hold(2)
    await visitor.order("guest@usher.example")
    await cinema.fault("webhook_hold", page.url.rsplit("/", 1)[1], count=None)
    await visitor.pay()
    await expect(page.get_by_role("heading", name=CONFIRMING)).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name=CONFIRMING)).to_be_visible()
    await expect(page.get_by_role("link", name="Continue")).to_have_count(0)
    await cinema.stripe("POST", "/_sandbox/webhooks/release")
    await visitor.sees_tickets(2)


async def test_the_way_back_to_a_payment_that_was_made_leads_to_the_tickets_not_to_the_card(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    await visitor.hold(1)
    await visitor.order("guest@usher.example")
    checkout = page.url
    # Stripe sends no webhook: the returning visitor makes Usher ask Stripe.
    await cinema.fault("webhook_drop", checkout.rsplit("/", 1)[1], count=None)
    await visitor.pay()
    await expect(page.get_by_role("heading", name=CONFIRMING)).to_be_visible()
    await page.go_back()
    await expect(page).to_have_url(re.compile("/showtimes/"))
    await page.evaluate(WATCH_ALERTS)
    await visitor.button("Back to payment").click()
    await visitor.sees_tickets(1)
    assert await page.evaluate("() => window.alerts") == []
    await expect(page).not_to_have_url(checkout)
    await page.goto(checkout)
    await visitor.sees_tickets(1)
    await expect(visitor.button(re.compile("^Pay "))).to_have_count(0)
    assert await charged(cinema, visitor) == ["succeeded"]


async def test_answers_that_get_lost_on_the_way_make_nothing_twice(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    keys: dict[str, list[str]] = {}

    async def lose_the_first(route: Route) -> None:
        sent = keys.setdefault(urlsplit(route.request.url).path, [])
        sent.append(route.request.headers["idempotency-key"])
        if len(sent) > 1:
            await route.fallback()
        else:
            await route.fetch()
            await route.abort()

    await page.route(re.compile(r"/api/(showtimes/[^/]+/holds|bookings|payments/create-intent)$"), lose_the_first)
    await visitor.hold(2)
    await visitor.order("guest@usher.example")
    await visitor.pay()
    await visitor.sees_tickets(2)
    assert len(keys) == 3
    assert all(len(sent) == 2 and len(set(sent)) == 1 for sent in keys.values())
    assert await charged(cinema, visitor) == ["succeeded"]
