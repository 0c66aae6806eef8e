"""Identity's domain errors.

IdentityProblem (contracts.errors.Problem)
├── WrongCredentials        401
├── SecondFactorNeeded      401
├── SessionOver             401
├── WrongCode               403
├── PasskeyRefused          403
├── WrongPassword           403
├── ProofNeeded             403
├── FreshSignInNeeded       403
├── CrossSite               403
├── UserGone                404
├── UserUnknown             404
├── InvitationUnknown       404
├── ExportUnknown           404
├── SessionUnknown          404
├── PasskeyUnknown          404
├── EmailTaken              409
├── LastAdmin               409
├── ExportGathering         409
├── SecondFactorOn          409
├── SecondFactorOff         409
├── TooManyPasskeys         409
├── LinkVoid                410
├── PasswordRefused         422
├── TooManyAttempts         429
└── Busy                    503
"""

from typing import Any

from contracts.errors import Problem


class IdentityProblem(Problem):
    """Base of identity's errors."""


class WrongCredentials(IdentityProblem):
    code, status = "wrong_credentials", 401
    title = "The e-mail address or password is wrong, or the address has not been confirmed yet."


class SecondFactorNeeded(IdentityProblem):
    code, status, title = "second_factor_needed", 401, "Please enter the code from your authenticator app as well."


class WrongCode(IdentityProblem):
    code, status, title = "wrong_code", 403, "This code is wrong or was already used."


class PasskeyRefused(IdentityProblem):
    code, status, title = "passkey_refused", 403, "This passkey does not belong to an account here."


class SessionOver(IdentityProblem):
    code, status, title = "session_over", 401, "This session has ended. Please sign in again."


class WrongPassword(IdentityProblem):
    code, status, title = "wrong_password", 403, "The password is wrong."


class ProofNeeded(IdentityProblem):
    """`can_choose_password`: whether a new password is proof enough, because the link is for a new account."""

    code, status = "proof_needed", 403
    title = "Please sign in, or enter the password of this account, to confirm the address."


class FreshSignInNeeded(IdentityProblem):
    code, status, title = (
        "fresh_sign_in_needed",
        403,
        "Please sign in again, because your last sign-in was a while ago.",
    )


class CrossSite(IdentityProblem):
    code, status, title = "cross_site", 403, "Another site may not use this site's session."


class UserGone(IdentityProblem):
    code, status, title = "user_gone", 404, "This account no longer exists."


class UserUnknown(IdentityProblem):
    code, status, title = "user_unknown", 404, "There is no such account."


class InvitationUnknown(IdentityProblem):
    code, status, title = "invitation_unknown", 404, "There is no such open invitation."


class ExportUnknown(IdentityProblem):
    code, status, title = "export_unknown", 404, "You have no export. Please request one."


class SessionUnknown(IdentityProblem):
    code, status, title = "session_unknown", 404, "You have no such session."


class PasskeyUnknown(IdentityProblem):
    code, status, title = "passkey_unknown", 404, "You have no such passkey."


class EmailTaken(IdentityProblem):
    code, status, title = "email_taken", 409, "An account with this e-mail address already exists."


class LastAdmin(IdentityProblem):
    code, status, title = "last_admin", 409, "This is the last active admin. Make another person an admin first."


class ExportGathering(IdentityProblem):
    code, status, title = "export_gathering", 409, "Your data is still being collected. We will send you an e-mail."


class SecondFactorOn(IdentityProblem):
    code, status, title = "second_factor_on", 409, "An authenticator app is already set up. Remove it first."


class SecondFactorOff(IdentityProblem):
    code, status, title = "second_factor_off", 409, "No authenticator app is set up, or its setup was not started."


class TooManyPasskeys(IdentityProblem):
    code, status, title = "too_many_passkeys", 409, "You have reached the maximum number of passkeys."


class LinkVoid(IdentityProblem):
    code, status, title = "link_void", 410, "This link was already used or has expired. Please request a new one."


class PasswordRefused(IdentityProblem):
    """Rendered like other invalid input: with the place of the fault."""

    code, status, title = "password_refused", 422, "A password that contains your name or address is easy to guess."

    def __init__(self, detail: str = "", **members: Any) -> None:
        super().__init__(detail, **members)
        self.members.setdefault("errors", [{"loc": ["body", "password"], "msg": self.detail}])


class TooManyAttempts(IdentityProblem):
    code, status, title = "too_many_attempts", 429, "Too many attempts. Please wait before you try again."


class Busy(IdentityProblem):
    code, status, title = "busy", 503, "Too many people are signing in right now. Please try again in a moment."
