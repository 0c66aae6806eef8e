"""A page survives data that it does not know: a new time zone, a wrong language tag, a part with a fault.

Names from right to left do not change the order of what stands beside them.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

UNKNOWN = {
    "time_zone": "Mars/Olympus_Mons",
    "language": "en-12",
    "original_language": "en-12",
    "subtitles": "en-12",
    "currency": "€",
    "availability": "crowded",
    "runtime_minutes": None,
    "certificate": "",
    "features": ["zero gravity", "נגיש"],
    "last_seen_at": "yesterday",
    "is_current": False,
}
HEBREW = "אין מילים"
NAMED = (
    "title",
    "movie_title",
    "original_title",
    "theater_name",
    "auditorium_name",
    "name",
    "city",
    "street",
    "byline",
)
# The Hebrew texts that are neither isolated nor alone in their block, so that they change the order of other texts.
MIXED = """() => {
  const isBlock = (element) => !getComputedStyle(element).display.startsWith("inline");
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    if (!/[\\u0590-\\u05ff]/.test(node.data) || /\\u2068/.test(node.data)) continue;
    if (node.parentElement.closest("bdi, [dir=auto], option, title, script, style")) continue;
    let block = node.parentElement;
    while (!isBlock(block)) block = block.parentElement;
    if (block.textContent.trim() !== node.data.trim()) found.push(block.textContent);
  }
  return found;
}"""
# A browser from before the zone got its name.
FORGET_BERLIN = """
const Known = Intl.DateTimeFormat;
Intl.DateTimeFormat = class {
  constructor(locale, options) {
    if (options?.timeZone === "Europe/Berlin") throw new RangeError("Invalid time zone specified: Europe/Berlin");
    return new Known(locale, options);
  }
};
"""


# The page loads the responses that came with it, so that they can be altered.
FORGET_RESPONSES = """
const find = document.getElementById.bind(document);
document.getElementById = (id) => (id === "given" ? null : find(id));
"""


async def altered(page: Page, address: str | re.Pattern[str], change: Callable[[Any], Any]) -> None:
    """Change the services' answers on their way to the page."""

    async def answer(route: Route) -> None:
        response = await route.fetch()
        is_json = "json" in response.headers.get("content-type", "")
        body = json.dumps(change(await response.json())) if is_json and response.ok else await response.text()
        await route.fulfill(response=response, body=body)

    await page.add_init_script(FORGET_RESPONSES)
    await page.route(address, answer)


