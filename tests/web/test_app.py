"""The client as an app: installable, opens offline, loads no third-party code, stores no secret."""

import json
import re
import struct
from urllib.parse import urlsplit

from playwright.async_api import Page, expect

PNG = b"\x89PNG\r\n\x1a\n"
# Long and random: a token of any kind (JSON Web Token, refresh token, hold secret).
SECRET = re.compile(r"eyJ[\w-]{10}|[\w-]{32,}")


async def test_it_can_be_installed(visit, cinema):
    visitor = await visit()
    await visitor.page.goto("/theaters")
    address = await visitor.page.locator('link[rel="manifest"]').get_attribute("href")
    answer = await cinema.http.get(f"{cinema.platform.url}{address}")
    assert answer.headers["content-type"].startswith("application/manifest+json")
    manifest = answer.json()
    assert manifest["name"]
    assert manifest["short_name"]
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/", "/", "standalone")
    purposes = {purpose for icon in manifest["icons"] for purpose in icon["purpose"].split()}
    assert purposes == {"any", "maskable"}
    pictures = {icon["sizes"]: icon for icon in manifest["icons"] if icon["type"] == "image/png"}
    assert pictures.keys() >= {"192x192", "512x512"}
    for sizes, icon in pictures.items():
        image = (await cinema.http.get(f"{cinema.platform.url}{icon['src']}")).content
        assert image.startswith(PNG)
        width, height = struct.unpack(">II", image[16:24])
        assert f"{width}x{height}" == sizes
    browser = await visitor.page.context.new_cdp_session(visitor.page)
    # Chromium's own verdict, except its remark about private windows.
    found = (await browser.send("Page.getInstallabilityErrors"))["installabilityErrors"]
    assert [each["errorId"] for each in found if each["errorId"] != "in-incognito"] == []


async def test_without_a_network_a_page_that_was_never_visited_says_so_and_goes_on_later(visit, device):
    visitor = await visit(device)
    page = visitor.page
    await page.goto("/")
    await page.evaluate("() => localStorage.setItem('usher.theme', 'dark')")
    await controlled(page)
    await page.reload()
    await expect(page.get_by_role("link", name=re.compile("Alien"))).to_be_visible()
    # The link came with the page. The service worker keeps the scripts as they arrive.
    await page.wait_for_load_state("networkidle")
    await page.context.set_offline(True)
    await page.goto("/?show=soon")
    await expect(page.get_by_text("You are offline")).to_be_visible()
    await expect(page.get_by_role("alert")).to_contain_text("We cannot reach Usher right now.")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert await page.locator('header img[src="/icon.svg"]').evaluate("image => image.naturalWidth > 0")
    await page.get_by_role("link", name="Theaters").click()
    await expect(page.get_by_role("heading", name="Something went wrong")).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text("We cannot reach Usher right now.")
    await page.context.set_offline(False)
    await visitor.button("Reload").click()
    await expect(page.get_by_role("heading", name="Theaters")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", name="Coming soon")).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)


# React creates elements in the middle of its first rendering.
BACK_DURING_THE_FIRST_RENDERING = """
  const create = document.createElement.bind(document);
  document.createElement = (name, ...more) => {
    if (name === "main" && location.pathname === "/theaters") {
      history.replaceState({}, "", "/?show=soon");
      dispatchEvent(new PopStateEvent("popstate"));
    }
    return create(name, ...more);
  };
"""


async def test_going_back_while_the_page_starts_is_not_missed(visit):
    page = (await visit()).page
    await page.add_init_script(BACK_DURING_THE_FIRST_RENDERING)
    await page.goto("/theaters")
    await expect(page.get_by_role("heading", name="Coming soon")).to_be_visible()


async def test_what_the_services_say_is_never_kept(visit, cinema):
    visitor = await visit()
    page = visitor.page
    await visitor.sign_in()
    await controlled(page)
    await page.goto("/account")
    await expect(visitor.button("Sign out")).to_be_visible()
    kept = await page.evaluate(
        """async () => {
          const caches_ = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
          return (await Promise.all(caches_.map((cache) => cache.keys()))).flat().map(({ url }) => url);
        }"""
    )
    assert kept
    assert {urlsplit(url).path.split("/")[1] for url in kept} <= {"assets", "index.html", "icon.svg"}


async def test_only_the_sites_own_code_runs(visit, cinema, chromium):
    visitor = await visit()
    answer = await visitor.page.goto("/")
    policy = dict(
        rule.strip().split(" ", 1)
        for rule in answer.headers["content-security-policy"].split(";")
        if " " in rule.strip()
    )
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    nonce = f"'nonce-{answer.headers['x-correlation-id']}'"
    stripe = cinema.platform.env["GATEWAY_STRIPE_ORIGINS"].split()
    assert set(policy["script-src"].split()) <= {"'self'", nonce, *stripe}
    assert set(policy["style-src"].split()) == {"'self'", nonce}, "styles are the site's own, too"
    assert answer.headers["x-content-type-options"] == "nosniff"
    # In a separate window, because `visit` fails a test whose page violates the policy.
    page = await chromium.new_page()
    await page.goto(cinema.platform.url)
    was_run = await page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.wasRun = true";
          document.head.append(script);
          return window.wasRun === true;
        }"""
    )
    assert not was_run
    await page.context.close()


async def test_no_secret_is_kept_after_signing_in_and_buying(visit, device):
    visitor = await visit(device)
    page = visitor.page
    await visitor.sign_in()
    await visitor.hold(1)
    await visitor.order()
    await visitor.pay()
    await visitor.sees_tickets(1)
    kept = json.loads(await page.evaluate("() => JSON.stringify([localStorage, sessionStorage, document.cookie])"))
    local, session, cookies = kept
    (tickets,) = json.loads(local.pop("usher.kept-tickets"))
    for ticket in tickets["booking"]["tickets"]:
        ticket.pop("qr")
    assert "eyJ" not in json.dumps(tickets), "the copy of the tickets has no token but their codes"
    assert local == {"usher.signed-in": "1"}
    assert cookies == ""
    # A hold's id alone gives no access.
    values = [value for name, value in session.items() if not name.startswith("usher.hold.")]
    assert not [value for value in values if SECRET.search(value)]
    assert "usher.guest" not in session


async def test_a_guests_secret_goes_with_the_tab(visit):
    visitor = await visit()
    showtime_id, seats = await visitor.hold(1)
    assert await visitor.page.evaluate("() => sessionStorage.getItem('usher.guest')")
    assert not SECRET.search(await visitor.page.evaluate("() => JSON.stringify(localStorage)"))
    other = await visitor.page.context.new_page()
    await other.goto(f"/showtimes/{showtime_id}")
    await expect(other.locator(f'[data-seat="{seats[0]}"]')).to_have_attribute("data-state", "held")


async def controlled(page: Page) -> None:
    """Wait until the service worker controls the page."""
    await page.evaluate("() => navigator.serviceWorker.ready")
    await page.wait_for_function("() => navigator.serviceWorker.controller !== null")
