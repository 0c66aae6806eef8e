"""Random secrets, which are stored as a hash only, and encryption of secrets that must be read again."""

import base64
import hashlib
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


def new_secret() -> str:
    """Return 256 random bits as 43 characters that are safe in URLs and headers."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return the SHA-256 as hex. This is enough for a random secret; a password needs argon2."""
    return hashlib.sha256(secret.encode()).hexdigest()


class CannotDecrypt(ValueError):
    """The text was not encrypted with any of the keys."""


class Cipher:
    """Encrypts text with a shared key. `keys` are random strings, separated by commas; the first one encrypts.

    All of them decrypt. To rotate a key, put the new one first and remove the old one later.
    """

    def __init__(self, keys: str) -> None:
        self._fernet = MultiFernet([_fernet(key) for each in keys.split(",") if (key := each.strip())])

    def encrypt(self, text: str) -> str:
        """Encrypt a text. The result is ASCII and safe in JSON."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Decrypt a text. Raises CannotDecrypt."""
        try:
            return self._fernet.decrypt(encrypted).decode()
        except (InvalidToken, ValueError) as error:
            raise CannotDecrypt("encrypted with another key") from error


def _fernet(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"seal " + key.encode()).digest()))
