"""Test support for services: real servers, a signer of real tokens, and an event bus to publish and receive on."""

from chassis.testing.bus import Bus
from chassis.testing.serve import replica_of, running, until
from chassis.testing.signer import Signer

__all__ = ["Bus", "Signer", "replica_of", "running", "until"]
