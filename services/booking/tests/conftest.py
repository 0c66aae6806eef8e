import itertools
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pymongo.monitoring
import pytest
from booking import store
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.secrets import Cipher, hash_secret, new_secret
from chassis.security.signed import SignedText
from chassis.testing import Bus, Signer, running, until
from contracts.booking import BookingConfirmed, PaymentRequested
from contracts.claims import HoldClaim, PaymentOrder
from contracts.inventory import SeatsSold
from contracts.types import Holder
from pydantic import SecretStr
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from . import examples, wallet

LINK_KEY = "a link key for the tests"
KEYS = {"LINK_KEY": LINK_KEY, "CLAIM_KEY": "a claim key for the tests", "ORDER_KEY": "an order key for the tests"}
CLAIMS = SignedText(HoldClaim, HoldClaim.audience, SecretStr(KEYS["CLAIM_KEY"]))
ORDERS = SignedText(PaymentOrder, PaymentOrder.audience, SecretStr(KEYS["ORDER_KEY"]))
_numbers = itertools.count(1)


class Reads(CommandListener):
    """The ids that the service has looked for, in order."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find" and isinstance(booking_id := event.command["filter"].get("_id"), str):
            self.ids.append(booking_id)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to do."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to do."""


@pytest.fixture(scope="session")
def reads() -> Reads:
    listener = Reads()
    pymongo.monitoring.register(listener)  # for the clients that are created from now on
    return listener


@pytest.fixture(scope="session")
async def pushes(tmp_path_factory):
    """Apple's push service for passes."""
    async with wallet.push_service(tmp_path_factory.mktemp("push")) as service:
        yield service


@pytest.fixture(scope="session")
async def client(service_env, reads, pushes):
    with pytest.MonkeyPatch.context() as patch:
        for name, key in (KEYS | wallet.settings_of(pushes.url)).items():
            patch.setitem(os.environ, name, key)
        from booking.main import app  # noqa: PLC0415 - the settings read the environment

        async with running(app) as client:
            yield client


@pytest.fixture
def state(client) -> Any:
    """The objects that live as long as the app: `manager`, `showtimes` and `signer`."""
    from booking.main import app  # noqa: PLC0415 - the settings read the environment

    return app.state


def sealed_codes(confirmed: BookingConfirmed) -> list[str]:
    """The QR texts in the event, which only the notifier can read."""
    assert confirmed.sealed_codes
    assert {ticket.qr for ticket in confirmed.tickets} == {""}
    return json.loads(Cipher(LINK_KEY).decrypt(confirmed.sealed_codes))


class Customer:
    """A customer with held seats: sends requests and publishes the events of the other services."""

    def __init__(self, client: httpx.AsyncClient, bus: Bus, headers: dict[str, str], holder: Holder) -> None:
        self.client, self.bus, self.headers, self.holder = client, bus, headers, holder
        self.showtime_id = f"show-{next(_numbers)}"
        self.new_hold()

    async def add_showtime(self, starts_at: datetime | None = None) -> None:
        await self.bus.publish(examples.scheduled(self.showtime_id, starts_at or now() + timedelta(hours=3)))
        await until(lambda: store.find_showtime(self.showtime_id))

    def new_hold(self, *seats: Any, seconds: float = 480, **facts: Any) -> None:
        """Create a hold, which booking knows only from its claim."""
        self.id = facts.get("hold_id", new_id())
        self.hold = HoldClaim(
            hold_id=self.id,
            showtime_id=self.showtime_id,
            seats=list(seats) or [examples.F7, examples.F8],
            holder=self.holder,
            revision=facts.get("revision", 0),
            expires_at=now() + timedelta(seconds=seconds),
        )

    @property
    def claim(self) -> str:
        return CLAIMS.sign(self.hold)

    def order(self, **changes: Any) -> dict[str, Any]:
        tickets = [{"seat_id": seat, "ticket_type": "adult"} for seat in ("F7", "F8")]
        return {"claim": self.claim, "tickets": tickets, "email": "ada@example.org", "name": "Ada"} | changes

    async def check_out(self, **changes: Any) -> httpx.Response:
        return await self.client.post("/api/bookings", json=self.order(**changes), headers=self.headers)

    async def get_quote(self, **changes: Any) -> httpx.Response:
        body = {"claim": self.claim} | changes
        return await self.client.post("/api/bookings/quote", json=body, headers=self.headers)

    async def place_order(self) -> dict[str, Any]:
        await self.add_showtime()
        answer = await self.check_out()
        assert answer.status_code == 201, answer.text
        await self.bus.wait_for(PaymentRequested, self.is_mine)
        return answer.json()

    async def buy_tickets(self) -> dict[str, Any]:
        booking = await self.place_order()
        await self.bus.publish(self.sold())
        await self.bus.wait_for(BookingConfirmed, self.is_mine)
        return booking

    def sold(self, **changes: Any) -> SeatsSold:
        facts = {"hold_id": self.id, "showtime_id": self.showtime_id, "seats": ["F7", "F8"]}
        return SeatsSold.model_validate(facts | {"amount": examples.TOTAL, "currency": "EUR"} | changes)

    def is_mine(self, event: Any) -> bool:
        return event.booking_id == self.id

    async def get_booking(self) -> dict[str, Any]:
        answer = await self.client.get(f"/api/bookings/{self.id}", headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def wait_for_state(self, state: str, seconds: float = 60) -> dict[str, Any]:
        async def reached() -> dict[str, Any]:
            booking = await self.get_booking()
            return booking if booking["state"] == state else {}

        return await until(reached, seconds=seconds)


@pytest.fixture
def customer(client, bus, signer: Signer) -> Customer:
    """A signed-in customer, a new one for each test."""
    user_id = f"user-{next(_numbers)}"
    return Customer(client, bus, signer.headers(user_id), Holder(user_id=user_id))


@pytest.fixture
def guest(client, bus) -> Customer:
    """A customer without an account."""
    secret = new_secret()
    return Customer(client, bus, {"X-Hold-Secret": secret}, Holder(secret_hash=hash_secret(secret)))


def raw_bookings() -> Any:
    """The collection of bookings, without the service's rules."""
    return store.BookingDocument.get_pymongo_collection()


Staff = Callable[..., dict[str, str]]


@pytest.fixture
def staff(signer: Signer) -> Staff:
    """Create headers of a staff member with these permissions at these theaters; without any, at all of them."""
    return lambda *permissions, theaters=(): signer.headers("staff-1", list(permissions), theaters=list(theaters))


def problem(answer: Any) -> tuple[int, str]:
    """The status and code of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]
