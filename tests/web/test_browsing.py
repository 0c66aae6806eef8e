"""From the film list to a showtime: day, city and time of day are kept; theaters are found; times are in sight."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect

SMALL = [(390, 844), (360, 640), (844, 390)]
BERLIN = ZoneInfo("Europe/Berlin")
TIMES = 'main a[href^="/showtimes/"]'
LIVE = "main[tabindex]"
"""The page is the client's; catalog's, which came first, knows no filters and is replaced as a whole."""


async def test_day_and_city_go_along_to_the_film_and_back(visit):
    page = (await visit(timezone_id="Europe/Berlin")).page
    day = (datetime.now(BERLIN) + timedelta(days=2)).date()
    await page.goto("/")
    await page.get_by_label("Day").select_option(day.isoformat())
    await page.get_by_label("City").select_option("Berlin")
    await page.locator('main a[href^="/movies/"]').first.click()
    await expect(page).to_have_url(re.compile(f"/movies/.*city=Berlin&date={day}"))
    pressed = page.get_by_role("group", name="Day").locator("[aria-pressed=true]")
    await expect(pressed).to_contain_text(f"{day.day} ")
    await expect(page.get_by_label("City")).to_have_value("Berlin")
    theaters = page.locator('main h4 a[href^="/theaters/"]')
    await expect(theaters).to_have_count(1)
    await expect(theaters).to_contain_text("Berlin")
    # The next day is kept, too, over the seats and back.
    next_day = page.get_by_role("group", name="Day").get_by_role("button").nth(1)
    chosen = await next_day.inner_text()
    await next_day.click()
    await expect(pressed).to_have_text(chosen)
    address = page.url
    await page.locator(TIMES).first.click()
    await expect(page.locator('[data-connection="live"]')).to_be_visible()
    await page.go_back()
    await expect(pressed).to_have_text(chosen)
    assert page.url == address
    await page.go_back()
    await expect(page.get_by_label("Day")).to_have_value(day.isoformat())
    await expect(page.get_by_label("City")).to_have_value("Berlin")


async def test_the_seat_page_leads_back_to_its_day(visit):
    page = (await visit()).page
    await page.goto("/theaters/kanal-berlin")
    chosen = page.get_by_role("group", name="Day").get_by_role("button").nth(2)
    day = await chosen.inner_text()
    await chosen.click()
    await expect(chosen).to_have_attribute("aria-pressed", "true")
    await page.locator(TIMES).first.click()
    await page.get_by_role("link", name="All showtimes").click()
    await expect(page.get_by_role("group", name="Day").locator("[aria-pressed=true]")).to_have_text(day)


async def test_the_evening_can_be_asked_for(visit):
    page = (await visit(timezone_id="Europe/Berlin")).page
    await page.goto("/")
    await page.get_by_role("button", name="Tonight").click()
    today = (datetime.now(BERLIN) - timedelta(hours=5)).date().isoformat()
    await expect(page).to_have_url(re.compile(f"date={today}&time=evening"))
    await expect(page.get_by_label("Time")).to_have_value("evening")
    await page.get_by_role("button", name="Tonight").click()
    await expect(page).not_to_have_url(re.compile("time="))
    await page.goto("/theaters/kanal-berlin?time=evening")
    await expect(page.locator(LIVE)).to_be_visible()
    await expect(page.locator(f"{TIMES} b").first).to_be_visible()
    hours = await page.locator(f"{TIMES} b").all_inner_texts()
    assert all(int(hour[:2]) >= 17 or int(hour[:2]) < 5 for hour in hours)


@pytest.mark.parametrize("page_of", ["/movies/the-matrix-1999", "/theaters/kanal-berlin"])
@pytest.mark.parametrize("size", SMALL)
async def test_the_first_showtime_is_in_sight(visit, size, page_of):
    page = (await visit("phone", viewport={"width": size[0], "height": size[1]})).page
    await page.goto(page_of)
    await expect(page.locator(LIVE)).to_be_visible()
    time = page.locator(f"{TIMES} b").first
    await expect(time).to_be_visible()
    place = await time.bounding_box()
    assert place["y"] + place["height"] <= size[1], f"the time begins {place['y']} px from the top"


async def test_a_theater_is_a_programme_with_posters(visit, device):
    page = (await visit(device)).page
    await page.goto("/theaters/kanal-berlin")
    await expect(page.locator(LIVE)).to_be_visible()
    await expect(page.locator(TIMES).first).to_be_visible()
    films = page.locator("main section section")
    assert await films.count() > 0
    for film in await films.all():
        await expect(film.locator("img")).to_have_attribute("src", re.compile("/poster"))
        assert await film.locator('a[href^="/showtimes/"], li').count() > 0


async def test_a_theater_is_found_by_name_and_by_distance(visit):
    vienna = {"latitude": 48.2082, "longitude": 16.3738}
    page = (await visit("phone", permissions=["geolocation"], geolocation=vienna)).page
    await page.goto("/theaters")
    theaters = page.locator('main a[href^="/theaters/"]')
    await expect(theaters.nth(1)).to_be_visible()
    await page.get_by_role("searchbox").fill("KANÁL")
    await expect(theaters).to_have_count(1)
    await expect(page).to_have_url(re.compile("q="))
    await page.get_by_role("searchbox").fill("nowhere")
    await expect(page.get_by_text("No theaters match your search")).to_be_visible()
    await page.get_by_role("searchbox").fill("")
    await page.get_by_role("button", name="Near me").click()
    await expect(theaters.first).to_contain_text("Wien")
    await expect(theaters.first).to_contain_text(re.compile(r"[\d.]+ km"))


async def test_a_place_that_is_not_shared_is_explained(visit):
    page = (await visit()).page
    await page.goto("/theaters")
    await page.get_by_role("button", name="Near me").click()
    await expect(page.get_by_text("We could not find out where you are.")).to_be_visible()
    await expect(page.locator('main a[href^="/theaters/"]').first).to_be_visible()
