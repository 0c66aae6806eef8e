"""With the keyboard alone: the whole purchase, the skip link, the dialogs."""

import re

from playwright.async_api import Locator, Page, expect
from visitor import GOOD

MOST_STOPS = 80
IS_FOCUSED = "element => element === document.activeElement && document.hasFocus()"


async def tab_to(page: Page, goal: Locator) -> None:
    """Press Tab until this element has the focus."""
    await expect(goal).to_be_visible()
    for _ in range(MOST_STOPS):
        await page.keyboard.press("Tab")
        if await goal.evaluate(IS_FOCUSED):
            return
    raise AssertionError(f"{goal} is not in the tab order")


async def test_a_purchase_from_the_seat_to_the_ticket(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    showtime_id, _ = await cinema.seats(1)
    await visitor.open_seats(showtime_id)
    await tab_to(page, page.locator('[data-seat][tabindex="0"]'))
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Space")
    await expect(page.locator('[data-seat][data-state="own"]')).to_have_count(2)
    await tab_to(page, visitor.button("Continue"))
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/checkout/*")
    ticket = page.get_by_label(re.compile("^Ticket for")).first
    await tab_to(page, ticket)
    await page.keyboard.type("Child")
    await expect(ticket).to_have_value("child")
    await tab_to(page, page.get_by_label("E-mail"))
    await page.keyboard.type("guest@usher.example")
    go_on = visitor.button(re.compile("Continue to payment"))
    await expect(go_on).to_be_enabled()
    await tab_to(page, go_on)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Payment", exact=True)).to_be_focused()
    card = page.frame_locator('iframe[title="Secure payment input frame"]')
    await tab_to(page, card.get_by_label("Card number"))
    await page.keyboard.type(GOOD)
    await tab_to(page, card.get_by_label("Expiry"))
    await page.keyboard.type("1234")
    await tab_to(page, card.get_by_label("CVC"))
    await page.keyboard.type("123")
    await tab_to(page, visitor.button(re.compile("^Pay ")))
    await page.keyboard.press("Enter")
    await visitor.sees_tickets(2)
    await tab_to(page, visitor.button("Print"))


async def test_the_list_of_seats_does_as_well_as_the_map(visit, cinema):
    visitor = await visit()
    page = visitor.page
    showtime_id, _ = await cinema.seats(1)
    await visitor.open_seats(showtime_id)
    await visitor.party(1)
    await tab_to(page, visitor.button("List view"))
    await page.keyboard.press("Enter")
    rows = page.locator("summary")
    await tab_to(page, rows.nth(1))
    await page.keyboard.press("Enter")
    seats = page.get_by_role("checkbox", name=re.compile("available$"))
    await tab_to(page, seats.first)
    await page.keyboard.press("ArrowRight")
    seat = seats.nth(1)
    await expect(seat).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(rows.nth(2)).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await expect(seat).to_be_focused()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("timer")).to_be_visible()
    await expect(seat).to_be_focused()
    await expect(seat).to_be_checked()
    await page.keyboard.press("Space")
    await expect(page.get_by_role("timer")).to_have_count(0)
    await expect(seat).not_to_be_checked()


async def test_the_first_stop_leads_past_the_head(visit):
    visitor = await visit()
    page = visitor.page
    await page.goto("/theaters")
    # The page comes with its content; the client, which has this button, replaces it once.
    await expect(visitor.button(re.compile("^Theme"))).to_be_visible()
    await expect(page.get_by_role("main").get_by_role("link").first).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.locator("main :focus")).to_have_count(1)
    link = page.get_by_role("main").get_by_role("link").first
    if not await link.evaluate(IS_FOCUSED):
        await tab_to(page, link)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/theaters/."))
    await expect(page.get_by_role("main")).to_be_focused()


async def seconds_left(page: Page, seconds: int) -> None:
    """Make this page show this remaining time of the hold permanently."""
    minutes, rest = re.findall(r"\d+", await page.get_by_role("timer").inner_text())
    now = await page.evaluate("() => Date.now() / 1000")
    await page.clock.set_fixed_time(now + int(minutes) * 60 + int(rest) - seconds)


async def test_a_dialog_takes_the_focus_keeps_it_and_gives_it_back(visit, cinema):
    visitor = await visit()
    page = visitor.page
    showtime_id, _ = await cinema.seats(1)
    await visitor.open_seats(showtime_id)
    # A request to inventory would give the page the true time.
    await page.route(re.compile("/seats$"), lambda route: route.abort())
    seat = page.locator('[data-seat][tabindex="0"]')
    await tab_to(page, seat)
    await page.keyboard.press("Space")
    await expect(seat).to_have_attribute("data-state", "own")
    await seconds_left(page, 40)
    await expect(page.get_by_role("dialog", name="Need more time?")).to_be_visible()
    await expect(visitor.button("Keep my seats")).to_be_focused()
    for _ in range(6):
        await page.keyboard.press("Tab")
        assert await page.evaluate("() => !document.activeElement.matches('main :not(dialog, dialog *)')")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(seat).to_be_focused()
    await seconds_left(page, -1)
    await expect(page.get_by_role("dialog", name="Your time has run out")).to_be_visible()
    await expect(visitor.button(re.compile("^Select the same seats again"))).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(seat).to_be_focused()
    await expect(seat).to_have_attribute("data-state", "free")


async def test_the_question_during_the_order_lets_one_go_on_typing(visit, device):
    visitor = await visit(device)
    page = visitor.page
    await visitor.hold(1)
    await visitor.button("Continue").click()
    email = page.get_by_label("E-mail")
    await email.click()
    await page.keyboard.type("guest@")
    await seconds_left(page, 40)
    await expect(visitor.button("Keep my seats")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(email).to_be_focused()
    await page.keyboard.type("usher.example")
    await expect(email).to_have_value("guest@usher.example")
