"""Shared by the routers for admins: the permission check and paging."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

from chassis.http.paging import Page, decode_cursor, encode_cursor
from chassis.http.problems import Forbidden, Unauthenticated
from chassis.security.auth import Principal, require_everywhere
from contracts.types import Id
from fastapi import Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from identity.api.routing import VISIT_PROBLEMS, CurrentVisit

T = TypeVar("T")
R = TypeVar("R")

UserId = Annotated[Id, Path(examples=["019aa3c2-7d6e-7c5b-9a50-0f3c2b1a4d5e"])]
ADMIN_PROBLEMS = (Unauthenticated, Forbidden, *VISIT_PROBLEMS)


def acting(permission: str) -> Callable[..., Awaitable[Principal]]:
    """Dependency: a person with the permission at all theaters and an open session. Raises ADMIN_PROBLEMS."""

    async def check(
        principal: Annotated[Principal, Depends(require_everywhere(permission))], visit: CurrentVisit
    ) -> Principal:
        del visit
        return principal

    return check


Reader = Annotated[Principal, Depends(acting("users:read"))]
Writer = Annotated[Principal, Depends(acting("users:write"))]
Auditor = Annotated[Principal, Depends(acting("audit:read"))]


class PageQuery(BaseModel):
    """Query parameters of every list."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the previous page")
    limit: int = Field(default=20, ge=1, le=100)

    @property
    def position(self) -> str | None:
        """The id of the last row of the previous page. Raises CursorInvalid."""
        position = decode_cursor(self.cursor, str)
        return position[0] if position else None


def paged(found: Sequence[T], limit: int, shown: Callable[[T], R], id_of: Callable[[T], str]) -> Page[R]:
    """A page of the rows, which may be one more than the page size."""
    page = found[:limit]
    return Page(
        items=[shown(each) for each in page],
        next_cursor=encode_cursor(id_of(page[-1])) if len(found) > limit else None,
    )
