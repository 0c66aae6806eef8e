"""Shared by all routes: request models and parameter types."""

from typing import Annotated

from contracts.types import Id
from fastapi import Depends, Path, Request
from pydantic import BaseModel, ConfigDict

from inventory.store import Replica

ShowtimeId = Annotated[Id, Path()]


async def _replica(request: Request) -> Replica:
    return request.app.state.replica


ThisReplica = Annotated[Replica, Depends(_replica)]


class Body(BaseModel):
    """Base class of request models. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")