def unknown(value: Any) -> Any:
    """Replace each value that a browser formats by one that it does not know."""
    if isinstance(value, list):
        return [unknown(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: UNKNOWN[name] if name in UNKNOWN else f"{each} {HEBREW}" if name in NAMED else unknown(each)
        for name, each in value.items()
    }


async def keeps_order(page: Page) -> None:
    """Check that no name from right to left changes the order of its surroundings, and that nothing failed."""
    await expect(page.locator(".skeleton")).to_have_count(0)
    assert await page.evaluate("() => document.body.innerText.includes('\u05d0')")
    assert await page.evaluate(MIXED) == []
    await expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
async def test_each_page_shows_what_no_browser_can_format(visit, cinema, locale):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(3)
    hold = await guest.buy(showtime_id, seats[:2], "unknown@usher.example")
    booking = await guest.settled(hold, "confirmed")
    link = await cinema.mailed_link(booking["reference"], "Your tickets")
    visitor = await visit(locale=locale)
    page = visitor.page
    in_utc = re.compile(r"\d\d:\d\d UTC")
    await altered(page, re.compile("/api/(?!auth/(?!sessions)|payments)"), unknown)
    for address in ("/", "/?show=soon"):
        await page.goto(address)
        await expect(page.locator('main a[href^="/movies/"]').first).to_be_visible()
        await keeps_order(page)
    await page.goto("/movies/the-matrix-1999")
    await expect(page.get_by_role("heading", name="The Matrix", level=1)).to_be_visible()
    await expect(page.locator('main a[href^="/showtimes/"]').first).to_contain_text(in_utc)
    await keeps_order(page)
    await page.goto("/theaters")
    await expect(page.get_by_role("link", name=re.compile("Kanal"))).to_be_visible()
    await keeps_order(page)
    await page.goto("/theaters/kanal-berlin")
    await expect(page.locator('main a[href^="/showtimes/"]').first).to_contain_text(in_utc)
    await keeps_order(page)
    await page.goto(f"/showtimes/{showtime_id}")
    await expect(page.locator('[data-connection="live"]')).to_be_visible()
    await expect(page.locator("main")).to_contain_text(in_utc)
    await keeps_order(page)
    await page.get_by_label(re.compile("^(Seats|Plätze)$")).select_option("1")
    await page.locator(f'[data-seat="{seats[2]}"]').dispatch_event("click")
    await page.get_by_role("button", name=re.compile("^(Continue|Weiter)$")).click()
    await expect(page.locator('[name="email"]')).to_be_visible()
    await expect(page.locator("main")).to_contain_text(in_utc)
    await keeps_order(page)
    await page.locator('[name="email"]').fill("unknown@usher.example")
    await page.get_by_role("button", name=re.compile("^(Continue to payment|Weiter zur Zahlung)")).click()
    await expect(page.locator('iframe[title="Secure payment input frame"]')).to_be_visible()
    await keeps_order(page)
    await page.goto(link)
    await expect(page.get_by_role("img", name=re.compile("^QR"))).to_have_count(2)
    await expect(page.locator("main")).to_contain_text(in_utc)
    await keeps_order(page)
    await page.unroute_all(behavior="wait")


async def test_the_pages_of_an_account_show_what_no_browser_can_format(visit, cinema):
    customer = await cinema.person("customer")
    showtime_id, seats = await cinema.seats(1)
    await customer.settled(await customer.buy(showtime_id, seats, "unknown@usher.example"), "confirmed")
    visitor = await visit("phone")
    page = visitor.page
    await visitor.sign_in()
    await altered(page, re.compile("/api/(?!auth/(?!sessions)|payments)"), unknown)
    await page.goto("/bookings")
    await expect(page.locator('main a[href^="/bookings/"]').first).to_be_visible()
    await keeps_order(page)
    await page.goto("/account")
    await expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("Last active –")
    await expect(page.get_by_role("alert")).to_have_count(0)
    await page.unroute_all(behavior="wait")


async def test_an_old_browser_shows_a_new_zone_in_utc(visit):
    page = (await visit("phone")).page
    await page.add_init_script(FORGET_BERLIN)
    await page.goto("/theaters/kanal-berlin")
    await expect(page.locator('main a[href^="/showtimes/"]').first).to_contain_text(re.compile(r"\d\d:\d\d UTC"))
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_part_with_a_fault_leaves_the_rest_of_the_page(visit):
    page = (await visit()).page
    broken = page.get_by_role("alert").filter(has_text="This part of the page could not be displayed.")
    await altered(page, "**/api/movies/the-matrix-1999", lambda film: film | {"cast": None})
    await page.goto("/movies/the-matrix-1999")
    await expect(broken).to_have_count(1)
    await expect(page.locator('main a[href^="/showtimes/"]').first).to_be_visible()
    await expect(page.get_by_role("heading", name="Reviews")).to_be_visible()
    await altered(
        page,
        "**/api/movies?*",
        lambda films: films | {"items": [films["items"][0] | {"rating": None}, *films["items"][1:]]},
    )
    await page.goto("/")
    await expect(broken).to_have_count(1)
    await expect(page.get_by_role("link", name=re.compile("Alien"))).to_be_visible()
    await altered(page, "**/api/theaters/kanal-berlin", lambda theater: theater | {"auditoriums": None})
    await page.goto("/theaters/kanal-berlin")
    await expect(broken).to_have_count(1)
    await expect(page.locator('main a[href^="/showtimes/"]').first).to_be_visible()
