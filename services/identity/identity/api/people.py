"""People, for admins. Every action, including viewing, is a line of the audit log."""

from datetime import datetime
from typing import Annotated

import structlog
from chassis.clock import now
from chassis.http.paging import CursorInvalid, Page
from chassis.http.problems import Unavailable, documented
from contracts.types import Id
from fastapi import Query, status
from pydantic import BaseModel, Field

from identity import store
from identity.api.administration import ADMIN_PROBLEMS, PageQuery, Reader, UserId, Writer, paged
from identity.api.routing import router
from identity.api.sessions import SessionResponse, shown
from identity.model import PERMISSIONS, Account, Grant, LastAdmin, Role, UserUnknown, permissions_of

log = structlog.get_logger()
people = router("/api/admin/users", "people")
roles = router("/api/admin/roles", "people")
WRITE_PROBLEMS = (*ADMIN_PROBLEMS, UserUnknown, Unavailable)


class PersonResponse(Account):
    """A person, for admins."""

    is_active: bool
    registered_at: datetime
    second_factor: bool = Field(description="an authenticator app is set up")
    passkeys: int


class PeopleFilter(PageQuery):
    """Filters of people; all given ones must match."""

    search: str = Field(
        default="",
        max_length=100,
        description="prefixes of words of the name, or of the address",
        examples=["lov ad"],
    )
    role: Role | None = None
    theater: Id | None = Field(default=None, description="bound to this theater")
    standing: store.Standing | None = None


class RoleResponse(BaseModel):
    """A role and its permissions."""

    role: Role
    permissions: list[str] = Field(examples=[["bookings:read", "tickets:check_in"]])


class RolesResponse(BaseModel):
    """All roles."""

    items: list[RoleResponse]


@roles.get("", responses=documented(*ADMIN_PROBLEMS))
async def all_roles(_: Reader) -> RolesResponse:
    """Every role with its permissions."""
    return RolesResponse(items=[RoleResponse(role=role, permissions=permissions_of([role])) for role in PERMISSIONS])


@people.get("", responses=documented(*ADMIN_PROBLEMS, CursorInvalid))
async def search(admin: Reader, wanted: Annotated[PeopleFilter, Query()]) -> Page[PersonResponse]:
    """People, the newest first."""
    where = store.Wanted(wanted.search.split(), wanted.role, wanted.theater, wanted.standing)
    found = await store.people_page(where, wanted.position, wanted.limit + 1)
    await store.record_look("people_listed", admin.user_id)
    return paged(found, wanted.limit, _shown, lambda user: user.id)


def _shown(user: store.User) -> PersonResponse:
    return PersonResponse(
        **user.account().model_dump(),
        is_active=user.is_active,
        registered_at=user.registered_at,
        second_factor=user.totp is not None,
        passkeys=len(user.passkeys),
    )


@people.get("/{user_id}", responses=documented(*ADMIN_PROBLEMS, UserUnknown))
async def person(user_id: UserId, admin: Reader) -> PersonResponse:
    """One person's details."""
    user = await store.find_person(user_id)
    await store.record_look("person_viewed", admin.user_id, user_id)
    return _shown(user)


@people.get("/{user_id}/sessions", responses=documented(*ADMIN_PROBLEMS, UserUnknown, CursorInvalid))
async def sessions(user_id: UserId, admin: Reader, wanted: Annotated[PageQuery, Query()]) -> Page[SessionResponse]:
    """A person's open sessions, the newest first."""
    user = await store.find_person(user_id)
    found = await store.sessions_of(user.id, now(), wanted.position, wanted.limit + 1)
    await store.record_look("sessions_viewed", admin.user_id, user_id)
    return paged(found, wanted.limit, lambda session: shown(session, admin.session_id), lambda session: session.id)


@people.delete("/{user_id}/sessions", status_code=status.HTTP_204_NO_CONTENT, responses=documented(*WRITE_PROBLEMS))
async def end_sessions(user_id: UserId, admin: Writer) -> None:
    """Sign a person out everywhere at once: issued access tokens become void too."""
    await store.sign_out(user_id, now(), by=admin.user_id)
    log.info("person_signed_out", user_id=user_id, by=admin.user_id)


@people.put("/{user_id}/roles", responses=documented(*WRITE_PROBLEMS, LastAdmin))
async def change_roles(user_id: UserId, body: Grant, admin: Writer) -> PersonResponse:
    """Replace a person's roles and theaters. Access tokens with the old ones become void.

    The last active admin keeps that role.
    """
    changed = await store.change_grant(user_id, body, admin.user_id, now())
    log.info("roles_changed", user_id=user_id, roles=body.roles, by=admin.user_id)
    return _shown(changed)


@people.post("/{user_id}/deactivate", responses=documented(*WRITE_PROBLEMS, LastAdmin))
async def deactivate(user_id: UserId, admin: Writer) -> PersonResponse:
    """Deactivate a person, everywhere within a minute. They get a mail. The last active admin cannot be deactivated."""
    changed = await store.deactivate(user_id, admin.user_id, now())
    log.info("person_deactivated", user_id=user_id, by=admin.user_id)
    return _shown(changed)


@people.post("/{user_id}/reactivate", responses=documented(*WRITE_PROBLEMS))
async def reactivate(user_id: UserId, admin: Writer) -> PersonResponse:
    """Reactivate a person with their previous roles. They must sign in again."""
    changed = await store.reactivate(user_id, admin.user_id, now())
    log.info("person_reactivated", user_id=user_id, by=admin.user_id)
    return _shown(changed)


@people.post("/{user_id}/reset-second-factor", responses=documented(*WRITE_PROBLEMS))
async def reset_second_factor(user_id: UserId, admin: Writer) -> PersonResponse:
    """Remove the authenticator app, recovery codes and passkeys of a person who has lost them, and sign them out.

    Verify first that the request comes from that person.
    """
    changed = await store.reset_second_factor(user_id, admin.user_id, now())
    log.info("second_factor_reset", user_id=user_id, by=admin.user_id)
    return _shown(changed)


@people.delete("/{user_id}", status_code=status.HTTP_204_NO_CONTENT, responses=documented(*WRITE_PROBLEMS, LastAdmin))
async def delete(user_id: UserId, admin: Writer) -> None:
    """Delete the account of a person who asks for it and cannot do it alone. This cannot be undone."""
    await store.delete_account(user_id, admin.user_id, now())
    log.info("account_deleted", user_id=user_id, by=admin.user_id)
