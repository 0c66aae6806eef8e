"""Passkeys: signing in without a password, with a key on a phone, a computer or in a password manager."""

from datetime import datetime
from typing import Annotated, Any

import structlog
from chassis.clock import now
from chassis.http.problems import documented
from contracts.types import Id
from fastapi import Path, status
from pydantic import BaseModel, Field

from identity import store, webauthn_site
from identity.api.attempts import Limits
from identity.api.cookies import KnownDevice
from identity.api.routing import (
    VISIT_PROBLEMS,
    Body,
    CurrentVisit,
    FreshVisit,
    FromClient,
    PasswordRequest,
    check_may_change_factors,
    router,
)
from identity.api.signing_in import ModeField, SigningIn, TokenResponse
from identity.model import (
    Busy,
    CrossSite,
    FreshSignInNeeded,
    Name,
    PasskeyRefused,
    PasskeyUnknown,
    SecondFactorNeeded,
    TooManyAttempts,
    TooManyPasskeys,
    WrongPassword,
)

log = structlog.get_logger()
auth = router("/api/auth/passkeys", "passkeys")

Credential = Annotated[
    dict[str, Any],
    Field(
        description="the PublicKeyCredential from the browser, as its `toJSON()` returns it",
        examples=[{"id": "…", "rawId": "…", "type": "public-key", "response": {"clientDataJSON": "…"}}],
    ),
]


class PasskeyOptionsResponse(BaseModel):
    """The options for `navigator.credentials`: `PublicKeyCredential.parse…OptionsFromJSON(public_key)`."""

    public_key: dict[str, Any] = Field(examples=[{"challenge": "…", "rpId": "usher.example", "timeout": 300000}])


class PasskeyRequest(Body):
    """A new passkey from the browser, with a name."""

    credential: Credential
    name: Name


class PasskeyLoginRequest(Body):
    """The signature of a passkey."""

    credential: Credential
    mode: ModeField = "body"


class PasskeyResponse(BaseModel):
    """One passkey."""

    passkey_id: str = Field(examples=["019aa3c2-7d6e-7c5b-9a50-0f3c2b1a4d5e"])
    name: str = Field(examples=["Ada's phone"])
    created_at: datetime
    last_used_at: datetime | None


class PasskeysResponse(BaseModel):
    """All of a person's passkeys: 20 at most."""

    items: list[PasskeyResponse]


@auth.post(
    "/options",
    responses=documented(*VISIT_PROBLEMS, SecondFactorNeeded, WrongPassword, TooManyPasskeys, TooManyAttempts, Busy),
)
async def creation_options(body: PasswordRequest, visit: CurrentVisit, limits: Limits) -> PasskeyOptionsResponse:
    """Start to add a passkey."""
    check_may_change_factors(visit)
    if len(visit.user.passkeys) >= store.MAX_PASSKEYS:
        raise TooManyPasskeys
    await limits.confirm_password(visit, body.password)
    options = webauthn_site.creation_options(visit.user)
    await store.add_challenge(options["challenge"], visit.user.id, now(), webauthn_site.LIFETIME)
    return PasskeyOptionsResponse(public_key=options)


@auth.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=documented(*VISIT_PROBLEMS, SecondFactorNeeded, PasskeyRefused, TooManyPasskeys),
)
async def add(body: PasskeyRequest, visit: CurrentVisit, client: FromClient) -> PasskeyResponse:
    """Add the passkey that the browser created."""
    check_may_change_factors(visit)
    challenge = webauthn_site.challenge_in(body.credential)
    await store.take_challenge(challenge, visit.user.id, now())
    passkey = webauthn_site.created(body.credential, challenge, body.name, now())
    await store.add_passkey(visit.user, passkey, client.device)
    log.info("passkey_added", user_id=visit.user.id)
    return _shown(passkey)


@auth.get("", responses=documented(*VISIT_PROBLEMS))
async def passkeys(visit: CurrentVisit) -> PasskeysResponse:
    """The caller's passkeys."""
    return PasskeysResponse(items=[_shown(passkey) for passkey in visit.user.passkeys])


def _shown(passkey: store.Passkey) -> PasskeyResponse:
    return PasskeyResponse.model_validate(passkey, from_attributes=True)


@auth.delete(
    "/{passkey_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(*VISIT_PROBLEMS, FreshSignInNeeded, SecondFactorNeeded, PasskeyUnknown),
)
async def remove(passkey_id: Annotated[Id, Path()], visit: FreshVisit, client: FromClient) -> None:
    """Remove a passkey. Needs a sign-in in the last ten minutes. The owner gets a mail."""
    check_may_change_factors(visit)
    await store.drop_passkey(visit.user, passkey_id, client.device)
    log.info("passkey_removed", user_id=visit.user.id)


@auth.post("/login/options")
async def request_options() -> PasskeyOptionsResponse:
    """Start to sign in with a passkey. The options are the same for everybody: the passkey identifies its owner."""
    options = webauthn_site.request_options()
    await store.add_challenge(options["challenge"], None, now(), webauthn_site.LIFETIME)
    return PasskeyOptionsResponse(public_key=options)


@auth.post("/login", responses=documented(PasskeyRefused, CrossSite))
async def login(body: PasskeyLoginRequest, sign_in: SigningIn, device: KnownDevice) -> TokenResponse:
    """Sign in with a passkey. The device verifies its owner by fingerprint, face or PIN, so no code is needed."""
    sign_in.allow(body.mode)
    moment = now()
    challenge = webauthn_site.challenge_in(body.credential)
    await store.take_challenge(challenge, None, moment)
    user = await store.user_with_passkey(str(body.credential.get("id", "")))
    if user is None:
        raise PasskeyRefused
    passkey = next(key for key in user.passkeys if key.credential_id == body.credential["id"])
    sign_count = webauthn_site.signed_count(body.credential, challenge, passkey)
    await store.use_passkey(user, passkey, sign_count, now())
    log.info("logged_in", user_id=user.id, methods=["pop"])
    device.remember(user.email)
    return await sign_in.open(user, ["pop"], body.mode, moment)
