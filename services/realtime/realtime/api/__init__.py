"""The WebSocket endpoint `/ws`, and its description (AsyncAPI)."""

from realtime.api.live import router

__all__ = ["router"]
