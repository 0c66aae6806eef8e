"""HTTP API: staff list the messages and their delivery state."""

from datetime import datetime
from typing import Annotated

from chassis.http.paging import Page, decode_cursor, encode_cursor
from chassis.security.auth import require_everywhere
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from notifier.model import Kind, State, masked
from notifier.store import Message

router = APIRouter(prefix="/api/notifications", tags=["notifications"])


class NotificationResponse(BaseModel):
    """One mail and its delivery state."""

    notification_id: str
    key: str
    kind: Kind
    reference: str
    to: str = Field(description="The masked address: its first letter and its domain.")
    state: State
    attempts: int
    reason: str | None = Field(description="Why the last attempt failed.")
    queued_at: datetime
    due_at: datetime | None = Field(description="When the next attempt is due, or when the current one times out.")
    sent_at: datetime | None


@router.get("", dependencies=[Depends(require_everywhere("notifications:read"))])
async def notifications(
    state: State | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Page[NotificationResponse]:
    """List the mails, newest first."""
    position = decode_cursor(cursor, str)
    found = await Message.newest(state, position[0] if position else None, limit + 1)
    page = found[:limit]
    return Page(
        items=[_response(message) for message in page],
        next_cursor=encode_cursor(page[-1].id) if len(found) > limit else None,
    )


def _response(message: Message) -> NotificationResponse:
    fields = message.model_dump(include=NotificationResponse.model_fields.keys() & Message.model_fields.keys())
    return NotificationResponse(notification_id=message.id, to=masked(message.address), **fields)
