"""What identity tells its callers when something cannot be.

IdentityProblem (contracts.errors.Problem)
├── EmailTaken          409
├── WrongCredentials    401
├── SessionOver         401
└── UserGone            404
"""

from contracts.errors import Problem


class IdentityProblem(Problem):
    """Base of what identity tells its callers."""


class EmailTaken(IdentityProblem):
    code, status, title = "email_taken", 409, "There is an account with this e-mail address already."


class WrongCredentials(IdentityProblem):
    code, status, title = "wrong_credentials", 401, "The e-mail address or the password is wrong."


class SessionOver(IdentityProblem):
    code, status, title = "session_over", 401, "This session is over. Please sign in again."


class UserGone(IdentityProblem):
    code, status, title = "user_gone", 404, "This account does not exist any more."
