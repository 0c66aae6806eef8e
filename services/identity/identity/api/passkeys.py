"""Passkeys: signing in with what a phone, a computer or a password manager keeps, in place of the password."""

from datetime import datetime
from typing import Annotated, Any

import structlog
from chassis.clock import now
from chassis.problems import documented
from contracts.types import Id
from fastapi import Path, status
from pydantic import BaseModel, Field

from identity import store, webauthn_site
from identity.api import attempts
from identity.api.cookies import Cookies
from identity.api.routing import VISIT_PROBLEMS, Body, CurrentVisit, FromClient, PasswordOnly, router
from identity.api.signing_in import ModeField, SignedIn, open_for
from identity.model import (
    Busy,
    CrossSite,
    Name,
    PasskeyRefused,
    PasskeyUnknown,
    TooManyAttempts,
    TooManyPasskeys,
    WrongPassword,
)

log = structlog.get_logger()
auth = router("/api/auth/passkeys", "passkeys")

Credential = Annotated[
    dict[str, Any],
    Field(
        description="the PublicKeyCredential that the browser answered, as its `toJSON()` gives it",
        examples=[{"id": "…", "rawId": "…", "type": "public-key", "response": {"clientDataJSON": "…"}}],
    ),
]


class Options(BaseModel):
    """What `navigator.credentials` is called with: `PublicKeyCredential.parse…OptionsFromJSON(public_key)`."""

    public_key: dict[str, Any] = Field(examples=[{"challenge": "…", "rpId": "usher.example", "timeout": 300000}])


class NewPasskey(Body):
    """A passkey that the browser has just made, and what to call it."""

    credential: Credential
    name: Name


class Assertion(Body):
    """The signature of a passkey."""

    credential: Credential
    mode: ModeField = "body"


class PasskeyView(BaseModel):
    """One passkey."""

    passkey_id: str = Field(examples=["019aa3c2-7d6e-7c5b-9a50-0f3c2b1a4d5e"])
    name: str = Field(examples=["Ada's phone"])
    created_at: datetime
    last_used_at: datetime | None


class Passkeys(BaseModel):
    """All of a person's passkeys: 20 at most."""

    items: list[PasskeyView]


@auth.post("/options", responses=documented(*VISIT_PROBLEMS, WrongPassword, TooManyPasskeys, TooManyAttempts, Busy))
async def creation_options(body: PasswordOnly, visit: CurrentVisit, client: FromClient) -> Options:
    """Begin to add a passkey."""
    if len(visit.user.passkeys) >= store.MAX_PASSKEYS:
        raise TooManyPasskeys
    async with attempts.attempt(visit.user.email, client.network):
        await attempts.confirm_password(visit.user, body.password)
    options = webauthn_site.creation_options(visit.user)
    await store.add_challenge(options["challenge"], visit.user.id, now(), webauthn_site.LIFETIME)
    return Options(public_key=options)


@auth.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=documented(*VISIT_PROBLEMS, PasskeyRefused, TooManyPasskeys),
)
async def add(body: NewPasskey, visit: CurrentVisit, client: FromClient) -> PasskeyView:
    """Add the passkey that the browser made."""
    challenge = webauthn_site.challenge_in(body.credential)
    await store.take_challenge(challenge, visit.user.id, now())
    passkey = webauthn_site.created(body.credential, challenge, body.name, now())
    await store.add_passkey(visit.user, passkey, client.device)
    log.info("passkey_added", user_id=visit.user.id)
    return _shown(passkey)


@auth.get("", responses=documented(*VISIT_PROBLEMS))
async def passkeys(visit: CurrentVisit) -> Passkeys:
    """One's own passkeys."""
    return Passkeys(items=[_shown(passkey) for passkey in visit.user.passkeys])


def _shown(passkey: store.Passkey) -> PasskeyView:
    return PasskeyView.model_validate(passkey, from_attributes=True)


@auth.delete(
    "/{passkey_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(*VISIT_PROBLEMS, PasskeyUnknown),
)
async def remove(passkey_id: Annotated[Id, Path()], visit: CurrentVisit, client: FromClient) -> None:
    """Take a passkey away. Its owner is told by mail."""
    await store.drop_passkey(visit.user, passkey_id, client.device)
    log.info("passkey_removed", user_id=visit.user.id)


@auth.post("/login/options")
async def request_options() -> Options:
    """Begin to sign in with a passkey. The same for everybody: the passkey itself says whose it is."""
    options = webauthn_site.request_options()
    await store.add_challenge(options["challenge"], None, now(), webauthn_site.LIFETIME)
    return Options(public_key=options)


@auth.post("/login", responses=documented(PasskeyRefused, CrossSite))
async def login(body: Assertion, client: FromClient, jar: Cookies) -> SignedIn:
    """Sign in with a passkey. It asks its owner for a finger, a face or a PIN: no code is asked for."""
    jar.allow(body.mode)
    challenge = webauthn_site.challenge_in(body.credential)
    await store.take_challenge(challenge, None, now())
    user = await store.user_with_passkey(str(body.credential.get("id", "")))
    if user is None:
        raise PasskeyRefused
    passkey = next(key for key in user.passkeys if key.credential_id == body.credential["id"])
    sign_count = webauthn_site.signed_count(body.credential, challenge, passkey)
    await store.use_passkey(user, passkey, sign_count, now())
    log.info("logged_in", user_id=user.id, methods=["pop"])
    return await open_for(user, ["pop"], body.mode, client.device, jar)
