"""A page survives data that it does not know: a new time zone, a wrong language tag, a part with a fault."""

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
    "features": ["zero gravity"],
}
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


async def altered(page: Page, address: str | re.Pattern[str], change: Callable[[Any], Any]) -> None:
    """Change the services' answers on their way to the page."""

    async def answer(route: Route) -> None:
        response = await route.fetch()
        is_json = "json" in response.headers.get("content-type", "")
        body = json.dumps(change(await response.json())) if is_json and response.ok else await response.text()
        await route.fulfill(response=response, body=body)

    await page.route(address, answer)


def unknown(value: Any) -> Any:
    """Replace each value that a browser formats by one that it does not know."""
    if isinstance(value, list):
        return [unknown(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: UNKNOWN[name] if name in UNKNOWN else unknown(each) for name, each in value.items()}


@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
async def test_each_page_shows_what_no_browser_can_format(visit, cinema, locale):
    guest = cinema.guest()
    showtime_id, seats = await cinema.seats(3)
    hold = await guest.buy(showtime_id, seats[:2], "unknown@usher.example")
    booking = await guest.settled(hold, "confirmed")
    link = await cinema.mailed_link(booking["reference"], "Your tickets")
    page = (await visit(locale=locale)).page
    await altered(page, re.compile("/api/(?!auth|payments)"), unknown)
    await page.goto("/")
    await expect(page.get_by_role("link", name=re.compile("Alien"))).to_be_visible()
    await page.goto("/movies/the-matrix-1999")
    await expect(page.get_by_role("heading", name="The Matrix", level=1)).to_be_visible()
    await expect(page.locator('main a[href^="/showtimes/"]').first).to_contain_text(re.compile(r"\d\d:\d\d UTC"))
    await page.goto("/theaters")
    await expect(page.get_by_role("link", name=re.compile("Kanal"))).to_be_visible()
    await page.goto("/theaters/kanal-berlin")
    await expect(page.locator('main a[href^="/showtimes/"]').first).to_contain_text(re.compile(r"\d\d:\d\d UTC"))
    await page.goto(f"/showtimes/{showtime_id}")
    await expect(page.locator('[data-connection="live"]')).to_be_visible()
    await expect(page.locator("main")).to_contain_text(re.compile(r"\d\d:\d\d UTC"))
    await page.get_by_label(re.compile("^(Seats|Plätze)$")).select_option("1")
    await page.locator(f'[data-seat="{seats[2]}"]').dispatch_event("click")
    await page.get_by_role("button", name=re.compile("^(Continue|Weiter)$")).click()
    await expect(page.locator('[name="email"]')).to_be_visible()
    await expect(page.locator("main")).to_contain_text(re.compile(r"\d\d:\d\d UTC"))
    await page.goto(link)
    await expect(page.get_by_role("img", name=re.compile("^QR"))).to_have_count(2)
    await expect(page.locator("main")).to_contain_text(re.compile(r"\d\d:\d\d UTC"))
    await expect(page.get_by_role("alert")).to_have_count(0)


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
