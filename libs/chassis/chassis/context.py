"""What travels along with a request or an event: its correlation id and its trace."""

from contextvars import ContextVar

from opentelemetry import propagate

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")


def traceparent() -> str:
    """The current span in W3C form, or an empty text when nothing is traced."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent", "")
