"""From the film to the ticket, in a real browser against the real platform."""

import re

from playwright.async_api import Page, expect
from visitor import ASKED, DECLINED, GOOD

MOST_SHIFT = 0.05
WATCH_SHIFTS = """() => {
  window.shifted = { sum: 0, sources: [] };
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      if (hadRecentInput) continue;
      window.shifted.sum += value;
      for (const { node, previousRect: from, currentRect: to } of sources)
        window.shifted.sources.push([node?.outerHTML?.slice(0, 120), from.x, from.y, to.x, to.y].join(" "));
    }
  }).observe({ type: "layout-shift", buffered: true });
}"""
# The layout shift since the last look, with what moved.
SHIFTED = "() => { const all = window.shifted; window.shifted = { sum: 0, sources: [] }; return all; }"


async def test_a_signed_in_person_browses_holds_pays_and_has_the_tickets(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    await visitor.sign_in()
    await page.goto("/")
    await page.get_by_role("searchbox").fill("alien")
    await page.get_by_role("link", name=re.compile("Alien")).click()
    await expect(page.get_by_role("heading", name="Alien", level=1)).to_be_visible()
    await page.locator('a[href^="/showtimes/"]').first.click()
    await expect(page.locator('[data-connection="live"]')).to_be_visible()
    await visitor.button("Best 2 seats").click()
    await expect(page.locator('[data-state="own"]')).to_have_count(2 + 1)  # and the legend's
    await visitor.order()
    await visitor.pay()
    await visitor.sees_tickets(2)
    await page.reload()
    await visitor.sees_tickets(2)
    await page.get_by_role("link", name="My bookings").click()
    await expect(page.get_by_text("Confirmed").first).to_be_visible()


async def test_a_guest_buys_and_a_reload_still_shows_the_tickets(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    await page.add_init_script(f"({WATCH_SHIFTS})()")
    showtime_id, seats = await visitor.hold(2)
    shifts = {"seats": await page.evaluate(SHIFTED)}
    await visitor.button("Continue").click()
    await expect(page.get_by_label(re.compile("^Ticket for"))).to_have_count(2)
    shifts["order"] = await page.evaluate(SHIFTED)
    await page.get_by_label("E-mail").fill("guest@usher.example")
    await visitor.button(re.compile("Continue to payment")).click()
    await visitor.fill_card(GOOD)
    shifts["payment"] = await page.evaluate(SHIFTED)
    await visitor.button(re.compile("^Pay ")).click()
    await visitor.sees_tickets(2)
    shifts["tickets"] = await page.evaluate(SHIFTED)
    await page.reload()
    await visitor.sees_tickets(2)
    shifts["tickets again"] = await page.evaluate(SHIFTED)
    assert {name: shift for name, shift in shifts.items() if shift["sum"] >= MOST_SHIFT} == {}
    await _opens_without_a_network(page)
    taken = await cinema.taken(showtime_id)
    assert {seat: taken[seat] for seat in seats} == dict.fromkeys(seats, "sold")


async def test_the_price_is_the_same_from_the_order_to_the_ticket(visit, cinema, device):
    visitor = await visit(device)
    page = visitor.page
    showtime_id, free = await cinema.seats(20)
    guest = cinema.guest()
    placed = (await guest.call("GET", f"/api/showtimes/{showtime_id}/seats"))["layout"]["seats"]
    category = {seat["seat_id"]: seat["category"] for seat in placed}
    seats = [seat for seat in free if category[seat] == category[free[0]]][:2]
    prices = (await guest.call("GET", f"/api/showtimes/{showtime_id}"))["prices"]
    amount = {each["ticket_type"]: each["amount"] for each in prices if each["category"] == category[free[0]]}
    await visitor.open_seats(showtime_id)
    await visitor.take(*seats)
    await visitor.button("Continue").click()
    await expect(visitor.button(re.compile(_euros(2 * amount["adult"])))).to_be_enabled()
    await page.get_by_label(re.compile("^Ticket for")).first.select_option("child")
    total = _euros(amount["child"] + amount["adult"])
    await expect(visitor.part("Tickets")).to_contain_text(re.compile(f"Total.*{total}"))
    await page.get_by_label("E-mail").fill("guest@usher.example")
    await visitor.button(re.compile(f"Continue to payment.*{total}$")).click()
    await expect(visitor.button(re.compile(f"^Pay {total}$"))).to_be_enabled()
    await visitor.pay()
    await visitor.sees_tickets(2)
    await expect(page.get_by_role("main")).to_contain_text(re.compile(total))


async def test_theme_and_language_change_on_the_way_and_nothing_typed_is_lost(visit):
    visitor = await visit("phone", color_scheme="light")
    page = visitor.page
    _, seats = await visitor.hold(2)
    await visitor.button("Continue").click()
    await page.get_by_label("E-mail").fill("guest@gmial.com")
    await page.get_by_label("E-mail").blur()
    await visitor.button("guest@gmail.com").click()
    await expect(page.get_by_label("E-mail")).to_have_value("guest@gmail.com")
    await page.get_by_label("E-mail").fill("guest@usher.example")
    await visitor.change_elsewhere("PATCH", page.url.rsplit("/", 1)[1], json={"drop": seats[1:]})
    await page.evaluate("() => window.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.get_by_text(f"{seats[1]} is no longer part of your order.")).to_be_visible()
    await page.get_by_label("Language").select_option("de")
    await expect(page.get_by_role("heading", name="Ihre Bestellung")).to_be_visible()
    await expect(page.get_by_label("E-Mail")).to_have_value("guest@usher.example")
    await expect(page.get_by_role("timer")).to_be_in_viewport(ratio=1)
    await visitor.button(re.compile("Weiter zur Zahlung")).click()
    await expect(page.get_by_text("jetzt für die Zahlung reserviert")).to_be_visible()
    await expect(page.get_by_text("Ihre Tickets gehen an guest@usher.example.")).to_be_visible()
    card = page.frame_locator('iframe[title="Secure payment input frame"]')
    await card.get_by_label("Kartennummer").fill(GOOD)
    await card.get_by_label("Gültig bis").fill("12/34")
    await card.get_by_label("Prüfnummer").fill("123")
    await page.get_by_label("Sprache").select_option("en")
    await expect(page.get_by_role("heading", name="Payment")).to_be_visible()
    await visitor.button("Theme: system").click()
    await visitor.button("Theme: light").click()
    await expect(page.get_by_role("timer")).to_be_in_viewport(ratio=1)
    await expect(card.get_by_label("Card number")).to_have_value(re.compile("^4242"))
    label = card.get_by_text("Card number", exact=True)
    await expect(label).to_have_css("color", "rgb(243, 244, 246)")
    await visitor.button("Theme: dark").click()
    await expect(label).to_have_css("color", "rgb(48, 49, 61)")
    await visitor.button(re.compile("^Pay ")).click()
    await visitor.sees_tickets(1)


async def test_a_declined_card_is_told_in_place_and_the_next_one_pays(visit, device):
    visitor = await visit(device)
    await visitor.hold(1)
    await visitor.order("guest@usher.example")
    await visitor.pay(DECLINED)
    await expect(visitor.page.get_by_role("alert")).to_contain_text("Your seats are still held.")
    await visitor.pay()
    await visitor.sees_tickets(1)


async def test_the_bank_asks_and_is_refused_and_then_approved(visit, device):
    visitor = await visit(device)
    await visitor.hold(1)
    await visitor.order("guest@usher.example")
    await visitor.pay(ASKED)
    await visitor.answer_bank("Fail authentication")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("Your seats are still held.")
    await visitor.button(re.compile("^Pay ")).click()
    await visitor.answer_bank("Complete authentication")
    await visitor.sees_tickets(1)


async def test_a_reload_in_the_middle_goes_on_where_it_was(visit, device):
    visitor = await visit(device)
    page = visitor.page
    _, seats = await visitor.hold(2)
    await page.reload()
    await expect(page.get_by_role("timer")).to_be_visible()
    for seat in seats:
        await expect(visitor.seat(seat)).to_have_attribute("data-state", "own")
    await visitor.button("Continue").click()
    await page.wait_for_url("**/checkout/*")
    await page.get_by_label(re.compile("^Ticket for")).first.select_option("child")
    await page.reload()
    await expect(page.get_by_label(re.compile("^Ticket for")).first).to_have_value("child")
    await page.get_by_label("E-mail").fill("guest@usher.example")
    await visitor.button(re.compile("Continue to payment")).click()
    await expect(page.get_by_role("heading", name="Payment")).to_be_visible()
    await page.reload()
    await visitor.pay()
    await visitor.sees_tickets(2)
    await page.go_back()
    await expect(page).not_to_have_url(re.compile("/checkout/"))


async def test_a_double_click_makes_one_booking_and_one_charge(visit, cinema):
    visitor = await visit()
    page = visitor.page
    await visitor.hold(1)
    await visitor.button("Continue").dblclick()
    await page.wait_for_url("**/checkout/*")
    await page.get_by_label("E-mail").fill("guest@usher.example")
    await visitor.button(re.compile("Continue to payment")).dblclick()
    booking_id = page.url.rsplit("/", 1)[1]
    await visitor.pay()
    await visitor.sees_tickets(1)
    intents = await cinema.stripe("GET", "/v1/payment_intents", params={"limit": 100})
    paid = [intent["status"] for intent in intents["data"] if intent["metadata"].get("booking_id") == booking_id]
    assert paid == ["succeeded"]


async def test_an_unpaid_booking_is_cancelled_and_its_seat_is_free(visit):
    visitor = await visit()
    showtime_id, seats = await visitor.hold(1)
    await visitor.order("guest@usher.example")
    await visitor.button("Cancel booking").click()
    await expect(visitor.page.get_by_role("heading", name="This booking was cancelled")).to_be_visible()
    await visitor.open_seats(showtime_id)
    await expect(visitor.seat(seats[0])).to_have_attribute("data-state", "free")


async def _opens_without_a_network(page: Page) -> None:
    """Check that a new tab of a guest has the tickets that the first one kept, also offline, until they are erased."""
    await page.evaluate("() => navigator.serviceWorker.ready")
    other = await page.context.new_page()
    await other.goto("/find-booking")
    await other.get_by_role("link", name=re.compile("saved")).click()
    codes = other.get_by_role("img", name=re.compile("^QR code of the ticket"))
    await expect(codes).to_have_count(2)
    await page.context.set_offline(True)
    await other.reload()
    await expect(other.get_by_text("These tickets were saved on this device")).to_be_visible()
    await expect(codes).to_have_count(2)
    await page.context.set_offline(False)
    await other.goto("/find-booking")
    await other.get_by_role("button", name="Erase from this device").click()
    await expect(other.get_by_role("heading", name="Your tickets on this device")).to_have_count(0)
    await other.close()


def _euros(amount: int) -> str:
    """Return a regular expression for an amount on the page in any currency."""
    return rf"\D{amount // 100}\.{amount % 100:02}"
