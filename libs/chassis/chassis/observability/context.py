"""The context of a request or an event: its correlation id and its trace."""

from contextvars import ContextVar

from opentelemetry import trace

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")


def traceparent() -> str:
    """Return the current span as a W3C traceparent; empty when there is no trace."""
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return ""
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"
