"""HTTP in: staff look at what was sent."""

from datetime import datetime
from typing import Annotated

from chassis.auth import require
from chassis.paging import Page, decode_cursor, encode_cursor
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from notifier.model import Kind, State, masked
from notifier.store import Message

router = APIRouter(prefix="/api/notifications", tags=["notifications"])


class Notification(BaseModel):
    """One mail as staff see it."""

    notification_id: str
    key: str
    kind: Kind
    reference: str
    to: str = Field(description="The address with all but its first letter and its domain masked.")
    state: State
    attempts: int
    reason: str | None = Field(description="Why the last attempt failed.")
    queued_at: datetime
    due_at: datetime | None = Field(description="When it is tried next, or the present attempt counts as lost.")
    sent_at: datetime | None


@router.get("", dependencies=[Depends(require("notifications:read"))])
async def notifications(
    state: State | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Page[Notification]:
    """The mails, the newest first."""
    position = decode_cursor(cursor, str)
    found = await Message.newest(state, position[0] if position else None, limit + 1)
    page = found[:limit]
    return Page(
        items=[_shown(message) for message in page],
        next_cursor=encode_cursor(page[-1].id) if len(found) > limit else None,
    )


def _shown(message: Message) -> Notification:
    fields = message.model_dump(include=Notification.model_fields.keys() & Message.model_fields.keys())
    return Notification(notification_id=message.id, to=masked(message.address), **fields)
