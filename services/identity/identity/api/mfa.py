"""The second factor: an authenticator app, and recovery codes for when it is lost."""

from datetime import datetime

import structlog
from chassis.clock import now
from chassis.http.problems import Unavailable, documented
from fastapi import status
from pydantic import BaseModel, Field

from identity import store, totp
from identity.api.attempts import Attempts, Limits
from identity.api.routing import (
    VISIT_PROBLEMS,
    Body,
    Client,
    CurrentVisit,
    FromClient,
    GivenPassword,
    PasswordRequest,
    Visit,
    check_may_change_factors,
    router,
)
from identity.api.sessions import Code, use_code
from identity.model import (
    Busy,
    SecondFactorNeeded,
    SecondFactorOff,
    SecondFactorOn,
    TooManyAttempts,
    WrongCode,
    WrongPassword,
    is_strong,
)

log = structlog.get_logger()
auth = router("/api/auth/mfa", "second factor")
PASSWORD_PROBLEMS = (WrongPassword, TooManyAttempts, Busy)


class SecondFactorResponse(BaseModel):
    """The second factors of a person."""

    totp: bool = Field(description="an authenticator app is set up")
    recovery_codes_left: int
    passkeys: int
    removal_at: datetime | None = Field(
        default=None, description="when they are removed, because that was requested with a new password"
    )


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
        totp=user.totp is not None,
        recovery_codes_left=len(user.recovery_hashes),
        passkeys=len(user.passkeys),
        removal_at=user.factor_removal.due_at if user.factor_removal else None,
    )


@auth.post("/totp", responses=documented(*VISIT_PROBLEMS, *PASSWORD_PROBLEMS, SecondFactorNeeded, SecondFactorOn))
async def offer(body: PasswordRequest, visit: CurrentVisit, limits: Limits) -> AuthenticatorResponse:
    """Start to set up an authenticator app. It takes effect once a code was confirmed."""
    check_may_change_factors(visit)
    await limits.confirm_password(visit, body.password)
    secret = totp.new_secret()
    await store.offer_totp(visit.user, totp.sealed(secret), now())
    return AuthenticatorResponse(secret=secret, uri=totp.app_uri(secret, visit.user.email))


@auth.post(
    "/totp/confirm",
    status_code=status.HTTP_201_CREATED,
    responses=documented(*VISIT_PROBLEMS, SecondFactorNeeded, WrongCode, SecondFactorOff, TooManyAttempts),
)
async def confirm(body: CodeRequest, visit: CurrentVisit, client: FromClient, limits: Limits) -> RecoveryCodesResponse:
    """Confirm the app with a code within 15 minutes. From now on signing in with the password also needs a code."""
    check_may_change_factors(visit)
    user = visit.user
    if user.totp_offer is None or not user.has_open_offer(now()):
        raise SecondFactorOff
    async with limits.in_session(visit):
        step = totp.step_of(user.totp_offer, body.code, now())
        if step is None:
            raise WrongCode
    codes = totp.new_recovery_codes()
    await store.take_totp(user, step, codes, client.device, now())
    await store.strengthen(visit.session.id, "otp")
    log.info("totp_added", user_id=user.id)
    return RecoveryCodesResponse(recovery_codes=codes)


@auth.post(
    "/totp/remove",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(*VISIT_PROBLEMS, *PASSWORD_PROBLEMS, WrongCode, SecondFactorOff),
)
async def remove(body: PasswordAndCodeRequest, visit: CurrentVisit, client: FromClient, limits: Limits) -> None:
    """Remove the app and the recovery codes."""
    await _confirm(visit, body, client, limits)
    await store.drop_totp(visit.user, client.device)
    log.info("totp_removed", user_id=visit.user.id)


@auth.post(
    "/recovery-codes",
    status_code=status.HTTP_201_CREATED,
    responses=documented(*VISIT_PROBLEMS, *PASSWORD_PROBLEMS, WrongCode, SecondFactorOff),
)
async def renew_codes(
    body: PasswordAndCodeRequest, visit: CurrentVisit, client: FromClient, limits: Limits
) -> RecoveryCodesResponse:
    """Create new recovery codes; the old ones become void."""
    await _confirm(visit, body, client, limits)
    codes = totp.new_recovery_codes()
    await store.replace_recovery_codes(visit.user, codes, client.device)
    return RecoveryCodesResponse(recovery_codes=codes)


async def _confirm(visit: Visit, body: PasswordAndCodeRequest, client: Client, limits: Attempts) -> None:
    """Raises SecondFactorOff, WrongPassword, WrongCode and TooManyAttempts."""
    user = visit.user
    if user.totp is None:
        raise SecondFactorOff
    async with limits.in_session(visit):
        await limits.check_password(user.password_hash, body.password)
        await use_code(user, user.totp, body.code, client.device)


@auth.post(
    "/keep",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documented(*VISIT_PROBLEMS, *PASSWORD_PROBLEMS, SecondFactorNeeded, Unavailable),
)
async def keep(body: PasswordRequest, visit: CurrentVisit, client: FromClient, limits: Limits) -> None:
    """Cancel the removal that was requested with a new password. Needs a sign-in with a second factor."""
    if not is_strong(visit.session.methods):
        raise SecondFactorNeeded
    await limits.confirm_password(visit, body.password)
    await store.keep_factors(visit.user, client.device)
    log.info("factors_kept", user_id=visit.user.id)
