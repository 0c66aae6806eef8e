"""Every page: no serious axe-core finding and nothing wider than the screen; in both languages, offline, small."""

import gzip
import re
from pathlib import Path

import pytest
from playwright.async_api import expect
from tour import pages

WEB = Path(__file__).parents[2] / "web"
AXE = WEB / "node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN_AXE = "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(found => found.violations)"
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
SERIOUS = {"serious", "critical"}
LARGEST_FIRST_LOAD = 150_000


@pytest.mark.timeout(400)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_has_a_serious_fault_or_is_wider_than_the_screen(visit, device, scheme):
    faults = []
    # Without motion, because axe-core could check a button between two colors.
    visitor = await visit(device, color_scheme=scheme, reduced_motion="reduce")
    async for name in pages(visitor):
        await visitor.page.evaluate(AXE.read_text())
        violations = await visitor.page.evaluate(RUN_AXE, RULES)
        faults += [
            (name, each["id"], [node["html"] for node in each["nodes"][:3]])
            for each in violations
            if each["impact"] in SERIOUS
        ]
        if (wide := await visitor.page.evaluate(TOO_WIDE)) > 0:
            faults.append((name, "too wide", wide))
    assert faults == []


async def test_the_film_list_loads_less_than_150_kb_of_script(visit):
    visitor = await visit()
    scripts: list[bytes] = []

    async def weigh(response) -> None:
        if response.request.resource_type == "script":
            scripts.append(await response.body())

    visitor.page.on("response", weigh)
    await visitor.page.goto("/")
    await expect(visitor.page.get_by_role("link", name=re.compile("Alien"))).to_be_visible()
    assert sum(len(gzip.compress(script, 4)) for script in scripts) < LARGEST_FIRST_LOAD


async def test_german_is_spoken_where_it_is_asked_for_and_chosen(visit):
    visitor = await visit(locale="de-DE")
    page = visitor.page
    await page.goto("/")
    await expect(page.get_by_role("heading", name="Jetzt im Kino")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await page.get_by_label("Sprache").select_option("en")
    await expect(page.get_by_role("heading", name="Now showing")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name="Now showing")).to_be_visible()


async def test_what_one_looks_for_stands_in_the_address_and_survives_the_way_back(visit):
    visitor = await visit()
    page = visitor.page
    await page.goto("/?genre=comedy")
    await page.get_by_role("searchbox").fill("amelie")
    await page.get_by_role("link", name=re.compile("Amélie")).click()
    await expect(page.get_by_role("heading", name="Amélie", level=1)).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("searchbox")).to_have_value("amelie")
    await expect(page).to_have_url(re.compile("genre=comedy"))


async def test_without_a_network_the_page_says_so_and_still_opens(visit):
    visitor = await visit()
    page = visitor.page
    await page.goto("/")
    await page.evaluate("() => navigator.serviceWorker.ready")
    await page.reload()
    await expect(page.get_by_role("link", name=re.compile("Alien"))).to_be_visible()
    await page.context.set_offline(True)
    await expect(page.get_by_text("You are offline")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("You are offline")).to_be_visible()
    await page.context.set_offline(False)
    await expect(page.get_by_text("You are offline")).to_have_count(0)


async def test_no_token_is_kept_where_scripts_can_read_it_and_a_reload_stays_signed_in(visit):
    visitor = await visit()
    await visitor.sign_in()
    stored = await visitor.page.evaluate("() => JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert "eyJ" not in stored
    assert "usher_session" not in stored
    await visitor.page.reload()
    await expect(visitor.page.get_by_role("link", name="My bookings")).to_be_visible()
    await visitor.page.goto("/account")
    await visitor.button("Sign out").click()
    await expect(visitor.page.get_by_role("link", name="Sign in").first).to_be_visible()
    await visitor.page.reload()
    await expect(visitor.page.get_by_role("link", name="Sign in").first).to_be_visible()
