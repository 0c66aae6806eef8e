"""Identity's documents and the writes that keep its rules true."""

from identity.store.sessions import Session, end_session, open_session, turn_session
from identity.store.signing import SigningKey, add_signing_key, signing_keys
from identity.store.users import User, active_user, add_user

DOCUMENTS = [User, Session, SigningKey]

__all__ = [
    "DOCUMENTS",
    "Session",
    "SigningKey",
    "User",
    "active_user",
    "add_signing_key",
    "add_user",
    "end_session",
    "open_session",
    "signing_keys",
    "turn_session",
]
