"""The codes of gift cards: 100 random bits as 20 letters and digits, stored as a keyed hash only."""

import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: without I, L, O and U, which are read as other characters."""
LENGTH, GROUP = 20, 4
_READ_AS = str.maketrans("OIL", "011")


def new_code() -> str:
    """Generate a code in groups of four characters."""
    characters = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(characters[start : start + GROUP] for start in range(0, LENGTH, GROUP))


def normal_code(typed: str) -> str | None:
    """Return the characters of a typed code; None when it cannot be one. Case, spaces and dashes make no difference."""
    characters = read_characters("".join(each for each in typed if each.isalnum()))
    return characters if len(characters) == LENGTH and set(characters) <= set(ALPHABET) else None


def read_characters(typed: str) -> str:
    """Return typed characters of a code as they are meant: O is 0, I and L are 1."""
    return typed.upper().translate(_READ_AS)


def hash_code(code: str, key: str) -> str:
    """Return the keyed hash of a code's characters."""
    return hmac.new(key.encode(), b"gift card " + code.encode(), sha256).hexdigest()


def hashes_of(typed: str, keys: Sequence[str]) -> list[str]:
    """Return the hashes of a typed code under each key; none when it cannot be a code."""
    code = normal_code(typed)
    return [hash_code(code, key) for key in keys] if code else []
