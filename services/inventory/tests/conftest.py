"""Inventory on real servers, and helpers for its tests."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from chassis.clock import now
from chassis.ids import new_id
from chassis.security.signed import SignedText
from chassis.testing import running, until
from chassis.testing.bus import Bus
from contracts.booking import BookingCancelled, BookingExchanged, BookingExpired, BookingPaid, PaymentRequested
from contracts.catalog import Aisle, PlacedSeat, Point, Price, SeatLayoutPublished, ShowtimeScheduled
from contracts.claims import HoldClaim
from contracts.envelope import Event
from contracts.inventory import SaleRejected, SeatsChanged, SeatsReleased, SeatsSold
from contracts.payment import PaymentSucceeded
from prometheus_client import REGISTRY
from pydantic import SecretStr

from .stage import GUEST, Committed, NewStage, Stage, no_expired_holds

ROWS, NUMBERS = "ABCDE", 10
SECRET = "a-guest-secret-of-more-than-32-characters"
OLD_ID = "01900000000070008000000000000000"
"""An id from 2024 of which nothing exists, so that no event about it can still arrive."""
CLAIM_KEY = "a claim key for the tests"


@pytest.fixture(scope="session")
def inventory_env(service_env: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "CLAIM_KEY", CLAIM_KEY)
        patch.setitem(os.environ, "LINK_KEY", "a link key for the tests")
        patch.setitem(os.environ, "HOLD_LIMIT_EXEMPT", "127.0.0.1")
        yield


@pytest.fixture(scope="session")
async def client(inventory_env: None) -> AsyncIterator[httpx.AsyncClient]:
    from inventory.main import app  # noqa: PLC0415 - its settings come from inventory_env

    async with running(app) as client:
        yield client


def layout(layout_id: str) -> SeatLayoutPublished:
    """Five rows of ten in the stalls; row E is VIP."""
    seats = [
        PlacedSeat(
            seat_id=f"{row}{n}",
            row=row,
            number=n,
            category="vip" if row == "E" else "standard",
            x=n,
            y=y,
            area="Stalls",
        )
        for y, row in enumerate(ROWS)
        for n in range(1, NUMBERS + 1)
    ]
    return SeatLayoutPublished(
        layout_id=layout_id,
        auditorium_id="hall-1",
        columns=NUMBERS,
        rows=len(ROWS),
        seats=seats,
        screen="left",
        focal_point=Point(x=5.5, y=3.5),
        aisles=[Aisle(x=0, y=0, width=1, depth=5)],
    )


def scheduled(showtime_id: str, layout_id: str, **changes: Any) -> ShowtimeScheduled:
    """A showtime that is on sale."""
    moment = now()
    fields = {
        "showtime_id": showtime_id,
        "movie_id": "m1",
        "movie_title": "Metropolis",
        "theater_id": "theater-1",
        "theater_name": "Odeon",
        "auditorium_id": "hall-1",
        "auditorium_name": "Hall 1",
        "layout_id": layout_id,
        "time_zone": "Europe/Berlin",
        "starts_at": moment + timedelta(hours=3),
        "ends_at": moment + timedelta(hours=5),
        "sales_open_at": moment - timedelta(days=1),
        "sales_close_at": moment + timedelta(hours=3),
        "format": "2D",
        "language": "de",
        "certificate": "12",
        "currency": "EUR",
        "prices": [Price(category="standard", ticket_type="adult", amount=1250)],
    }
    return ShowtimeScheduled.model_validate(fields | changes)


@dataclass
class ShowtimeClient:
    """Calls the endpoints of one showtime."""

    client: httpx.AsyncClient
    showtime_id: str
    headers: dict[str, str] = field(default_factory=dict)

    async def hold(self, *seats: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """Request a hold."""
        address = f"/api/showtimes/{self.showtime_id}/holds"
        return await self.client.post(address, json={"seats": seats}, headers=headers or self.headers)

    async def best(self, party_size: int, headers: dict[str, str] | None = None, **wishes: Any) -> httpx.Response:
        """Request a hold of the best seats."""
        address = f"/api/showtimes/{self.showtime_id}/holds/best"
        body = {"party_size": party_size, **wishes}
        return await self.client.post(address, json=body, headers=headers or self.headers)

    async def held(self, *seats: str, headers: dict[str, str] | None = None) -> "HoldClient":
        """Create a hold; fails when it is refused."""
        answer = await self.hold(*seats, headers=headers)
        assert answer.status_code == 201, answer.text
        body = answer.json()
        secret = {"X-Hold-Secret": body["secret"]} if body["secret"] else headers or self.headers
        return HoldClient(self.client, body, secret)

    async def taken(self) -> dict[str, str]:
        """Return the states of the seats that are not free."""
        return (await self.client.get(f"/api/showtimes/{self.showtime_id}/seats")).json()["taken"]

    async def wait_for_taken(self, **taken: str) -> None:
        """Wait until exactly these seats are taken, in these states."""

        async def fits() -> bool:
            return await self.taken() == taken

        try:
            await until(fits)
        except AssertionError:
            assert await self.taken() == taken


@dataclass
class HoldClient:
    """Calls the endpoints of one hold with its holder's headers."""

    client: httpx.AsyncClient
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def id(self) -> str:
        return self.body["hold_id"]

    @property
    def address(self) -> str:
        return f"/api/holds/{self.id}"

    async def get(self) -> httpx.Response:
        return await self.client.get(self.address, headers=self.headers)

    async def change(self, **changes: Any) -> httpx.Response:
        return await self.client.patch(self.address, json=changes, headers=self.headers)

    async def renew(self) -> httpx.Response:
        return await self.client.post(f"{self.address}/renew", headers=self.headers)

    async def release(self) -> httpx.Response:
        return await self.client.delete(self.address, headers=self.headers)


