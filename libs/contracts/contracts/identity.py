"""What identity says."""

from contracts.envelope import Event
from contracts.types import Id


class UserRegistered(Event, type="identity.user_registered.v1", subject="user_id"):
    """A person has an account."""

    user_id: Id
    email: str
    name: str
    roles: list[str]


class UserRolesChanged(Event, type="identity.user_roles_changed.v1", subject="user_id"):
    """A person's roles are now exactly these."""

    user_id: Id
    roles: list[str]


class UserDeactivated(Event, type="identity.user_deactivated.v1", subject="user_id"):
    """A person's access ended; tokens already out run out within minutes."""

    user_id: Id


class UserReactivated(Event, type="identity.user_reactivated.v1", subject="user_id"):
    """A person's access is back."""

    user_id: Id


class UserDeleted(Event, type="identity.user_deleted.v1", subject="user_id"):
    """A person is gone: whatever is personal about them must be erased or made anonymous."""

    user_id: Id
