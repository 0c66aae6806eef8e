"""Tickets that a door can check without asking anyone: a compact JWS, signed with Ed25519.

The text of a ticket's QR code carries `tid` (ticket), `ref` (the booking's reference), `sid` (showtime), `seat` and
`exp`; tickets from before 2026-12 also `iat`. Its header names the key (`kid`), whose public half is in the key set at
`/api/tickets/keys`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.booking import Ticket

from booking import store
from booking.model import Booking, issue_tickets
from booking.settings import Settings
from booking.signing import Signer, new_pem, sign, signing_with
from booking.store import TicketKey


async def load_signer(settings: Settings) -> Signer:
    """The signer with the key from the settings, or else with booking's own, which the first replica makes.

    Every key that was ever used stays in the database with its public half, so that old tickets stay readable.
    """
    if settings.ticket_signing_key:
        signer = Signer(settings.ticket_signing_key)
        await store.keep_key(TicketKey(id=signer.kid, jwk=signer.jwk))
        return signer
    pem = new_pem()
    own = await store.keep_key(TicketKey(id="own", jwk=Signer(pem).jwk, pem=pem))
    return Signer(own.pem or pem)


@asynccontextmanager
async def ready(settings: Settings) -> AsyncIterator[None]:
    """Lifespan: the signer is there before the first sale."""
    with signing_with(await load_signer(settings)):
        yield


def issue(booking: Booking) -> list[Ticket]:
    """The signed tickets of a sold booking."""
    return issue_tickets(booking, sign)


async def public_keys() -> list[dict[str, str]]:
    """Every key that booking has ever signed with, as JWKs."""
    return [key.jwk async for key in TicketKey.find_all()]
