"""Logs as JSON lines with the correlation id; traces when the standard OTEL_* variables ask for them."""

import logging
import os
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

import structlog
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.trace import Span, SpanKind, StatusCode
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from chassis.context import correlation_id

SUBJECT = "usher.subject"
"""The span attribute with the id of the thing that a span is about."""
CLIENT = SpanKind.CLIENT
"""The kind of a span around a call to somebody else's server."""
log = structlog.get_logger()
_tracer = trace.get_tracer("usher")
_no_span: AbstractContextManager[Span] = nullcontext(trace.INVALID_SPAN)
_is_tracing = False


def configure_logging(service: str, level: str) -> None:
    """Write one JSON object a line to stdout, from structlog, the standard library's loggers, warnings and crashes."""

    def add_context(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        event["service"] = service
        if current := correlation_id.get():
            event["correlation_id"] = current
        return event

    shared: list[Any] = [
        add_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        # One write a line, so that the lines of processes that share the output do not mix.
        logger_factory=structlog.WriteLoggerFactory(sys.__stdout__),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.__stdout__)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for name in ("aio_pika", "aiormq", "httpx", "httpcore", "pymongo"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.captureWarnings(True)
    sys.excepthook = _log_crash
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_thread_crash


def _log_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("process_crashed", exc_info=(kind, error, traceback))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    log.error("thread_crashed", thread=getattr(crash.thread, "name", None), exc_info=crash.exc_value)


def _log_unraisable(ignored: "sys.UnraisableHookArgs") -> None:
    """Log what a destructor or a callback of the interpreter raised."""
    log.error("exception_ignored", source=repr(ignored.object), exc_info=ignored.exc_value)


def _exporter() -> SpanExporter | None:
    """The exporter that the OpenTelemetry environment names; none when it names none."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    kind = os.environ.get("OTEL_TRACES_EXPORTER", "")
    if kind == "console":
        return ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\n")
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if kind == "otlp" or (not kind and endpoint):
        # A tenth of a service's import time, for something that is off by default.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return OTLPSpanExporter()
    return None


def configure_tracing(service: str) -> TracerProvider | None:
    """Turn tracing on when the environment says so. The caller shuts the provider down at the end."""
    exporter = _exporter()
    if exporter is None:
        return None
    # Somebody watches the console: each span is written as it ends.
    processor = SimpleSpanProcessor if isinstance(exporter, ConsoleSpanExporter) else BatchSpanProcessor
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: f"usher-{service}"}))
    provider.add_span_processor(processor(exporter))
    trace.set_tracer_provider(provider)
    global _is_tracing  # noqa: PLW0603 - the SDK's provider, too, is set once for the whole process
    _is_tracing = True
    return provider


def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, *, subject: str = "", parent: str = ""
) -> AbstractContextManager[Span]:
    """A span around a block while tracing is on, nothing while it is off.

    `subject`: the id of what it is about. `parent`: the W3C traceparent that it continues, else the current span.
    """
    if not _is_tracing:
        return _no_span
    context = propagate.extract({"traceparent": parent}) if parent else None
    return _tracer.start_as_current_span(name, context, kind, {SUBJECT: subject} if subject else None)


def about(subject: str, **facts: str | None) -> None:
    """Say on the current span what it is about, with further facts (`usher.<name>`)."""
    current = trace.get_current_span()
    if current.is_recording():
        known = {f"usher.{name}": value for name, value in facts.items() if value}
        current.set_attributes({SUBJECT: subject, **known})


class DatabaseSpans(CommandListener):
    """A span for each command to MongoDB that is part of something traced; not for what jobs look for by themselves."""

    def __init__(self) -> None:
        self._open: dict[int, Span] = {}

    def started(self, event: CommandStartedEvent) -> None:
        """Open the span, as a child of the span whose code sent the command."""
        if trace.get_current_span().is_recording():
            collection = event.command.get(event.command_name, "")
            self._open[event.request_id] = _tracer.start_span(f"mongo {event.command_name} {collection}", kind=CLIENT)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Close it."""
        self._close(event.request_id)

    def failed(self, event: CommandFailedEvent) -> None:
        """Close it with the kind of the failure."""
        self._close(event.request_id, str(event.failure.get("codeName", "failed")))

    def _close(self, request_id: int, failure: str = "") -> None:
        if opened := self._open.pop(request_id, None):
            if failure:
                opened.set_status(StatusCode.ERROR, failure)
            opened.end()


def database_listeners() -> list[CommandListener]:
    """What a MongoDB client is to be given: nothing while tracing is off."""
    return [DatabaseSpans()] if _is_tracing else []
