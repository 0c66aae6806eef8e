"""Logs as JSON lines with the correlation id, and traces if the standard OTEL_* variables enable them."""

import logging
import os
import re
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

import structlog
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from chassis.observability.context import correlation_id

SUBJECT = "usher.subject"
"""The span attribute with the id of the object that the span is about."""
CLIENT = SpanKind.CLIENT
"""The kind of a span around a call to another server."""
log = structlog.get_logger()
_tracer = trace.get_tracer("usher")
_no_span: AbstractContextManager[Span] = nullcontext(trace.INVALID_SPAN)
_is_tracing = False


def configure_logging(service: str, level: str) -> None:
    """Log to stdout, one JSON object per line: structlog, the standard library's loggers, warnings and crashes."""

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
    # The same list as before: loggers that are cached keep it.
    processors = structlog.get_config()["processors"]
    processors[:] = [*shared, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        # One write per line, so that lines of processes that share the output are not mixed.
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
    logging.getLogger("uvicorn.error").addFilter(_remove_query)
    for name in ("aio_pika", "aiormq", "httpx", "httpcore", "pymongo"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.captureWarnings(True)
    sys.excepthook = _log_crash
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_thread_crash


def _remove_query(record: logging.LogRecord) -> bool:
    """Remove query strings: uvicorn logs the address of each WebSocket, and a client may have put a secret there."""
    record.msg, record.args = re.sub(r'[?][^"\s]*', "", record.getMessage()), ()
    return True


def _log_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("process_crashed", exc_info=(kind, error, traceback))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    log.error("thread_crashed", thread=getattr(crash.thread, "name", None), exc_info=crash.exc_value)


def _log_unraisable(ignored: "sys.UnraisableHookArgs") -> None:
    """Log an exception that a destructor or an interpreter callback raised."""
    log.error("exception_ignored", source=repr(ignored.object), exc_info=ignored.exc_value)


def _exporter() -> SpanExporter | None:
    """Return the exporter named by the OpenTelemetry environment, or None."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    kind = os.environ.get("OTEL_TRACES_EXPORTER", "")
    if kind == "console":
        return ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\n")
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if kind == "otlp" or (not kind and endpoint):
        # Imported late: it takes a tenth of a service's import time and is off by default.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return OTLPSpanExporter()
    return None


def configure_tracing(service: str) -> TracerProvider | None:
    """Enable tracing if the environment names an exporter. The caller shuts down the provider at the end."""
    exporter = _exporter()
    if exporter is None:
        return None
    # On the console each span is written when it ends.
    processor = SimpleSpanProcessor if isinstance(exporter, ConsoleSpanExporter) else BatchSpanProcessor
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: f"usher-{service}"}))
    provider.add_span_processor(processor(exporter))
    trace.set_tracer_provider(provider)
    global _is_tracing  # noqa: PLW0603 - one per process, like the SDK's provider
    _is_tracing = True
    return provider


def span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, *, subject: str = "", parent: str = "", link: str = ""
) -> AbstractContextManager[Span]:
    """Open a span around a block, if tracing is on.

    `subject`: the id of the object that it is about. `parent`: a W3C traceparent; by default the current span. `link`:
    the traceparent of a related span in another trace.
    """
    if not _is_tracing:
        return _no_span
    context = propagate.extract({"traceparent": parent}) if parent else None
    other = (
        trace.get_current_span(propagate.extract({"traceparent": link}, Context())).get_span_context() if link else None
    )
    links = [Link(other)] if other and other.is_valid else None
    return _tracer.start_as_current_span(name, context, kind, {SUBJECT: subject} if subject else None, links)


def set_subject(subject: str, **facts: str | None) -> None:
    """Set the subject and further attributes (`usher.<name>`) of the current span."""
    current = trace.get_current_span()
    if current.is_recording():
        known = {f"usher.{name}": value for name, value in facts.items() if value}
        current.set_attributes({SUBJECT: subject, **known})


class DatabaseSpans(CommandListener):
    """Opens a span for each MongoDB command within a trace. Commands of jobs outside a trace get none."""

    def __init__(self) -> None:
        self._open: dict[int, Span] = {}

    def started(self, event: CommandStartedEvent) -> None:
        """Open the span as a child of the current span."""
        if trace.get_current_span().is_recording():
            collection = event.command.get(event.command_name, "")
            self._open[event.request_id] = _tracer.start_span(f"mongo {event.command_name} {collection}", kind=CLIENT)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Close the span."""
        self._close(event.request_id)

    def failed(self, event: CommandFailedEvent) -> None:
        """Close the span with the type of the failure."""
        self._close(event.request_id, str(event.failure.get("codeName", "failed")))

    def _close(self, request_id: int, failure: str = "") -> None:
        if opened := self._open.pop(request_id, None):
            if failure:
                opened.set_status(StatusCode.ERROR, failure)
            opened.end()


def database_listeners() -> list[CommandListener]:
    """Return the listeners for a MongoDB client: none while tracing is off."""
    return [DatabaseSpans()] if _is_tracing else []
