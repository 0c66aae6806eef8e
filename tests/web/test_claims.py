"""Orders for seats that change, expire or are renewed while the visitor fills in the form."""

import re

from playwright.async_api import Page, expect
from visitor import Visitor

OVER = "Your time has run out"
RECORD = """() => {
  const send = window.fetch;
  window.fetch = async (request, ...rest) => {
    if (request.url?.endsWith("/api/bookings")) window.claim = (await request.clone().json()).claim;
    return send(request, ...rest);
  };
}"""
# The next request with this signed text gets a wrong signature.
SPOIL_NEXT = """(field) => {
  const send = window.fetch;
  window.fetch = async (request, ...rest) => {
    const body = request instanceof Request && JSON.parse((await request.clone().text()) || "{}");
    if (!body[field]) return send(request, ...rest);
    window.fetch = send;
    body[field] = `${body[field].slice(0, -4)}AAAA`;
    return send(new Request(request, { body: JSON.stringify(body) }));
  };
}"""


async def to_the_order(visitor: Visitor, seats: list[str]) -> str:
    """Go from held seats to a filled-in order form. Returns the hold's id."""
    page = visitor.page
    await visitor.button("Continue").click()
    await page.wait_for_url("**/checkout/*")
    await expect(page.get_by_label(re.compile("^Ticket for"))).to_have_count(len(seats))
    await page.get_by_label("E-mail").fill("guest@usher.example")
    return page.url.rsplit("/", 1)[1]


async def place_order(page: Page) -> str:
    """Submit the order form. Returns the claim that was sent."""
    await page.evaluate(RECORD)
    await page.get_by_role("button", name=re.compile("Continue to payment")).click()
    claim = await page.wait_for_function("() => window.claim")
    return await claim.json_value()


async def look_back(page: Page) -> None:
    """Return to this tab from another one."""
    await page.evaluate("() => window.dispatchEvent(new Event('visibilitychange'))")


async def test_an_order_for_seats_that_have_changed_leads_back_to_the_seats(visit, device):
    visitor = await visit(device)
    page = visitor.page
    showtime_id, seats = await visitor.hold(2)
    hold_id = await to_the_order(visitor, seats)
    await visitor.change_elsewhere("PATCH", hold_id, json={"drop": seats[1:]})
    await place_order(page)
    await expect(page.get_by_role("heading", name="We could not hold your seats")).to_be_visible()
    await expect(page.get_by_text("You have not been charged.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name="We could not hold your seats")).to_be_visible()
    await page.get_by_role("link", name="Choose seats").click()
    await expect(page).to_have_url(re.compile(f"/showtimes/{showtime_id}$"))
    await visitor.take(*seats)
    await visitor.order("guest@usher.example")
    await visitor.pay()
    await visitor.sees_tickets(2)


async def test_the_form_shows_what_another_tab_has_changed_and_orders_that(visit, device):
    visitor = await visit(device)
    page = visitor.page
    _, seats = await visitor.hold(2)
    hold_id = await to_the_order(visitor, seats)
    changed = await visitor.change_elsewhere("PATCH", hold_id, json={"drop": seats[1:]})
    await look_back(page)
    await expect(page.get_by_label(re.compile("^Ticket for"))).to_have_count(1)
    await expect(page.get_by_label("E-mail")).to_have_value("guest@usher.example")
    assert await place_order(page) == changed["claim"]
    await visitor.pay()
    await visitor.sees_tickets(1)


async def test_the_form_orders_with_the_claim_of_the_renewed_hold(visit_impatient):
    visitor = await visit_impatient()
    page = visitor.page
    _, seats = await visitor.hold(1)
    await visitor.button("No, thanks").click()
    await visitor.button("Continue").click()
    await page.wait_for_url("**/checkout/*")
    async with page.expect_response(re.compile("/renew$")) as renewing:
        await visitor.button("Keep my seats").click()
    await page.get_by_label("E-mail").fill("guest@usher.example")
    assert await place_order(page) == (await (await renewing.value).json())["claim"]
    await expect(page.get_by_text(f"· {seats[0]}")).to_be_visible()


async def test_after_the_seats_ran_out_a_reload_still_offers_them_again(visit_impatient, device):
    visitor = await visit_impatient(device)
    page = visitor.page
    _, seats = await visitor.hold(2)
    await visitor.button("Keep my seats").click()
    await visitor.button("Continue").click()
    await page.wait_for_url("**/checkout/*")
    first = page.url
    await expect(page.get_by_role("heading", name=OVER)).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name=OVER)).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text(seats[0])
    await visitor.button("Select the same seats again").click()
    await expect(page).not_to_have_url(first)
    await expect(page.get_by_label(re.compile("^Ticket for"))).to_have_count(2)


async def test_an_order_whose_claim_is_refused_goes_through_the_next_time(visit):
    visitor = await visit()
    page = visitor.page
    _, seats = await visitor.hold(1)
    await to_the_order(visitor, seats)
    await page.evaluate(SPOIL_NEXT, "claim")
    await place_order(page)
    await expect(page.get_by_role("alert")).to_contain_text("This order was out of date.")
    await place_order(page)
    await visitor.pay()
    await visitor.sees_tickets(1)


async def test_a_payment_whose_order_is_refused_is_prepared_again(visit):
    visitor = await visit()
    page = visitor.page
    _, seats = await visitor.hold(1)
    await to_the_order(visitor, seats)
    await page.evaluate(SPOIL_NEXT, "order")
    await visitor.button(re.compile("Continue to payment")).click()
    await expect(page.get_by_role("alert")).to_contain_text("This order was out of date.")
    await visitor.button("Try again").click()
    await visitor.pay()
    await visitor.sees_tickets(1)
