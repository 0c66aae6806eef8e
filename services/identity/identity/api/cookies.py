"""The cookies of pages in a browser: the refresh token, and the mark of a known device.

Only /api/auth receives them. The refresh token is used only when the browser says that the request comes from the
site's own pages. SameSite keeps other sites out; this check also keeps out sites on the same domain. Access tokens
travel in the Authorization header, which no other site can set.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

from chassis.clock import now
from chassis.security.secrets import CannotDecrypt, Cipher, hash_secret, new_secret
from fastapi import Depends, Request, Response

from identity import settings
from identity.model import CrossSite, RefreshToken

Mode = Literal["body", "cookie"]
NAME, SECURE_NAME = "usher_session", "__Secure-usher_session"
DEVICE_NAME = "usher_device"
DEVICE_S = 365 * 24 * 3600
PATH = "/api/auth"


class Jar:
    """Dependency: the session cookie of the request, which the response may set."""

    def __init__(self, request: Request, response: Response) -> None:
        self._request, self._response = request, response
        self._name = NAME if settings.get().is_local else SECURE_NAME

    def allow(self, mode: Mode) -> None:
        """Raises CrossSite when a page of another site wants or uses a cookie."""
        headers = self._request.headers
        if mode == "body" or headers.get("sec-fetch-site") == "same-origin":
            return
        chosen = settings.get()
        if headers.get("origin") not in {*chosen.site_origins, *chosen.cors_origins}:
            raise CrossSite

    def read(self) -> str | None:
        """The refresh token in the cookie; None when it has another form. Raises CrossSite."""
        self.allow("cookie")
        stored = self._request.cookies.get(self._name, "")
        return stored if re.fullmatch(RefreshToken.PATTERN, stored) else None

    def keep(self, token: str, expires_at: datetime) -> None:
        """Set the cookie for the lifetime of the session."""
        _set(self._response, self._name, token, int((expires_at - now()).total_seconds()))

    def forget(self, answer: Response | None = None) -> None:
        """Delete the cookie; `answer` is a response that replaces the usual one."""
        _set(answer or self._response, self._name, "", 0)


class Device:
    """Dependency: the cookie of a browser in which somebody has signed in.

    It holds the address's hash and a random number, encrypted. It grants nothing: it only gives this browser a counter
    of its own for wrong passwords of that address (OWASP, Slow Down Online Guessing Attacks with Device Cookies).
    """

    def __init__(self, request: Request, response: Response) -> None:
        self._cookie, self._response = request.cookies.get(DEVICE_NAME, ""), response
        self._cipher = Cipher(settings.get().identity_key.get_secret_value())

    def number_for(self, email: str) -> str | None:
        """The number, if the cookie belongs to this address."""
        try:
            owner, _, number = self._cipher.decrypt(self._cookie).partition(" ")
        except CannotDecrypt:
            return None
        return number if owner == _owner(email) else None

    def remember(self, email: str) -> None:
        """Set the cookie, with a new number."""
        _set(self._response, DEVICE_NAME, self._cipher.encrypt(f"{_owner(email)} {new_secret()}"), DEVICE_S)


def _owner(email: str) -> str:
    return hash_secret(f"device of {email}")


def _set(response: Response, name: str, value: str, max_age: int) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=PATH,
        secure=not settings.get().is_local,
        httponly=True,
        samesite="strict",
    )


Cookies = Annotated[Jar, Depends()]
KnownDevice = Annotated[Device, Depends()]
