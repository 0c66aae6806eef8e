"""What identity's routers share."""

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict


def router(prefix: str, tag: str) -> APIRouter:
    """A router whose answers no cache keeps."""
    return APIRouter(prefix=prefix, tags=[tag], dependencies=[Depends(_not_kept)])


def _not_kept(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


class Body(BaseModel):
    """A request's body: fields that nobody asked for are refused."""

    model_config = ConfigDict(extra="forbid")
