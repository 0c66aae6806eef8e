"""Chromium at the gateway: visitors with a phone or a desktop computer."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from cinema import Cinema
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from visitor import Visitor

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
BUILT = Path(__file__).parents[2] / "web/dist/index.html"
DEVICES = {
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
    "desk": {"viewport": {"width": 1280, "height": 900}},
}
Open = Callable[..., Awaitable[Visitor]]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for all tests; each visitor has a separate profile."""
    assert BUILT.exists(), "the web client is not built: make setup"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    """Run the test at each size."""
    return request.param


@pytest.fixture
async def visit(chromium: Browser, cinema: Cinema) -> AsyncIterator[Open]:
    """`await visit("phone")` opens a page of the platform. At the end no page may have failed."""
    async for opener in _visitors(chromium, cinema):
        yield opener


@pytest.fixture
async def visit_impatient(chromium: Browser, impatient_cinema: Cinema) -> AsyncIterator[Open]:
    """The same on a platform where holds and payments expire after a few seconds."""
    async for opener in _visitors(chromium, impatient_cinema):
        yield opener


async def _visitors(chromium: Browser, cinema: Cinema) -> AsyncIterator[Open]:
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)

    async def visit(device: str = "desk", **options: object) -> Visitor:
        settings = {"base_url": cinema.platform.url, "locale": "en-GB", **DEVICES[device], **options}
        context = await chromium.new_context(**settings)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = await context.new_page()
        watch(page)
        return Visitor(page, cinema)

    yield visit
    for context in contexts:
        await context.close()
    assert faults == []
