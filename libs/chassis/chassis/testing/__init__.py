"""What tests of a service need: real servers, a signer of real tokens, a bus to speak and listen on."""

from chassis.testing.bus import Bus
from chassis.testing.serve import replica_of, running, until
from chassis.testing.signer import Signer

__all__ = ["Bus", "Signer", "replica_of", "running", "until"]
