"""The refresh token as a cookie, for pages in a browser.

Only /api/auth receives it, and uses it only when the browser says that the request comes from the site's own pages.
SameSite keeps other sites out; this check also keeps out sites on the same domain. Access tokens travel in the
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
    """Dependency: the cookie of the request, which the response may set."""

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
        """The refresh token in the cookie; None when it has another form. Raises CrossSite."""
        self.allow("cookie")
        kept = self._request.cookies.get(self._name, "")
        return kept if re.fullmatch(RefreshToken.PATTERN, kept) else None

    def keep(self, token: str, expires_at: datetime) -> None:
        """Set the cookie for the lifetime of the session."""
        self._set(token, int((expires_at - now()).total_seconds()))

    def forget(self, answer: Response | None = None) -> None:
        """Delete the cookie; `answer` is a response that replaces the usual one."""
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
