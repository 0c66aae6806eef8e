"""The script at /v3/ in a real browser: a shop's page mounts the card element and pays with it."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

PAGE = (Path(__file__).parent / "shop_page.html").read_text()
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@asynccontextmanager
async def browsing(url: str, profile: Path) -> AsyncIterator[None]:
    """Show `url` in a headless Chromium while the context is open."""
    quiet = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
    )
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM or "chromium",
        *quiet,
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        "--remote-debugging-port=0",
        url,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        browser.terminate()
        await browser.wait()


@pytest.fixture
async def outcome(app, address, serve, tmp_path):
    """Show the shop's page on the sandbox's origin, where it can type into the iframe, or on another origin."""

    async def outcome(client, *, same_origin: bool) -> dict:
        told: asyncio.Future[dict] = asyncio.get_running_loop().create_future()
        secrets = [
            (await client.v1.payment_intents.create_async({"amount": 2900, "currency": "eur"})).client_secret
            for _ in range(6)
        ]

        async def page(request: Request) -> Response:
            values = {"base": address, "secrets": secrets, "sameOrigin": same_origin}
            return HTMLResponse(PAGE.replace("VALUES", json.dumps(values)).replace("BASE", address))

        async def tell(request: Request) -> Response:
            told.set_result(await request.json())
            return Response()

        routes = [Route("/page", page), Route("/tell", tell, methods=["POST"])]
        if same_origin:
            app.router.routes.extend(routes)
            async with browsing(f"{address}/page", tmp_path):
                return await asyncio.wait_for(told, 45)
        async with serve(Starlette(routes=routes)) as url, browsing(f"{url}/page", tmp_path):
            return await asyncio.wait_for(told, 45)

    return outcome


async def test_a_customer_types_a_card_and_approves_or_refuses_3d_secure(client, outcome):
    result = await outcome(client, same_origin=True)
    assert result == {
        "incomplete": "incomplete_number",
        "labels": ["Card number", "Expiry", "CVC"],
        "paid": "succeeded",
        "declined": ["card_error", "insufficient_funds"],
        "approved": "succeeded",
        "refused": "payment_intent_authentication_failure",
        "retrieved": "succeeded",
        "changes": True,
        "unmounted": 0,
    }


async def test_a_page_of_a_shop_cannot_read_the_card_element(client, outcome):
    result = await outcome(client, same_origin=False)
    assert result == {
        "closed": True,
        "incomplete": "incomplete_number",
        "saved": "succeeded",
        "wrongSecret": "client_secret",
    }
