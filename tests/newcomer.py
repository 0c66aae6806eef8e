"""A person without an account, and their mails."""

import asyncio
import itertools
import re
import time
from typing import Any

from cinema import Cinema
from customer import Customer, Json

PASSWORD = "correct horse battery"
_numbers = itertools.count(int(time.time()))


class Newcomer:
    """A person without an account, with their mailbox."""

    def __init__(self, cinema: Cinema) -> None:
        self.cinema, self.guest = cinema, cinema.guest()
        self.email = f"ada{next(_numbers)}@usher.example"

    async def auth(self, path: str, **body: Any) -> Json:
        """Send a request to `/api/auth`."""
        return await self.guest.call("POST", f"/api/auth/{path}", json=body)

    async def mail(self, subject: str) -> Json:
        """Wait for the only mail with this subject and return it."""
        mails = []
        async with asyncio.timeout(60):
            while not mails:
                await asyncio.sleep(0.1)
                mails = [mail for mail in await self.inbox() if mail["subject"] == subject]
        (mail,) = mails
        return mail

    async def inbox(self) -> list[Json]:
        """Return all mails to this person."""
        everybodys = (await self.cinema.http.get(f"{self.cinema.platform.env['MAILBOX_URL']}/email")).json()
        return [mail for mail in everybodys if self.email in [to["address"] for to in mail["to"]]]

    async def link(self, subject: str) -> tuple[str, str]:
        """Return the page and the token of the link in that mail. The text and HTML parts must have the same link."""
        mail = await self.mail(subject)
        found = {re.search(rf"{self.guest.url}/([a-z-]+)#token=([\w-]{{43}})", mail[form]) for form in ("text", "html")}
        pages = {(match[1], match[2]) for match in found if match}
        (page,) = pages
        return page

    async def sign_up(self, **fields: Any) -> Json:
        """Register and confirm the address."""
        answer = await self.auth("register", email=self.email, password=PASSWORD, name="Ada", **fields)
        page, token = await self.link("Please confirm your e-mail address")
        assert page == "verify-email"
        await self.auth("verify-email", token=token, password=PASSWORD)
        return answer

    def acting(self, answer: Json) -> Customer:
        """Return a customer with the access token of this response."""
        customer = Customer(self.guest.url, self.guest.http)
        customer.headers["Authorization"] = f"Bearer {answer['access_token']}"
        return customer
