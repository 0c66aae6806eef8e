"""Pages for the browser: the script at /v3/, the iframe of the card form, and the bank's 3-D Secure page."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

STATIC = Path(__file__).parent / "static"
FRESH = {"cache-control": "no-cache"}


def browser_pages() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/v3/")
    @router.get("/v3")
    async def script() -> FileResponse:
        return FileResponse(STATIC / "stripe.js", media_type="text/javascript", headers=FRESH)

    @router.get("/v3/card.html")
    async def card() -> FileResponse:
        return FileResponse(STATIC / "card.html", headers=FRESH)

    @router.get("/v3/3ds.html")
    async def bank() -> FileResponse:
        return FileResponse(STATIC / "3ds.html", headers=FRESH)

    return router
