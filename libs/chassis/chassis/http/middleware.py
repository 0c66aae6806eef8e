"""The outermost ASGI middleware of every service: correlation id, trace, body limit and request metrics."""

import re
import time

import structlog
from opentelemetry.trace import SpanKind
from prometheus_client import Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.http.problems import InternalError, TooLarge, Unavailable, response
from chassis.ids import new_id
from chassis.mongo.connection import is_outage
from chassis.observability import telemetry
from chassis.observability.context import correlation_id

log = structlog.get_logger()
HEADER = "X-Correlation-Id"
RETRY_AFTER_S = 2
_VALID_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")
_seconds = Histogram(
    "usher_http_request_seconds",
    "Time to answer a request",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)


class RequestMiddleware:
    """ASGI middleware. `max_body_bytes` limits the size of a request's body."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self.app, self.max_body_bytes = app, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(HEADER, "")
        current = given if _VALID_ID.fullmatch(given) else new_id()
        correlation = correlation_id.set(current)
        try:
            if scope["type"] == "http":
                await self._http(scope, receive, send, headers, current)
            else:
                await self.app(scope, receive, send)
        finally:
            correlation_id.reset(correlation)

    async def _http(self, scope: Scope, receive: Receive, send: Send, headers: Headers, current: str) -> None:
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = current
            await send(message)

        # A client's trace is linked, not joined: it must not choose our trace ids or which requests are sampled.
        with telemetry.span(scope["method"], SpanKind.SERVER, link=headers.get("traceparent", "")) as span:
            try:
                if self._declared_length(headers) > self.max_body_bytes:
                    await response(TooLarge())(scope, receive, send_with_id)
                else:
                    await self.app(scope, self._bounded(receive), send_with_id)
            except Exception as error:
                # Starlette's handler for unexpected errors runs outside this middleware, without the correlation id.
                log.exception("request_failed", method=scope["method"], path=scope["path"])
                if status:
                    raise
                problem = Unavailable(retry_after=RETRY_AFTER_S) if is_outage(error) else InternalError()
                await response(problem)(scope, receive, send_with_id)
            finally:
                route = getattr(scope.get("route"), "path", "-")
                _seconds.labels(scope["method"], route, status).observe(time.perf_counter() - started)
                if span.is_recording():
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attributes({"http.response.status_code": status, "usher.correlation_id": current})

    @staticmethod
    def _declared_length(headers: Headers) -> int:
        length = headers.get("content-length", "0")
        return int(length) if length.isdigit() else 0

    def _bounded(self, receive: Receive) -> Receive:
        seen = 0

        async def receive_bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.max_body_bytes:
                raise TooLarge
            return message

        return receive_bounded
