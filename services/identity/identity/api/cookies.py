"""The refresh token as a cookie, for pages in a browser.

Only /api/auth gets it, and uses it only for a request that the browser says comes from the site's own pages:
SameSite keeps other sites out, this check also those that share the site's domain. Access tokens travel in the
Authorization header, which no other site can set.
"""

import re
from datetime import datetime
from typing import Annotated, Literal

from chassis.clock import now
from fastapi import Depends, Request, Response

from identity import settings
from identity.model import CrossSite, RefreshToken

Mode = Literal["body", "cookie"]
NAME, SECURE_NAME = "usher_session", "__Secure-usher_session"
PATH = "/api/auth"


class Jar:
    """Dependency: the cookie that the request brought and the answer may set."""

    def __init__(self, request: Request, response: Response) -> None:
        self._request, self._response = request, response
        self._is_local = settings.get().is_local
        self._name = NAME if self._is_local else SECURE_NAME

    def allow(self, mode: Mode) -> None:
        """Raises CrossSite when a page of another site wants or uses a cookie."""
        headers = self._request.headers
        if mode == "body" or headers.get("sec-fetch-site") == "same-origin":
            return
        chosen = settings.get()
        if headers.get("origin") not in {*chosen.site_origins, *chosen.cors_origins}:
            raise CrossSite

    def read(self) -> str | None:
        """The refresh token that the browser keeps; None for anything else under its name. Raises CrossSite."""
        self.allow("cookie")
        kept = self._request.cookies.get(self._name, "")
        return kept if re.fullmatch(RefreshToken.PATTERN, kept) else None

    def keep(self, token: str, expires_at: datetime) -> None:
        """Have the browser keep the refresh token as long as its session lasts."""
        self._set(token, int((expires_at - now()).total_seconds()))

    def forget(self, answer: Response | None = None) -> None:
        """Have the browser forget it; `answer` is one that takes the place of the usual."""
        self._set("", 0, answer)

    def _set(self, value: str, max_age: int, answer: Response | None = None) -> None:
        (answer or self._response).set_cookie(
            self._name,
            value,
            max_age=max_age,
            path=PATH,
            secure=not self._is_local,
            httponly=True,
            samesite="strict",
        )


Cookies = Annotated[Jar, Depends()]
