"""Secrets that are handed out once and kept only as a hash."""

import hashlib
import secrets


def new_secret() -> str:
    """256 random bits, safe in URLs and headers (43 characters)."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """SHA-256 as hex. Enough for a random secret; a password needs argon2."""
    return hashlib.sha256(secret.encode()).hexdigest()
