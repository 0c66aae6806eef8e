"""HTTP in: accounts, sessions and the public keys."""

from identity.api import accounts, sessions, well_known

ROUTERS = [accounts.auth, accounts.users, sessions.auth, well_known.well_known]

__all__ = ["ROUTERS"]
