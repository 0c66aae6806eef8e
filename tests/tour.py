"""Visits every page of the web client, first as a guest, then signed in."""

import re
from collections.abc import AsyncIterator

from playwright.async_api import expect
from visitor import Visitor

OPEN = {
    "films": "/",
    "films-none": "/?q=nothing+of+this+name",
    "films-soon": "/?show=soon",
    "film": "/movies/the-matrix-1999",
    "theaters": "/theaters",
    "theater": "/theaters/kanal-berlin",
    "sign-in": "/sign-in",
    "sign-up": "/sign-up",
    "forgot": "/forgot-password",
    "reset": "/reset-password#token=" + "A" * 43,
    "verify": "/verify-email#token=" + "A" * 43,
    "link-void": "/verify-email",
    "account-guest": "/account",
    "order-gone": "/checkout/00000000-0000-7000-8000-000000000000",
    "booking-missing": "/bookings/00000000-0000-7000-8000-000000000000",
    "find-booking": "/find-booking",
    "booking-link-void": "/bookings/00000000-0000-7000-8000-000000000000#key=too.old.alas",
    "missing": "/no/such/page",
}
OWN = {"bookings": "/bookings", "account": "/account"}


async def pages(visitor: Visitor) -> AsyncIterator[str]:
    """Open each page and yield its name when it is shown. Buys tickets on the way."""
    for name, address in OPEN.items():
        await _show(visitor, address)
        yield name
    async for name in _buying(visitor):
        yield name
    await visitor.sign_in()
    for name, address in OWN.items():
        await _show(visitor, address)
        yield name


async def _buying(visitor: Visitor) -> AsyncIterator[str]:
    page = visitor.page
    showtime_id, seats = await visitor.cinema.seats(12, hall=200)
    await visitor.cinema.guest().hold(showtime_id, seats[6:10])
    await visitor.cinema.guest().buy(showtime_id, seats[:4], "somebody@usher.example")
    await visitor.open_seats(showtime_id)
    await visitor.button("Best 2 seats").click()
    await expect(page.locator('[data-seat][data-state="own"]')).to_have_count(2)
    yield "seats"
    await visitor.button("Zoom in").click()
    await visitor.button("Zoom in").click()
    yield "seats-near"
    await visitor.button("List view").click()
    yield "seats-list"
    await visitor.button("Continue").click()
    await expect(page.get_by_label(re.compile("^Ticket for"))).to_have_count(2)
    yield "checkout"
    await page.get_by_label("E-mail").fill("guest@usher.example")
    await visitor.button(re.compile("Continue to payment")).click()
    card = page.frame_locator('iframe[title="Secure payment input frame"]')
    await expect(card.get_by_label("Card number")).to_be_visible()
    yield "payment"
    await visitor.pay("4000000000000002")
    await expect(page.get_by_role("alert")).to_be_visible()
    yield "payment-declined"
    await visitor.cinema.fault("webhook_hold", page.url.rsplit("/", 1)[1], count=None)
    await visitor.pay()
    await expect(page.get_by_role("heading", name="We are confirming your booking")).to_be_visible()
    yield "booking-confirming"
    await visitor.cinema.stripe("POST", "/_sandbox/webhooks/release")
    await visitor.sees_tickets(2)
    yield "booking"
    await visitor.open_seats(showtime_id)
    await visitor.take(seats[10])
    await visitor.button("Continue").click()
    await expect(page.get_by_label(re.compile("^Ticket for"))).to_have_count(1)
    hold_id = page.url.rsplit("/", 1)[1]
    await visitor.change_elsewhere("DELETE", hold_id)
    await page.reload()
    await expect(visitor.button("Select the same seat again")).to_be_visible()
    yield "order-over"
    await visitor.button("Select the same seat again").click()
    await expect(page).not_to_have_url(re.compile(hold_id))
    # The form shows that the page has fetched the hold. A hold that changes earlier is fetched as changed.
    await expect(page.get_by_label(re.compile("^Ticket for"))).to_have_count(1)
    hold_id = page.url.rsplit("/", 1)[1]
    await visitor.change_elsewhere("PATCH", hold_id, json={"add": [seats[11]]})
    await page.get_by_label("E-mail").fill("guest@usher.example")
    await visitor.button(re.compile("Continue to payment")).click()
    await expect(page.get_by_role("link", name="Choose seats")).to_be_visible()
    yield "booking-seats-changed"


async def _show(visitor: Visitor, address: str) -> None:
    await visitor.page.goto("about:blank")
    await visitor.page.goto(address)
    await expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
    await expect(visitor.page.locator(".skeleton")).to_have_count(0)
    for picture in await visitor.page.locator("img[loading=eager]").all():
        await expect(picture).to_have_js_property("complete", True)
