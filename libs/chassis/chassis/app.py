"""The app factory, which assembles a service from its parts."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import structlog
from contracts.identity import AccessRevoked, SessionEnded
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from chassis.http import idempotency, problems
from chassis.http.middleware import RequestMiddleware
from chassis.jobs import Job, Scheduler
from chassis.messaging import broker
from chassis.messaging.consumer import BroadcastConsumer, Consumer, Handlers
from chassis.mongo.connection import connected
from chassis.mongo.migrations import Schema
from chassis.mongo.outbox import Aggregate
from chassis.mongo.relay import Relay
from chassis.observability import telemetry
from chassis.observability.readiness import Readiness
from chassis.periodic import periodic
from chassis.privacy import Privacy
from chassis.security.auth import KeySource, Verifier, published_at
from chassis.security.revocations import RELOAD_S, Revocations
from chassis.settings import ServiceSettings

log = structlog.get_logger()
Lifespan = Callable[[Any], AbstractAsyncContextManager[Any]]


def create_service(
    settings: ServiceSettings,
    *,
    schema: Schema,
    routers: Sequence[APIRouter] = (),
    handlers: Handlers | None = None,
    broadcast_handlers: Handlers | None = None,
    jobs: Sequence[Job] = (),
    privacy: Privacy | None = None,
    lifespans: Sequence[Lifespan] = (),
    keys: KeySource | None = None,
    revoked: KeySource | None = None,
    on_revoked: Callable[[str], None] = lambda _: None,
) -> FastAPI:
    """Create the FastAPI app of a service.

    `privacy` erases and exports the personal data of a service that stores any.
    `lifespans` are entered with the settings, after MongoDB and before the first event and request, and exited last.
    `keys` returns the JWKS document and `revoked` the revocations (chassis.security.revocations); by default both
    are read from identity at the settings' `jwks_url` and `revocations_url`. `on_revoked` is called with the id of each
    user whose tokens were revoked.
    """
    telemetry.configure_logging(settings.service, settings.log_level)
    if privacy is not None:
        handlers = {**(handlers or {}), **privacy.handlers}
        jobs = [*jobs, privacy.job]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if tracing := telemetry.configure_tracing(settings.service):
                stack.callback(tracing.shutdown)
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=5))
            void = Revocations(revoked or published_at(settings.revocations_url, client), on_revoked)
            app.state.verifier = Verifier(settings, keys or published_at(settings.jwks_url, client), void)
            database = await stack.enter_async_context(connected(settings, schema))
            app.state.database = database
            app.state.idempotency_keys = database.idempotency_keys
            for opened in lifespans:
                await stack.enter_async_context(opened(settings))
            app.state.broker = rabbit = await stack.enter_async_context(broker.connected(settings))
            aggregates = [document for document in schema.documents if issubclass(document, Aggregate)]
            relay = await stack.enter_async_context(Relay(rabbit.publish, aggregates))
            sweep = [Job("sweep_outbox", every=5.0, run=relay.sweep, stand_by=relay.stand_by)] if aggregates else []
            await stack.enter_async_context(Scheduler([*sweep, *jobs], database.job_leases))
            revoking = {AccessRevoked: void.on_access_revoked, SessionEnded: void.on_session_ended}
            watched = {**revoking, **(broadcast_handlers or {})}
            await stack.enter_async_context(BroadcastConsumer(rabbit, settings.service, watched))
            await stack.enter_async_context(periodic((void.reload, RELOAD_S)))
            app.state.consumer = consumer = None
            if handlers:
                consumer = Consumer(rabbit, settings.service, handlers, settings.consumer_concurrency)
                app.state.consumer = await stack.enter_async_context(consumer)
            app.state.readiness = Readiness(database, rabbit, consumer)
            await app.state.readiness.checks()  # also compares the clocks before the first request
            log.info("service_started")
            yield
            log.info("service_stopping")

    app = FastAPI(
        title=f"Usher {settings.service}",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # such a redirect would name the host that the client has sent
        telemetry={"tracing": False, "metrics": False, "logs": False},  # `RequestMiddleware` measures requests
    )
    for router in routers:
        app.include_router(router)
    app.include_router(_operations)
    problems.install(app)
    # The middleware that is added last is the outermost one.
    app.add_middleware(idempotency.Idempotency)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            allow_credentials=True,
            expose_headers=["X-Correlation-Id", "Idempotent-Replayed", "Retry-After", "ETag"],
        )
    app.add_middleware(RequestMiddleware, max_body_bytes=settings.max_body_bytes)
    return app


_operations = APIRouter(include_in_schema=False)


@_operations.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer while the process runs."""
    return {"status": "alive"}


@_operations.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """Return 200 if MongoDB, RabbitMQ, the consumer and the clock are fine; otherwise 503 with the failed checks."""
    checks = await request.app.state.readiness.checks()
    return JSONResponse(checks, 200 if all(checks.values()) else 503)


@_operations.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return the metrics in Prometheus text format, including the readiness checks."""
    await request.app.state.readiness.checks()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
