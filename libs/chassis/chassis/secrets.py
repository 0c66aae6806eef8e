"""Secrets that are handed out once and kept only as a hash, and secrets that one must read again."""

import base64
import hashlib
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


def new_secret() -> str:
    """256 random bits, safe in URLs and headers (43 characters)."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """SHA-256 as hex. Enough for a random secret; a password needs argon2."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Unsealable(ValueError):
    """What was to be opened was sealed with none of the keys."""


class Seal:
    """Encrypts text for whoever has the key. `keys` are random texts with commas between: the first one seals.

    All of them open, so a key is changed by putting the new one in front of it for a while.
    """

    def __init__(self, keys: str) -> None:
        self._fernet = MultiFernet([_fernet(key) for each in keys.split(",") if (key := each.strip())])

    def close(self, text: str) -> str:
        """The text, sealed (ASCII, safe in JSON)."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text that was sealed. Raises Unsealable."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except (InvalidToken, ValueError) as error:
            raise Unsealable("sealed with another key") from error


def _fernet(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"seal " + key.encode()).digest()))
