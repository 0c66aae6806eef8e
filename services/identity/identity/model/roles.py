"""Roles, their permissions, and which roles can be combined."""

from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from contracts.types import Id
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Role = Literal["customer", "door_staff", "box_office", "theater_manager", "admin"]

_DOOR = frozenset({"tickets:check_in", "bookings:read"})
_BOX_OFFICE = frozenset({"bookings:read", "bookings:write", "seats:block"})
_MANAGER = _BOX_OFFICE | {
    "theaters:write",
    "prices:write",
    "promotions:write",
    "showtimes:write",
    "bookings:refund",
    "reports:read",
}
_ADMIN = frozenset(
    {
        "catalog:write",
        "movies:write",
        "reviews:moderate",
        "users:read",
        "users:write",
        "audit:read",
        "payments:read",
        "payments:refund",
        "gift_cards:read",
        "gift_cards:write",
        "notifications:read",
    }
)

PERMISSIONS: dict[Role, frozenset[str]] = {
    "customer": frozenset(),
    "door_staff": _DOOR,
    "box_office": _BOX_OFFICE,
    "theater_manager": _MANAGER,
    "admin": _DOOR | _MANAGER | _ADMIN,
}


def is_staff(roles: Iterable[Role]) -> bool:
    """Whether a role belongs to people who work at a theater."""
    return any(role != "customer" for role in roles)


def permissions_of(roles: Iterable[Role]) -> list[str]:
    """All permissions of the roles, in alphabetical order."""
    return sorted(frozenset().union(*(PERMISSIONS[role] for role in roles)))


def _each_once(roles: list[Role]) -> list[Role]:
    return [role for role in get_args(Role) if role in roles]


class Grant(BaseModel):
    """A person's roles, and the theaters they are limited to."""

    model_config = ConfigDict(extra="forbid")

    roles: Annotated[list[Role], Field(min_length=1, max_length=10), AfterValidator(_each_once)] = Field(
        examples=[["box_office", "door_staff"]]
    )
    theaters: Annotated[list[Id], Field(max_length=100), AfterValidator(lambda ids: sorted(set(ids)))] = Field(
        default=[],
        description="The theaters that the roles are limited to; empty for all. A theater manager has at least one.",
        examples=[["kino-international"]],
    )

    @model_validator(mode="after")
    def _fits(self) -> "Grant":
        if "theater_manager" in self.roles and not self.theaters:
            raise ValueError("a theater manager is bound to at least one theater")
        if "admin" in self.roles and self.theaters:
            raise ValueError("an admin is bound to no theater")
        if self.roles == ["customer"] and self.theaters:
            raise ValueError("a customer is bound to no theater")
        return self
