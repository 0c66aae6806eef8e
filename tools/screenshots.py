"""Screenshots of every page of the web client at phone and desktop size, light and dark: `make screenshots`.

Starts a separate platform with demo data. The pictures are written to .runtime/screenshots.
"""

import argparse
import asyncio
import os
import shutil
from pathlib import Path

import httpx
from cinema import Cinema
from launcher.platform import Platform
from launcher.settings import NO_LIMITS, RUNTIME
from playwright.async_api import ViewportSize, async_playwright
from tour import pages
from visitor import Visitor

SIZES: dict[str, ViewportSize] = {"phone": {"width": 360, "height": 780}, "desk": {"width": 1280, "height": 900}}


async def take(folder: Path, names: set[str]) -> None:
    """Write a screenshot of each page, or of the named pages, into the folder."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    async with (
        Platform(demo=True, environment=NO_LIMITS) as platform,
        httpx.AsyncClient(timeout=30) as http,
        async_playwright() as playwright,
    ):
        cinema = Cinema(platform, http)
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for size, viewport in SIZES.items():
            for scheme in ("light", "dark"):
                context = await browser.new_context(
                    viewport=viewport,
                    color_scheme=scheme,
                    locale="en-GB",
                    base_url=platform.url,
                    device_scale_factor=1,
                    reduced_motion="reduce",  # otherwise a picture may show a button between two colors
                )
                page = await context.new_page()
                async for name in pages(Visitor(page, cinema)):
                    if not names or name in names:
                        await page.screenshot(path=folder / f"{name}-{size}-{scheme}.png")
                await context.close()
        await browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=RUNTIME / "screenshots")
    parser.add_argument("names", nargs="*", help="only these pages")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(given.folder, set(given.names)))
