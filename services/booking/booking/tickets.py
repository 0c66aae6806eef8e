"""Tickets that the door can verify offline: compact JWS texts signed with Ed25519.

A ticket's QR text contains `tid` (ticket), `ref` (the booking's reference), `sid` (showtime), `seat` and `exp`; tickets
from before 2026-12 also contain `iat`. The header names the key (`kid`), whose public half is in the key set at
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
    """Return the signer of the key in the settings, or of the generated key, which the first replica stores.

    The public half of every key ever used stays in the database, so that old tickets can still be verified.
    """
    if settings.ticket_signing_key:
        signer = Signer(settings.ticket_signing_key)
        await store.store_key(TicketKey(id=signer.kid, jwk=signer.jwk))
        return signer
    pem = new_pem()
    own = await store.store_key(TicketKey(id="own", jwk=Signer(pem).jwk, pem=pem))
    return Signer(own.pem or pem)


@asynccontextmanager
async def signing_lifespan(settings: Settings) -> AsyncIterator[None]:
    """Lifespan: load the signer before the first request."""
    with signing_with(await load_signer(settings)):
        yield


def issue(booking: Booking) -> list[Ticket]:
    """Issue the signed tickets of a sold booking."""
    return issue_tickets(booking, sign)


async def public_keys() -> list[dict[str, str]]:
    """Every public key that booking has ever signed with, as JWKs."""
    return [key.jwk async for key in TicketKey.find_all()]
