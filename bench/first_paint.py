"""python -m bench.first_paint: measure in Chromium what a page needs before its content is painted on a slow phone."""

import asyncio
import json
import os
import shutil
from typing import Any

from launcher.platform import Platform
from launcher.settings import NO_LIMITS
from playwright.async_api import Browser, Request, async_playwright

from bench import report

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
# "Slow 3G" in Chromium's developer tools.
NETWORK = {"offline": False, "latency": 2000, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
CPU_SLOWDOWN = 4
RUNS = 3
FRAME_ALONE = "films, the frame alone"
PAINTED = """
(selector) => new Promise((done) => {
  const look = () => document.querySelector(selector)
    ? requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())))
    : requestAnimationFrame(look);
  look();
})
"""


async def visit(browser: Browser, url: str, selector: str) -> dict[str, float]:
    """Open the page without a cache and return what came before its content."""
    context = await browser.new_context(**PHONE, service_workers="block")  # pyright: ignore[reportArgumentType]
    page = await context.new_page()
    emulation = await context.new_cdp_session(page)
    await emulation.send("Network.enable")
    await emulation.send("Network.emulateNetworkConditions", NETWORK)
    await emulation.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWDOWN})
    finished: list[Request] = []
    page.on("requestfinished", lambda request: finished.append(request))  # noqa: PLW0108 - Playwright marks it
    await page.goto(url, wait_until="commit")
    ms = await page.evaluate(PAINTED, selector)
    before = [request for request in finished if request.resource_type != "image"]
    ended = [request for request in before if request.timing["responseEnd"] >= 0]
    sizes = [await request.sizes() for request in ended]
    await context.close()
    return {
        "requests": len(ended),
        "kilobytes": round(sum(each["responseBodySize"] for each in sizes) / 1000, 1),
        "content_ms": round(ms),
    }


async def measure(platform: Platform) -> dict[str, Any]:
    """Return the figures of each page: of several visits, the one that was painted first."""
    async with async_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        api = await playwright.request.new_context(base_url=platform.url)
        listed = await (await api.get("/api/showtimes?theater_id=kanal-berlin&limit=100")).json()
        pages = {
            FRAME_ALONE: ("/?content=none", "main a[href^='/movies/']"),
            "films": ("/", "main a[href^='/movies/']"),
            "film": ("/movies/the-matrix-1999", "main a[href^='/showtimes/']"),
            "theaters": ("/theaters", "main a[href^='/theaters/']"),
            "theater": ("/theaters/kanal-berlin", "main a[href^='/showtimes/']"),
            "seats": (f"/showtimes/{listed['items'][-1]['id']}", "main h1"),
        }
        found = {}
        for name, (address, selector) in pages.items():
            visits = [await visit(browser, platform.url + address, selector) for _ in range(RUNS)]
            found[name] = min(visits, key=lambda each: each["content_ms"])
        await browser.close()
    return found


def markdown(began: report.Circumstances, found: dict[str, Any]) -> str:
    """Format the result as a table."""
    alone = found[FRAME_ALONE]["content_ms"]
    rows = [
        [name, each["requests"], each["kilobytes"], each["content_ms"], f"{each['content_ms'] / alone:.2f}"]
        for name, each in found.items()
    ]
    head = ["page", "requests before", "kilobytes before", "content painted after ms", "to the frame alone"]
    return (
        f"# What a page needs before its content is painted\n\nCommit {began.commit}, {began.at}, {began.machine};"
        f" load of the machine before it began: {began.load_before}.\n"
        "A phone, empty cache, Slow 3G of Chromium's developer tools (2 s for each request, 400 kbit/s),"
        f" CPU slowed down {CPU_SLOWDOWN} times. The best of {RUNS} visits. Pictures are not counted. *The frame alone*"
        f" is the list of films when the client loads it.\n\n{report.table(head, rows)}\n"
    )


def main() -> None:
    """Measure, print the result and save it."""
    began = report.Circumstances.now()
    with Platform(demo=True, environment=NO_LIMITS) as platform:
        found = asyncio.run(measure(platform))
    text = markdown(began, found)
    print(text)
    (report.RESULTS / "first_paint.json").write_text(json.dumps({**vars(began), "pages": found}, indent=1) + "\n")
    (report.RESULTS / "first_paint.md").write_text(text)


if __name__ == "__main__":
    main()
