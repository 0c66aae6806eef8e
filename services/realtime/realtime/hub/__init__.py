"""The clients of one replica and their connections."""

from realtime.hub.connections import Connection, Handshake
from realtime.hub.hub import Hub, encoded, error, problem

__all__ = ["Connection", "Handshake", "Hub", "encoded", "error", "problem"]
