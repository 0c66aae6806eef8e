"""Shared by all routes: request models and parameter types."""

from typing import Annotated

from chassis.http.network import client_network
from chassis.security.auth import Caller
from chassis.security.secrets import hash_secret, new_secret
from contracts.types import Holder, Id
from fastapi import Depends, Path, Request
from pydantic import BaseModel, ConfigDict

from inventory import settings
from inventory.model import MIN_SECRET, HoldOwner, SecretTooShort, holder_key
from inventory.store import Replica

ShowtimeId = Annotated[Id, Path()]


async def _replica(request: Request) -> Replica:
    return request.app.state.replica


ThisReplica = Annotated[Replica, Depends(_replica)]


class Body(BaseModel):
    """Base class of request models. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


def holder_of(who: Caller) -> tuple[Holder, str | None]:
    """Return the caller as a holder, and a new secret for a guest who has sent none. Raises SecretTooShort."""
    if who.principal:
        return Holder(user_id=who.principal.user_id), None
    if who.secret is None:
        secret = new_secret()
        return Holder(secret_hash=hash_secret(secret)), secret
    if len(who.secret) < MIN_SECRET:
        raise SecretTooShort
    return Holder(secret_hash=hash_secret(who.secret)), None


async def owner_of(request: Request, who: Caller, showtime_id: str, replica: Replica) -> HoldOwner:
    """Return the caller as the owner of a hold.

    The theater's box office and the callers named in the settings have no limits. Raises SecretTooShort,
    ShowtimeUnknown and SeatMapMissing.
    """
    (holder, secret), is_staff = holder_of(who), False
    if who.principal and who.principal.permissions:
        is_staff = who.may("seats:block", (await replica.showtime_info(showtime_id)).theater_id)
    config, network = settings.get(), client_network(request)
    if is_staff or config.is_exempt(network) or config.is_exempt(holder.user_id or network):
        return HoldOwner(holder, new_secret=secret)
    keys = (holder_key(holder), config.network_key(network)) if network else (holder_key(holder),)
    return HoldOwner(holder, keys, secret)
