"""Who may do what."""

from typing import Literal

Role = Literal["customer", "door_staff", "box_office", "theater_manager", "admin"]

_DOOR = frozenset({"tickets:check_in", "bookings:read"})
_BOX_OFFICE = frozenset({"bookings:read", "bookings:write", "seats:block"})
_MANAGER = _BOX_OFFICE | {"theaters:write", "prices:write", "showtimes:write", "bookings:refund", "reports:read"}
_ADMIN = frozenset(
    {
        "catalog:write",
        "movies:write",
        "reviews:moderate",
        "users:read",
        "users:write",
        "payments:read",
        "payments:refund",
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


def permissions_of(roles: list[Role]) -> list[str]:
    """Everything that the roles allow together, in alphabetical order."""
    return sorted(frozenset().union(*(PERMISSIONS[role] for role in roles)))
