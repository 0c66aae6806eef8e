"""HTTP routes: accounts, sessions, second factors, passkeys, privacy, administration, and the public keys."""

from identity.api import (
    accounts,
    audit,
    invitations,
    mfa,
    passkeys,
    people,
    privacy,
    profile,
    recovery,
    sessions,
    well_known,
)

ROUTERS = [
    accounts.auth,
    recovery.auth,
    sessions.auth,
    mfa.auth,
    passkeys.auth,
    invitations.auth,
    profile.users,
    privacy.users,
    people.people,
    people.roles,
    invitations.invitations,
    audit.audit,
    well_known.well_known,
]

__all__ = ["ROUTERS"]
