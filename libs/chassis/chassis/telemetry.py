"""Logs as JSON lines with the correlation id; traces when the standard OTEL_* variables ask for them."""

import logging
import os
import sys
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from chassis.context import correlation_id

tracer = trace.get_tracer("usher")


def configure_logging(service: str, level: str) -> None:
    """One JSON object a line on stdout, from structlog and from the standard library's loggers alike."""

    def add_context(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        event["service"] = service
        if current := correlation_id.get():
            event["correlation_id"] = current
        return event

    shared: list[Any] = [
        add_context,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
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
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: f"usher-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider
