"""Shared by all routes: request models and parameter types."""

from typing import Annotated

from contracts.types import Id
from fastapi import Path
from pydantic import BaseModel, ConfigDict

ShowtimeId = Annotated[Id, Path()]


class Body(BaseModel):
    """Base class of request models. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")
