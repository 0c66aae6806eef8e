"""HTTP in: accounts, sessions, second factors, passkeys and the public keys."""

from identity.api import accounts, mfa, passkeys, profile, recovery, sessions, well_known

ROUTERS = [
    accounts.auth,
    recovery.auth,
    sessions.auth,
    mfa.auth,
    passkeys.auth,
    profile.users,
    well_known.well_known,
]

__all__ = ["ROUTERS"]
