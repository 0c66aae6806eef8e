"""A showtime whose buyers act in any order.

The steps call the handlers and the store directly, either one after the other, so that the order is exact, or
concurrently. `time_passes` moves a hold's deadline into the past.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from chassis.clock import now
from contracts.booking import BookingCancelled, BookingExpired, PaymentRequested
from contracts.catalog import ShowtimeCancelled
from contracts.payment import PaymentSucceeded
from contracts.types import Holder

GUEST = Holder(secret_hash="0" * 64)
SEATS = {"ada": ["A1", "A2"], "ben": ["A2", "A3"], "cleo": ["A1", "A2", "A3"]}
ANSWERS = {"seats_sold": "sold", "sale_rejected": "rejected", "seats_released": "refused"}
Step = tuple[str, str]


async def no_expired_holds(_: datetime) -> list[str]:
    """Replaces `store.with_expired_holds`, so that the job releases nothing."""
    return []


class Committed:
    """Replaces the relay: records the events of committed writes, in order, and the seats to broadcast."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.broadcaster = RecordedSeats()

    def enqueue(self, _: Any, __: str, ___: int | None, entries: Sequence[Mapping[str, Any]]) -> None:
        self.events += [(entry["type"].split(".")[1], entry["subject"]) for entry in entries]


class RecordedSeats:
    """Replaces the broadcaster: records the seats of committed writes, by showtime and in order."""

    def __init__(self) -> None:
        self.enqueued: dict[str, list[list[str]]] = defaultdict(list)

    def enqueue(self, showtime_id: str, seats: list[str]) -> None:
        self.enqueued[showtime_id].append(seats)


class Stage:
    """One showtime, its buyers, and what inventory does and publishes."""

    def __init__(self, showtime_id: str, committed: Committed) -> None:
        self.showtime_id, self.committed = showtime_id, committed
        self.ids: dict[str, str] = {}

    async def run(self, step: Step) -> None:
        """Run one step of one buyer. A step that needs a hold does nothing without one."""
        verb, buyer = step
        if verb in {"hold", "sweep", "close_showtime"} or buyer in self.ids:
            await getattr(self, verb)(buyer)

    async def hold(self, buyer: str) -> None:
        from inventory import model, settings, store  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.main import replica  # noqa: PLC0415

        if buyer in self.ids:
            return
        try:
            limits = settings.get().limits
            owner = model.HoldOwner(GUEST)
            held = await store.hold(replica, self.showtime_id, owner, SEATS[buyer], limits)
        except (model.SeatsTaken, model.SalesClosed):
            return
        self.ids[buyer] = held.id

    async def release(self, buyer: str) -> None:
        from inventory import model, store  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.main import replica  # noqa: PLC0415

        try:
            await store.release_hold(replica, self.ids[buyer], lambda _: True)
        except (model.HoldUnknown, model.HoldInCheckout):
            return

    async def time_passes(self, buyer: str) -> None:
        """Make the hold expire, with the seats that it still has."""
        from inventory.store import guards, read, showtimes  # noqa: PLC0415 - its settings come from inventory_env

        held = [seat for seat, each in (await read(self.showtime_id)).taken.items() if each.by == self.ids[buyer]]
        if (await read(self.showtime_id)).hold(self.ids[buyer]) is not None:
            past = now() - timedelta(seconds=1)
            await showtimes.update(
                {"_id": self.showtime_id, "holds.id": self.ids[buyer], **guards.seats_belong_to(held, self.ids[buyer])},
                {"$set": {"holds.$.expires_at": past} | {f"taken.{seat}.until": past for seat in held}},
            )

    async def sweep(self, _: str) -> None:
        from inventory.main import replica  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.store import release_expired  # noqa: PLC0415

        await release_expired(replica, self.showtime_id)

    async def pin(self, buyer: str) -> None:
        deadline = now() + timedelta(minutes=10)
        more = {"email": "a@usher.example", "reference": "R1", "amount": 1, "currency": "EUR"}
        facts = self._facts(buyer) | more | {"payment_deadline_at": deadline}
        await self._handle(PaymentRequested.model_validate(facts))

    async def pay(self, buyer: str) -> None:
        await self._handle(PaymentSucceeded.model_validate(self._facts(buyer) | {"amount": 1, "currency": "EUR"}))

    async def expire(self, buyer: str) -> None:
        await self._handle(BookingExpired.model_validate(self._facts(buyer)))

    async def cancel(self, buyer: str) -> None:
        await self._handle(BookingCancelled.model_validate(self._facts(buyer) | {"reason": "by_customer"}))

    async def close_showtime(self, _: str) -> None:
        await self._handle(ShowtimeCancelled(showtime_id=self.showtime_id, reason="technical"))

    async def _handle(self, event: Any) -> None:
        from inventory.handlers import handlers  # noqa: PLC0415 - its settings come from inventory_env
        from inventory.main import replica  # noqa: PLC0415

        await handlers(replica)[type(event)](event)

    def _facts(self, buyer: str) -> dict[str, Any]:
        return {
            "booking_id": self.ids[buyer],
            "showtime_id": self.showtime_id,
            "seats": SEATS[buyer],
            "holder": GUEST,
        }

    async def owners(self) -> dict[str, str]:
        """Return the owner and state of each seat, e.g. `ada sold`."""
        from inventory.store import read  # noqa: PLC0415 - its settings come from inventory_env

        names = {hold_id: buyer for buyer, hold_id in self.ids.items()}
        taken = (await read(self.showtime_id)).taken
        return {seat: f"{names[each.by]} {each.state}" for seat, each in sorted(taken.items())}

    def answers(self, buyer: str) -> list[str]:
        """Return what inventory published about the buyer's booking, in the order of the writes."""
        mine = self.ids.get(buyer)
        return [ANSWERS[kind] for kind, subject in self.committed.events if subject == mine]


NewStage = Callable[[], Awaitable[Stage]]


def steps(text: str) -> list[Step]:
    """Parse steps, e.g. `ada hold, ben pay, sweep`."""
    parts = [part.split() for part in text.split(", ")]
    return [(part[1], part[0]) if len(part) == 2 else (part[0], "") for part in parts]