class Booking:
    """Publishes booking's and payment's events about a hold, and waits for inventory's."""

    def __init__(self, bus: Bus, showtime: ShowtimeClient, booking_id: str, *seats: str) -> None:
        self.bus, self.id = bus, booking_id
        self.facts: dict[str, Any] = {
            "booking_id": booking_id,
            "showtime_id": showtime.showtime_id,
            "seats": list(seats),
            "holder": GUEST,
        }

    async def request_payment(self, **changes: Any) -> None:
        more = {"email": "a@usher.example", "reference": "R1", "amount": 2500, "currency": "EUR"}
        deadline = {"payment_deadline_at": now() + timedelta(minutes=10)}
        await self.bus.publish(PaymentRequested.model_validate(self.facts | more | deadline | changes))

    async def pay(self, **changes: Any) -> None:
        money = {"amount": 2500, "currency": "EUR", "user_id": self.facts["holder"].user_id}
        await self.bus.publish(PaymentSucceeded.model_validate(self.facts | money | changes))

    async def confirm_free(self) -> None:
        await self.bus.publish(BookingPaid.model_validate(self.facts))

    async def cancel(self) -> None:
        await self.bus.publish(BookingCancelled.model_validate(self.facts | {"reason": "by_customer"}))

    async def exchange(self) -> None:
        await self.bus.publish(BookingExchanged.model_validate(self.facts | {"replaced_by": new_id()}))

    async def expire(self) -> None:
        await self.bus.publish(BookingExpired.model_validate(self.facts))

    async def sold(self) -> SeatsSold:
        return await self.bus.wait_for(SeatsSold, lambda e: e.hold_id == self.id)

    async def released(self) -> SeatsReleased:
        return await self.bus.wait_for(SeatsReleased, lambda e: e.hold_id == self.id)

    async def rejected(self) -> SaleRejected:
        return await self.bus.wait_for(SaleRejected, lambda e: e.hold_id == self.id)

    def count_of(self, event: type[Event]) -> int:
        """Return how often inventory published the event about this booking."""
        return sum(envelope.subject == self.id for envelope in self.bus.envelopes(event))


def booking(bus: Bus, showtime: ShowtimeClient, held: HoldClient, *seats: str) -> Booking:
    """Create the booking of a hold by its holder."""
    made = Booking(bus, showtime, held.id, *(seats or [seat["seat_id"] for seat in held.body["seats"]]))
    made.facts["holder"] = claim_of(held.body).holder
    return made


def claim_of(body: dict[str, Any]) -> HoldClaim:
    """Read the claim of a response as booking does."""
    return SignedText(HoldClaim, HoldClaim.audience, SecretStr(CLAIM_KEY)).read(body["claim"])


