"""The Apple devices that have a ticket's pass."""

from datetime import datetime, timedelta

from contracts.booking import Screening

from booking.model import TooManyDevices, booking_id_of
from booking.store.documents import WalletPass, wallet_passes

KEPT_FOR = timedelta(days=90)
"""How long after the showtime a device is remembered."""
MAX_DEVICES = 20
"""Of one ticket. More than a family has; one handler tells all of them when the ticket changes."""


async def register_pass(device: str, ticket_id: str, push_token: str, screening: Screening, now: datetime) -> bool:
    """Store that the device has the ticket's pass; whether it is new there. Raises TooManyDevices."""
    facts = {"push_token": push_token, "expires_at": screening.ends_at + KEPT_FOR}
    found = WalletPass(
        id=_id_of(device, ticket_id),
        device=device,
        ticket_id=ticket_id,
        booking_id=booking_id_of(ticket_id),
        changed_at=now,
        **facts,
    )
    if await wallet_passes.update({"_id": found.id}, {"$set": facts}):
        return False
    of_ticket = {"booking_id": found.booking_id, "ticket_id": ticket_id}
    if await wallet_passes.count(of_ticket, limit=MAX_DEVICES) == MAX_DEVICES:
        raise TooManyDevices
    return await wallet_passes.insert(found)


async def unregister_pass(device: str, ticket_id: str) -> None:
    """Forget that the device has the ticket's pass."""
    await wallet_passes.delete({"_id": _id_of(device, ticket_id)})


async def changed_passes(device: str, since: datetime | None) -> list[WalletPass]:
    """Return the device's passes that changed after this time; all without one."""
    newer = {"changed_at": {"$gt": since}} if since else {}
    return [found async for found in wallet_passes.find({"device": device} | newer)]


async def mark_passes_changed(booking_id: str, now: datetime) -> list[str]:
    """Record that the passes of the booking have changed; returns the push tokens of their devices."""
    await wallet_passes.update_many({"booking_id": booking_id}, {"$max": {"changed_at": now}})
    return await wallet_passes.distinct("push_token", {"booking_id": booking_id})


async def forget_push_token(booking_id: str, push_token: str) -> None:
    """Forget the passes of a device that has none any more."""
    await wallet_passes.delete_many({"booking_id": booking_id, "push_token": push_token})


async def forget_passes(booking_id: str) -> None:
    """Forget the devices that have passes of the booking."""
    await wallet_passes.delete_many({"booking_id": booking_id})


def _id_of(device: str, ticket_id: str) -> str:
    return f"{device}.{ticket_id}"
