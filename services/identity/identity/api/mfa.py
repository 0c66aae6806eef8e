"""The second factor: an authenticator app, and recovery codes for when it is lost."""

import structlog
from chassis.clock import now
from chassis.http.problems import documented
from fastapi import status
from pydantic import BaseModel, Field

from identity import store, totp
from identity.api import attempts
from identity.api.routing import (
    VISIT_PROBLEMS,
    Body,
    Client,
    CurrentVisit,
    FromClient,
    GivenPassword,
    PasswordRequest,
    router,
)
from identity.api.sessions import Code, use_code
from identity.model import (
    Busy,
    SecondFactorOff,
    SecondFactorOn,
    TooManyAttempts,
    WrongCode,
    WrongPassword,
)

log = structlog.get_logger()
auth = router("/api/auth/mfa", "second factor")
PASSWORD_PROBLEMS = (WrongPassword, TooManyAttempts, Busy)


class SecondFactorResponse(BaseModel):
    """The second factors of a person."""

    totp: bool = Field(description="an authenticator app is set up")
    recovery_codes_left: int
    passkeys: int


class AuthenticatorResponse(BaseModel):
    """The secret for the app, shown once. The page renders `uri` as a QR code."""

    secret: str = Field(examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"], repr=False)
    uri: str = Field(
        examples=["otpauth://totp/Usher:ada%40usher.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Usher"],
        repr=False,
    )


class RecoveryCodesResponse(BaseModel):
    """One-time codes to use instead of the app's code; shown once."""

    recovery_codes: list[str] = Field(examples=[["abcd-efgh-ijkl-mnop"]], repr=False)


class CodeRequest(Body):
    """A code of the app."""

    code: Code = Field(repr=False)


class PasswordAndCodeRequest(Body):
    """The password, and a code of the app or a recovery code."""

    password: GivenPassword
    code: Code = Field(repr=False)


@auth.get("", responses=documented(*VISIT_PROBLEMS))
async def second_factor(visit: CurrentVisit) -> SecondFactorResponse:
    """The caller's second factors."""
    user = visit.user
    return SecondFactorResponse(
        totp=user.totp is not None, recovery_codes_left=len(user.recovery_hashes), passkeys=len(user.passkeys)
    )


@auth.post("/totp", responses=documented(*VISIT_PROBLEMS, *PASSWORD_PROBLEMS, SecondFactorOn))
async def offer(body: PasswordRequest, visit: CurrentVisit, client: FromClient) -> AuthenticatorResponse:
    """Start to set up an authenticator app. It takes effect once a code was confirmed."""
    async with attempts.attempt(visit.user.email, client.network):
        await attempts.confirm_password(visit.user, body.password)
    secret = totp.new_secret()
    await store.offer_totp(visit.user, totp.sealed(secret))
    return AuthenticatorResponse(secret=secret, uri=totp.app_uri(secret, visit.user.email))


@auth.post(
    "/totp/confirm",
    status_code=status.HTTP_201_CREATED,
    responses=documented(*VISIT_PROBLEMS, WrongCode, SecondFactorOff),
)
async def confirm(body: CodeRequest, visit: CurrentVisit, client: FromClient) -> RecoveryCodesResponse:
    """Confirm the app with a code. From now on signing in with the password also needs a code."""
    user = visit.user
    if user.totp_offer is None:
        raise SecondFactorOff
    step = totp.step_of(user.totp_offer, body.code, now())
    if step is None:
        raise WrongCode
    codes = totp.new_recovery_codes()
    await store.take_totp(user, step, codes, client.device)
    await store.strengthen(visit.session.id, "otp")
    log.info("totp_added", user_id=user.id)
    return RecoveryCodesResponse(recovery_codes=codes)


@auth.post(
    "/totp/remove",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(*VISIT_PROBLEMS, *PASSWORD_PROBLEMS, WrongCode, SecondFactorOff),
)
async def remove(body: PasswordAndCodeRequest, visit: CurrentVisit, client: FromClient) -> None:
    """Remove the app and the recovery codes."""
    await _confirm(visit.user, body, client)
    await store.drop_totp(visit.user, client.device)
    log.info("totp_removed", user_id=visit.user.id)


@auth.post(
    "/recovery-codes",
    status_code=status.HTTP_201_CREATED,
    responses=documented(*VISIT_PROBLEMS, *PASSWORD_PROBLEMS, WrongCode, SecondFactorOff),
)
async def renew_codes(body: PasswordAndCodeRequest, visit: CurrentVisit, client: FromClient) -> RecoveryCodesResponse:
    """Create new recovery codes; the old ones become void."""
    await _confirm(visit.user, body, client)
    codes = totp.new_recovery_codes()
    await store.replace_recovery_codes(visit.user, codes, client.device)
    return RecoveryCodesResponse(recovery_codes=codes)


async def _confirm(user: store.User, body: PasswordAndCodeRequest, client: Client) -> None:
    """Raises SecondFactorOff, WrongPassword, WrongCode and TooManyAttempts."""
    if user.totp is None:
        raise SecondFactorOff
    async with attempts.attempt(user.email, client.network):
        await attempts.confirm_password(user, body.password)
        await use_code(user, user.totp, body.code, client.device)
