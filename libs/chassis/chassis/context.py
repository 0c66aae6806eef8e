"""What travels along with a request or an event: its correlation id and its trace."""

from contextvars import ContextVar

from opentelemetry import trace

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")


def traceparent() -> str:
    """The current span in W3C form, or an empty text when nothing is traced."""
    here = trace.get_current_span().get_span_context()
    if not here.is_valid:
        return ""
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"
