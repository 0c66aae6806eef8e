"""A running platform, as tests use it."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from chassis.ids import new_id
from chassis.testing import until
from customer import Customer, Json
from launcher.platform import Platform

PASSWORD = "popcorn-and-a-movie"
CODE = re.compile(r"#code=([0-9A-Z]{4}(?:-[0-9A-Z]{4}){4})")


@dataclass
class Cinema:
    """Creates people, plants faults in the Stripe sandbox and reads the mailbox."""

    platform: Platform
    http: httpx.AsyncClient

    def __post_init__(self) -> None:
        self._showtimes = self._listed()

    async def _listed(self) -> AsyncIterator[str]:
        """Return the ids of the showtimes on sale, the next ones first.

        They start so late that no deadline before the start passes during a test: the first tier of a refund ends two
        hours before, and the last reminder is due then.
        """
        soon = (datetime.now(UTC) + timedelta(hours=4)).isoformat()
        cursor: dict[str, str] | None = {"from": soon}
        while cursor is not None:
            page = await self.guest().call("GET", "/api/showtimes", params={"limit": 100} | cursor)
            for showtime in page["items"]:
                yield showtime["id"]
            cursor = {"from": soon, "cursor": page["next_cursor"]} if page["next_cursor"] else None

    def guest(self) -> Customer:
        """Create a customer without an account."""
        return Customer(self.platform.url, self.http)

    async def person(self, name: str = "customer") -> Customer:
        """Sign in one of the demo's people: customer, staff or admin."""
        person = self.guest()
        await person.log_in(f"{name}@usher.example", PASSWORD)
        return person

    async def seats(self, count: int | None, *, hall: int = 0, areas: bool = False) -> tuple[str, list[str]]:
        """Return an unused showtime in an auditorium with at least `hall` seats, and `count` free seats for everybody.

        None means all free seats. Without areas, a seat's id is what people call it.
        """
        async for showtime_id in self._showtimes:
            seat_map = await self.guest().call("GET", f"/api/showtimes/{showtime_id}/seats")
            has_areas = any(seat.get("area") for seat in seat_map["layout"]["seats"])
            if len(seat_map["layout"]["seats"]) >= hall and has_areas is areas:
                single = [seat for seat in seat_map["layout"]["seats"] if not seat.get("pair")]
                free = [seat for seat in single if seat["seat_id"] not in seat_map["taken"]]
                usual = [seat["seat_id"] for seat in free if seat["category"] not in {"wheelchair", "companion"}]
                if len(usual) >= (count or 1):
                    return showtime_id, usual[:count]
        raise LookupError(f"no showtime is left in an auditorium of {hall} seats")

    async def taken(self, showtime_id: str) -> Json:
        """Return the seats that are not free, with their states."""
        return (await self.guest().call("GET", f"/api/showtimes/{showtime_id}/seats"))["taken"]

    async def stripe(self, method: str, path: str, **request: Any) -> Any:
        """Send a request to the sandbox's control API or, with the secret key, to its Stripe API."""
        sandbox, key = self.platform.env["STRIPE_SANDBOX_URL"], self.platform.env["STRIPE_SECRET_KEY"]
        answer = await self.http.request(
            method, f"{sandbox}{path}", headers={"Authorization": f"Bearer {key}"}, **request
        )
        answer.raise_for_status()
        return answer.json()

    async def fault(self, kind: str, booking_id: str, **fields: Any) -> None:
        """Plant a fault at Stripe for one booking."""
        await self.stripe(
            "POST", "/_sandbox/faults", json={"kind": kind, "metadata": {"booking_id": booking_id}} | fields
        )

    async def gift_card(self, showtime_id: str, amount: int) -> str:
        """Let staff issue a gift card in the showtime's currency; return the code from its mail."""
        currency = (await self.guest().call("GET", f"/api/showtimes/{showtime_id}"))["currency"]
        address = f"gift-{new_id()}@usher.example"
        body = {"amount": amount, "currency": currency, "recipient_email": address}
        await (await self.person("admin")).call("POST", "/api/gift-cards/issue", json=body)
        return await self.mailed_code(address)

    async def mailed_code(self, address: str) -> str:
        """Wait for the mail with a gift card to this address; return its code."""

        async def found() -> list[str]:
            mails = (await self.http.get(f"{self.platform.env['MAILBOX_URL']}/email")).json()
            texts = [mail["text"] for mail in mails if mail["to"][0]["address"] == address]
            return [match[1] for text in texts if (match := CODE.search(text))]

        return (await until(found))[0]

    async def mails(self, reference: str) -> list[Json]:
        """Return the mails about a booking."""
        mails = (await self.http.get(f"{self.platform.env['MAILBOX_URL']}/email")).json()
        return [mail for mail in mails if reference in mail["subject"] + mail.get("text", "")]

    async def mailed_link(self, reference: str, subject: str) -> str:
        """Return the booking link of the only mail with this subject, which its text and HTML must share."""

        async def there() -> list[Json]:
            return [mail for mail in await self.mails(reference) if mail["subject"].startswith(subject)]

        (mail,) = await until(there)
        pattern = rf"{re.escape(self.platform.url)}/bookings/[\w-]+(?:#key=[\w.-]+)?"
        (link,) = {link for form in ("text", "html") for link in re.findall(pattern, mail[form])}
        return link
