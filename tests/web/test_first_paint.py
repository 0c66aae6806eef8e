"""What is seen first: the content before any script has run, without moving afterwards; what others see of a link."""

import asyncio
import re

import pytest
from playwright.async_api import Page, Request, Route, expect

MOST_REQUESTS = 7
MOST_BYTES = 20_000
"""0.4 s at 400 kbit/s."""
MOST_SHIFT = 0.05
MOST_MOVE = 24
"""CSS pixels."""
# The tops of what is on the first screen, by address.
PLACES = """
(elements) => Object.fromEntries(
  elements
    .map((element) => [element.getAttribute("href")?.split("?")[0] ?? "title", element.getBoundingClientRect().top])
    .filter(([, top]) => top < innerHeight / 2),
)
"""
WATCH = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


async def held(page: Page, address: str | re.Pattern[str]) -> asyncio.Event:
    """Hold the answers to these requests back until the event is set."""
    released = asyncio.Event()

    async def answer(route: Route) -> None:
        await released.wait()
        await route.continue_()

    await page.route(address, answer)
    return released


@pytest.fixture
async def addresses(cinema):
    """The pages that visitors open first, with a text of their content in English and German."""
    showtime_id, _ = await cinema.seats(1)
    return {
        "/": ("Now showing", "Jetzt im Kino"),
        "/movies/the-matrix-1999": ("Showtimes", "Vorstellungen"),
        "/theaters": ("Theaters", "Kinos"),
        "/theaters/kanal-berlin": ("Showtimes", "Vorstellungen"),
        f"/showtimes/{showtime_id}": ("All showtimes", "Alle Vorstellungen"),
    }


async def test_the_content_is_painted_from_one_response_without_scripts(visit, addresses):
    for place, locale in enumerate(["en-GB", "de-DE"]):
        page = (await visit("phone", locale=locale, java_script_enabled=False)).page
        # Only the page itself is answered.
        await held(page, re.compile("/(assets|api)/|[.](svg|ico|png|webmanifest)$"))
        for address, texts in addresses.items():
            response = await page.goto(address, wait_until="commit")
            await expect(page.locator("main").get_by_text(texts[place]).first).to_be_visible()
            await expect(page.locator("html")).to_have_attribute("lang", locale[:2])
            await response.finished()
            assert (await response.request.sizes())["responseBodySize"] <= MOST_BYTES


async def test_before_the_scripts_run_little_is_requested(visit, addresses):
    page = (await visit("phone", service_workers="block")).page
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - Playwright marks the function
    released = await held(page, "**/assets/base-*.js")
    for address in addresses:
        requests.clear()
        await page.goto(address, wait_until="commit")
        await expect(page.locator("main h1")).to_be_visible()
        await page.evaluate(TWO_FRAMES)
        asked = [request.url for request in requests if request.resource_type != "image"]
        assert len(asked) <= MOST_REQUESTS, asked
        assert not [url for url in asked if "/api/" in url], "the page has brought the responses"
    released.set()


async def test_nothing_that_came_with_the_page_is_loaded_again(visit, addresses):
    for address in addresses:
        page = (await visit(service_workers="block")).page
        calls: list[str] = []
        page.on("request", lambda request, calls=calls: calls.append(request.url.split("/api")[-1]))
        await page.goto(address)
        await expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        await page.wait_for_load_state("networkidle")
        own = {f"{address}", f"{address}/showtimes?days=14&limit=20", f"{address}?limit=100"}
        again = [call for call in calls if call in own or re.match(r"/(movies|showtimes)[?]", call)]
        assert again == []


async def test_a_filtered_list_is_loaded_once(visit):
    page = (await visit(service_workers="block")).page
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.url) if "/api/movies?" in request.url else None)
    await page.goto("/?genre=horror")
    await expect(page.get_by_role("link", name=re.compile("Alien"))).to_be_visible()
    assert ["genre=horror" in call for call in calls] == [True]


async def test_nothing_moves_when_the_scripts_take_over(visit, device, addresses):
    page = (await visit(device, service_workers="block")).page
    await page.add_init_script(WATCH)
    for address in addresses:
        released = await held(page, "**/assets/base-*.js")
        await page.goto(address, wait_until="commit")
        marks = page.locator(
            "main h1, main a[href^='/showtimes/'], main ul a[href^='/movies/'], main ul a[href^='/th']"
        )
        await expect(marks.first).to_be_visible()
        await page.evaluate(TWO_FRAMES)
        before = await marks.evaluate_all(PLACES)
        released.set()
        await expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        await expect(page.locator("#main .skeleton")).to_have_count(0)
        await page.evaluate(TWO_FRAMES)
        after = await marks.evaluate_all(PLACES)
        assert before.keys() <= after.keys()
        assert {href: after[href] - top for href, top in before.items() if abs(after[href] - top) > MOST_MOVE} == {}
        await page.wait_for_load_state("networkidle")
        assert await page.evaluate("() => window.shift") < MOST_SHIFT
        await page.unroute("**/assets/base-*.js")


async def test_a_preview_of_the_site_has_a_title_and_a_picture(cinema):
    http, url = cinema.http, cinema.platform.url
    page = (await http.get(url)).text
    assert '<meta property="og:title" content="Usher' in page
    (picture,) = re.findall(r'<meta property="og:image" content="(.*?)"', page)
    assert picture.startswith(f"{cinema.platform.env['PUBLIC_URL']}/")
    assert (await http.get(picture)).headers["content-type"] == "image/png"
    assert (await http.get(f"{url}/favicon.ico")).headers["content-type"] == "image/x-icon"
    assert "Disallow: /api/" in (await http.get(f"{url}/robots.txt")).text


async def test_a_preview_of_a_film_has_its_title_synopsis_and_picture(cinema):
    http, url = cinema.http, cinema.platform.url
    page = (await http.get(f"{url}/movies/the-matrix-1999")).text
    found = dict(re.findall(r'<meta property="og:(.*?)" content="(.*?)">', page))
    film = (await http.get(f"{url}/api/movies/the-matrix-1999")).json()
    assert (found["title"], found["type"]) == ("The Matrix", "video.movie")
    assert film["synopsis"].startswith(found["description"].removesuffix("...")[:100])
    assert (await http.get(found["image"])).headers["content-type"] in {"image/png", "image/webp"}


@pytest.mark.parametrize("address", ["/movies/no-such-film", "/theaters/nowhere", "/showtimes/never"])
async def test_what_catalog_does_not_have_is_missing(visit, address):
    page = (await visit()).page
    answer = await page.goto(address)
    assert answer.status == 404
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_visible()


async def test_an_unknown_address_is_missing_for_people_and_machines(visit):
    page = (await visit()).page
    answer = await page.goto("/no/such/page")
    assert answer.status == 404
    await expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
