"""What is seen first: a frame before any script has run, without moving afterwards; what others see of a link."""

import asyncio
import re

import pytest
from playwright.async_api import Page, Route, expect

MOST_REQUESTS = 7
MOST_SHIFT = 0.05
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


@pytest.mark.parametrize(("locale", "theaters"), [("en-GB", "Theaters"), ("de-DE", "Kinos")])
async def test_a_frame_is_painted_before_the_scripts_are_there(visit, locale, theaters):
    page = (await visit("phone", locale=locale, service_workers="block")).page
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    released = await held(page, "**/assets/base-*.js")
    await page.goto("/", wait_until="commit")
    await expect(page.get_by_role("navigation").get_by_role("link", name=theaters)).to_be_visible()
    await page.evaluate(TWO_FRAMES)
    assert len(addresses) <= MOST_REQUESTS, addresses
    first_call = [address for address in addresses if "/api/movies?" in address]
    assert len(first_call) == 1, "the films are loaded while the scripts are"
    released.set()
    await expect(page.get_by_role("link", name=re.compile("Alien"))).to_be_visible()
    assert addresses.count(first_call[0]) == 1


@pytest.mark.parametrize("address", ["/movies/the-matrix-1999", "/theaters/kanal-berlin", "/theaters"])
async def test_nothing_that_is_loaded_ahead_is_loaded_again(visit, address):
    page = (await visit(service_workers="block")).page
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.url) if "/api/" in request.url else None)
    await page.goto(address)
    await expect(
        page.locator(f'main a[href^="/{"theaters/" if address == "/theaters" else "showtimes/"}"]').first
    ).to_be_visible()
    ahead = await page.evaluate("() => [...document.querySelectorAll('link[rel=preload]')].map((link) => link.href)")
    assert ahead
    assert [calls.count(each) for each in ahead] == [1] * len(ahead)


@pytest.mark.parametrize("address", ["/", "/movies/the-matrix-1999", "/theaters/kanal-berlin", "/theaters"])
async def test_nothing_moves_when_the_data_arrives(visit, device, address):
    page = (await visit(device)).page
    await page.add_init_script(WATCH)
    released = await held(page, "**/api/**")
    await page.goto(address, wait_until="commit")
    await expect(page.locator("#main .skeleton").first).to_be_visible()
    await page.evaluate(TWO_FRAMES)
    released.set()
    await expect(page.locator("#main .skeleton")).to_have_count(0)
    await page.wait_for_load_state("networkidle")
    await page.evaluate(TWO_FRAMES)
    assert await page.evaluate("() => window.shift") < MOST_SHIFT


async def test_a_preview_of_the_site_has_a_title_and_a_picture(cinema):
    http, url = cinema.http, cinema.platform.url
    page = (await http.get(url)).text
    assert '<meta property="og:title" content="Usher' in page
    (picture,) = re.findall(r'<meta property="og:image" content="(.*?)"', page)
    assert picture.startswith(f"{cinema.platform.env['PUBLIC_URL']}/")
    assert (await http.get(picture)).headers["content-type"] == "image/png"
    assert (await http.get(f"{url}/favicon.ico")).headers["content-type"] == "image/x-icon"
    assert "Disallow: /api/" in (await http.get(f"{url}/robots.txt")).text


async def test_an_unknown_address_is_missing_for_people_and_machines(visit):
    page = (await visit()).page
    answer = await page.goto("/no/such/page")
    assert answer.status == 404
    await expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