async def wait_until_pinned(held: HoldClient) -> None:
    """Wait until the hold is pinned."""

    async def is_pinned() -> bool:
        return (await held.get()).json().get("in_checkout", False)

    await until(is_pinned)


async def wait_for_broadcast(bus: Bus, showtime: ShowtimeClient, **seats: str) -> SeatsChanged:
    """Wait for the broadcast of these states of the showtime's seats."""
    return await bus.wait_for(
        SeatsChanged, lambda e: e.showtime_id == showtime.showtime_id and seats.items() <= e.seats.items()
    )


@pytest.fixture
def committed(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> Committed:
    from inventory.main import replica  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.store.documents import ShowtimeDocument  # noqa: PLC0415

    committed = Committed()
    monkeypatch.setattr(ShowtimeDocument, "relay", committed)
    monkeypatch.setattr(replica, "broadcaster", committed.broadcaster)
    return committed


NewShowtime = Callable[..., Awaitable[ShowtimeClient]]
LOUNGE = ["ssss", "ssss", "wcss", "llll"]
"""One letter is one seat: standard, wheelchair, companion, love seat."""


def lounge(layout_id: str) -> SeatLayoutPublished:
    """Four rows of four seats; the view is best from the center."""
    kinds = {"s": "standard", "w": "wheelchair", "c": "companion", "l": "love_seat"}
    seats = [
        PlacedSeat(seat_id=f"{row}{x + 1}", row=row, number=x + 1, category=kinds[cell], x=x, y=y)
        for y, (row, cells) in enumerate(zip(ROWS, LOUNGE, strict=False))
        for x, cell in enumerate(cells)
    ]
    return SeatLayoutPublished(
        layout_id=layout_id, auditorium_id="hall-2", columns=4, rows=4, seats=seats, focal_point=Point(x=2, y=2)
    )


@pytest.fixture(scope="session")
async def new_showtime(client: httpx.AsyncClient, bus: Bus) -> NewShowtime:
    """A function that creates showtimes with the events that catalog publishes."""
    layout_id, lounge_id = new_id(), new_id()
    await bus.publish(layout(layout_id))
    await bus.publish(lounge(lounge_id))

    async def make(*, in_the_lounge: bool = False, **changes: Any) -> ShowtimeClient:
        showtime = ShowtimeClient(client, new_id())
        hall = {"layout_id": lounge_id if in_the_lounge else layout_id}
        await bus.publish(scheduled(showtime.showtime_id, **(hall | changes)), version=1)

        async def is_there() -> bool:
            return (await client.get(f"/api/showtimes/{showtime.showtime_id}/seats")).status_code == 200

        await until(is_there)
        return showtime

    return make


@pytest.fixture
async def showtime(new_showtime: NewShowtime) -> ShowtimeClient:
    """A new showtime for each test."""
    return await new_showtime()


@pytest.fixture
def short_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let holds expire after one second."""
    from inventory import settings  # noqa: PLC0415 - its settings come from inventory_env

    monkeypatch.setattr(settings.get(), "hold_seconds", 1)


@pytest.fixture
async def settled(bus: Bus, new_showtime: NewShowtime) -> Callable[[], Awaitable[None]]:
    """A function that waits until all earlier events are handled and their resulting events are published."""

    async def is_idle() -> bool:
        return REGISTRY.get_sample_value("usher_events_in_hand") == 0

    async def wait() -> None:
        # Events are consumed in the order of the queue, and published in the order of the writes.
        marker = await new_showtime()
        for seat in ("A1", "A2"):
            last = booking(bus, marker, await marker.held(seat))
            await last.pay()
            await last.sold()
            await until(is_idle)

    return wait


@pytest.fixture
async def new_stage(showtime: ShowtimeClient, committed: Committed, monkeypatch: pytest.MonkeyPatch) -> NewStage:
    """A function that creates copies of a showtime on sale, whose holds are released only by the step `sweep`."""
    from inventory import store  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.store import read, showtimes  # noqa: PLC0415

    monkeypatch.setattr(store, "with_expired_holds", no_expired_holds)
    pattern = await read(showtime.showtime_id)

    async def make() -> Stage:
        copy = pattern.model_copy(update={"id": new_id()})
        assert await showtimes.insert(copy)
        return Stage(copy.id, committed)

    return make
