"""The audit log for admins. Lines are never changed."""

from datetime import datetime
from typing import Annotated

from chassis.http.paging import CursorInvalid, Page
from chassis.http.problems import documented
from contracts.identity import Grant
from contracts.types import Code, Id, StorableMoment
from fastapi import Query
from pydantic import BaseModel, Field

from identity import store
from identity.api.administration import ADMIN_PROBLEMS, Auditor, PageQuery, paged
from identity.api.routing import router

audit = router("/api/admin/audit", "audit log")


class ActionResponse(BaseModel):
    """One action. A deleted person has an id and no name."""

    act_id: str = Field(examples=["019aa3c2-7d6e-7c5b-9a50-0f3c2b1a4d5e"])
    action: str = Field(examples=["roles_changed"])
    actor_id: Id | None = Field(description="null for a command-line tool")
    user_id: Id | None = Field(description="the person concerned; null for viewing a list")
    booking_id: Id | None = Field(description="the booking that staff changed")
    showtime_id: Id | None = Field(description="the showtime whose change staff requested or confirmed")
    gift_card_id: Id | None = Field(description="the gift card that staff issued or changed")
    before: Grant | None
    after: Grant | None
    acted_at: datetime
    actor_name: str | None = Field(examples=["Ada Admin"])
    user_name: str | None = Field(examples=["Grace Hopper"])


class AuditFilter(PageQuery):
    """Filters of the audit log; all given ones must match."""

    user_id: Id | None = Field(default=None, description="done to this person")
    actor_id: Id | None = Field(default=None, description="done by this person")
    action: Code | None = Field(default=None, examples=["deactivated"])
    since: StorableMoment | None = Field(default=None, description="not earlier than")
    before: StorableMoment | None = Field(default=None, description="earlier than")


@audit.get("", responses=documented(*ADMIN_PROBLEMS, CursorInvalid))
async def acts(_: Auditor, wanted: Annotated[AuditFilter, Query()]) -> Page[ActionResponse]:
    """Changes of people's rights and credentials, and who viewed whom, the newest first."""
    where = wanted.model_dump(include={"user_id", "actor_id", "action"}, exclude_none=True)
    found = await store.audit_page(where, wanted.since, wanted.before, wanted.position, wanted.limit + 1)
    names = await store.names_of({each for entry in found for each in (entry.actor_id, entry.user_id) if each})

    def shown(entry: store.AuditEntry) -> ActionResponse:
        return ActionResponse(
            act_id=entry.id,
            actor_name=names.get(entry.actor_id or ""),
            user_name=names.get(entry.user_id or ""),
            **entry.model_dump(exclude={"id", "revision_id"}),
        )

    return paged(found, wanted.limit, shown, lambda entry: entry.id)
