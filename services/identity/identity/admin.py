"""Create an admin from the command line: `python -m identity.admin EMAIL` (docs/runbooks/people.md).

Use it for the first admin, and when no admin can sign in. It asks for a password, or with `--link` prints a one-time
link with which a person chooses one. The roles of an existing account are replaced by admin. With
`--reset-second-factor` an account loses its authenticator app and passkeys, and nothing else changes.
"""

import argparse
import asyncio
import sys
from getpass import getpass

from chassis.clock import now
from chassis.mongo.connection import connected
from chassis.security.secrets import hash_secret, new_secret
from contracts.errors import Problem
from contracts.types import Email, KnownEmail
from pydantic import TypeAdapter, ValidationError

from identity import migrations, passwords, settings, store
from identity.model import Grant, Name, PasswordRefused, is_personal, normal_password

ADMIN = Grant(roles=["admin"])


class CommandRefused(Exception):
    """The command changed nothing; the text says why."""


async def promote(user: store.User) -> str:
    """Make the owner of an account an admin. Raises CommandRefused when the account is closed."""
    if not user.is_active:
        raise CommandRefused("This account is deactivated. Create another admin, who can reactivate it.")
    if user.is_acting_admin:
        raise CommandRefused("This person is already an active admin.")
    await store.change_grant(user.id, ADMIN, None, now())
    return "This person is an admin now."


async def invite(email: str, name: str) -> str:
    """A one-time link, printed instead of mailed."""
    moment, token = now(), new_secret()
    invitation = store.Invitation(
        email=email,
        name=name,
        locale="en",
        grant=ADMIN,
        invited_by=None,
        invited_at=moment,
        token_hash=hash_secret(token),
        expires_at=moment + settings.get().invitation_lifetime,
    )
    await store.add_invitation(invitation)
    page = f"{settings.get().public_url.rstrip('/')}/accept-invitation#token={token}"
    return f"Open this within {settings.get().invitation_hours} hours and choose a password. It works once:\n{page}"


async def create(email: str, name: str, password: str) -> str:
    """Create an admin with this password. Raises PasswordRefused, EmailTaken, and ValueError for a weak password."""
    acceptable = passwords.acceptable(normal_password(password))
    if is_personal(acceptable, email, name):
        raise PasswordRefused
    password_hash = await passwords.Passwords(settings.get()).hash(acceptable)
    user = store.User(email=email, name=name, roles=["admin"], password_hash=password_hash, registered_at=now())
    await store.add_admin(user)
    return "The admin can sign in now."


async def reset_second_factor(user: store.User | None) -> str:
    """Remove an account's second factor. Raises CommandRefused when there is no such account."""
    if user is None:
        raise CommandRefused("There is no such account.")
    await store.reset_second_factor(user.id, None, now())
    return "Authenticator app, recovery codes and passkeys were removed, and all sessions have ended."


def ask_for_password() -> str:
    """The password: typed twice in a terminal without echo, or the first line of a pipe. Raises CommandRefused."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise CommandRefused("The passwords are not the same.")
    return password


async def run(arguments: argparse.Namespace) -> str:
    """Run the command; returns the text to print. Raises CommandRefused, Problem and ValueError."""
    known_email = TypeAdapter(KnownEmail).validate_python(arguments.email)
    name = TypeAdapter(Name).validate_python(arguments.name)
    async with connected(settings.get(), migrations.SCHEMA):
        user = await store.user_with_email(known_email)
        if arguments.reset_second_factor:
            return await reset_second_factor(user)
        if user is not None:
            return await promote(user)
        email = TypeAdapter(Email).validate_python(known_email)
        if arguments.link:
            return await invite(email, name)
        return await create(email, name, await asyncio.to_thread(ask_for_password))


def main() -> int:
    """Parse the command line and run; returns 1 when nothing was changed."""
    parser = argparse.ArgumentParser(prog="python -m identity.admin", description=__doc__)
    parser.add_argument("email")
    parser.add_argument("--name", default="Admin")
    parser.add_argument("--link", action="store_true", help="print a one-time link instead of asking for a password")
    parser.add_argument("--reset-second-factor", action="store_true", help="remove the second factor")
    try:
        sys.stdout.write(f"{asyncio.run(run(parser.parse_args()))}\n")
    except ValidationError as error:
        sys.stderr.write("".join(f"{fault['msg']}\n" for fault in error.errors()))
    except (CommandRefused, Problem, ValueError) as error:
        sys.stderr.write(f"{error}\n")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
