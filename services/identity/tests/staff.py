"""People with roles, and requests of admins."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
from argon2 import PasswordHasher
from chassis.clock import now
from chassis.ids import new_id
from chassis.testing import until
from identity import store
from identity.model import Role

from .conftest import PASSWORD

PEOPLE, INVITATIONS, AUDIT = "/api/admin/users", "/api/admin/invitations", "/api/admin/audit"


@cache
def password_hash() -> str:
    return PasswordHasher(2, 19_456, parallelism=1).hash(PASSWORD)


@dataclass
class Someone:
    """A signed-in person with an account."""

    client: httpx.AsyncClient
    user_id: str
    email: str
    answer: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.answer['access_token']}"}

    async def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        return await self.client.request(method, path, headers=self.headers, **request)

    async def act(self, method: str, path: str, **request: Any) -> Any:
        """Send a request, which must succeed."""
        answer = await self.ask(method, path, **request)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def signs_in(self) -> httpx.Response:
        answer = await self.client.post("/api/auth/login", json={"email": self.email, "password": PASSWORD})
        if answer.is_success:
            self.answer = answer.json()
        return answer


async def someone(client: httpx.AsyncClient, *roles: Role, **fields: Any) -> Someone:
    """Create a person with these roles."""
    user_id = new_id()
    known = {
        "id": user_id,
        "email": f"{user_id}@usher.example",
        "name": "Grace Hopper",
        "registered_at": now(),
    } | fields
    user = store.User.model_validate(known | {"roles": roles or ("customer",), "password_hash": password_hash()})
    await store.add_user(user)
    if user.is_acting_admin:
        await store.enter_missing()
    person = Someone(client, user.id, user.email, {})
    answer = await person.signs_in()
    assert answer.is_success, answer.text
    return person


async def audited(action: str, user_id: str) -> store.AuditEntry:
    """Wait for the line of the audit log and return it."""

    async def entered() -> list[store.AuditEntry]:
        return await store.AuditEntry.find({"action": action, "user_id": user_id}).to_list()

    return (await until(entered))[0]


async def only_admins(*admins: Someone) -> None:
    """Make sure that nobody else is one: deactivate people from other tests."""
    ids = [admin.user_id for admin in admins]
    await store.User.get_pymongo_collection().update_many(
        {"roles": "admin", "_id": {"$nin": ids}}, {"$set": {"roles": ["customer"]}, "$inc": {"version": 1}}
    )
    await store.Admins.get_pymongo_collection().replace_one({"_id": "admins"}, {"active": ids, "seen": {}}, upsert=True)
