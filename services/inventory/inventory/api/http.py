"""Shared by all routes: request models and parameter types."""

from typing import Annotated

from chassis.security.auth import Caller
from chassis.security.secrets import hash_secret, new_secret
from contracts.types import Holder, Id
from fastapi import Depends, Path, Request
from pydantic import BaseModel, ConfigDict

from inventory.model import MIN_SECRET, SecretTooShort
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
