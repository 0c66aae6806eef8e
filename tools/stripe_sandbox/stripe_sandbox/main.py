"""The sandbox's application: `uvicorn stripe_sandbox.main:app --port 8112`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse

from .api import stripe_api
from .browser import browser_pages
from .control import control_api
from .errors import StripeError
from .settings import Settings
from .state import Sandbox


def create_app(settings: Settings) -> FastAPI:
    """Create a sandbox with its own state."""
    sandbox = Sandbox(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with sandbox.webhook_sender.running():
            yield

    app = FastAPI(title="Stripe sandbox", description="Test cards only. No money moves here.", lifespan=lifespan)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["request-id", "stripe-version"],
    )
    app.include_router(stripe_api(sandbox))
    app.include_router(control_api(sandbox))
    app.include_router(browser_pages())

    @app.exception_handler(StripeError)
    async def stripe_error(request: Request, error: StripeError) -> JSONResponse:
        return JSONResponse(error.body(), error.status)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


app = create_app(Settings.from_environment())
