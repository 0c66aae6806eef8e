"""Sign-up and the signed-in person."""

from typing import Annotated

import structlog
from chassis.auth import Principal, signed_in
from chassis.clock import now
from chassis.problems import documented
from fastapi import Depends, status
from pydantic import AfterValidator, Field, StringConstraints

from identity import passwords, store
from identity.api.routing import Body, router
from identity.model import (
    MAX_PASSWORD,
    MIN_PASSWORD,
    Account,
    Email,
    EmailTaken,
    Name,
    UserGone,
    acceptable_password,
)

log = structlog.get_logger()
auth = router("/api/auth", "auth")
users = router("/api/users", "users")


class Registration(Body):
    """A person who wants an account."""

    email: Email
    password: Annotated[
        str, StringConstraints(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD), AfterValidator(acceptable_password)
    ] = Field(repr=False)
    name: Name


@auth.post("/register", status_code=status.HTTP_201_CREATED, responses=documented(EmailTaken))
async def register(body: Registration) -> Account:
    """Open a customer's account."""
    password_hash = await passwords.hash_password(body.password)
    user = store.User(email=body.email, name=body.name, password_hash=password_hash, registered_at=now())
    await store.add_user(user)
    log.info("user_registered", user_id=user.id)
    return user.account()


@users.get("/me", responses=documented(UserGone))
async def me(who: Annotated[Principal, Depends(signed_in)]) -> Account:
    """The signed-in person as of now, not as of the token."""
    user = await store.active_user(who.user_id)
    if user is None:
        raise UserGone
    return user.account()
