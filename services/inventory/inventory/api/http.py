"""What all addresses share."""

from typing import Annotated

from contracts.types import Id
from fastapi import Path
from pydantic import BaseModel, ConfigDict

ShowtimeId = Annotated[Id, Path()]


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid")
