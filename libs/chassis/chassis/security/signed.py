"""Signed claims that a client carries from one service to another: JSON Web Signatures with a shared secret.

Each pair of services has its own key, so that no service can sign for another pair.
"""

from hashlib import sha256
from typing import Generic, TypeVar

import jwt
from pydantic import BaseModel, SecretStr, ValidationError

M = TypeVar("M", bound=BaseModel)
ALGORITHM = "HS256"
MIN_KEY_LENGTH = 16
MAX_LENGTH = 16_384
"""Longer than any text that `sign` makes, e.g. about ten seats with the longest names in any script."""


class NotSigned(ValueError):
    """The text was not signed with our keys for this audience, or it no longer fits the model."""


class SignedText(Generic[M]):
    """Signs and verifies one kind of claim.

    `keys` are random strings, separated by commas: the first one signs and all of them verify, so that keys can be
    rotated. Claims for another `audience` are rejected (RFC 7519, 4.1.3).
    """

    def __init__(self, model: type[M], audience: str, keys: SecretStr) -> None:
        self._model, self._audience = model, audience
        texts = [text.strip() for text in keys.get_secret_value().split(",") if text.strip()]
        if not texts or min(map(len, texts)) < MIN_KEY_LENGTH:
            raise ValueError(f"{audience}: each key needs {MIN_KEY_LENGTH} characters or more")
        self._keys = [sha256(f"{audience} {text}".encode()).digest() for text in texts]

    def sign(self, facts: M) -> str:
        """Return the claim as a compact JWS, which is safe in JSON and in headers."""
        claims = facts.model_dump(mode="json", exclude_none=True) | {"aud": self._audience}
        return jwt.encode(claims, self._keys[0], ALGORITHM)

    def read(self, text: str) -> M:
        """Verify a text and return its claim. Raises NotSigned."""
        if len(text) > MAX_LENGTH:
            raise NotSigned("too long")
        for key in self._keys:
            try:
                claims = jwt.decode(text, key, [ALGORITHM], audience=self._audience, options={"require": ["aud"]})
                return self._model.model_validate(claims)
            except jwt.InvalidSignatureError:
                continue
            except (jwt.InvalidTokenError, ValidationError, ValueError) as error:
                raise NotSigned(type(error).__name__) from error
        raise NotSigned("signed with another key")
