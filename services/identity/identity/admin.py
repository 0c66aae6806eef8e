"""Make an admin from the machine itself: `python -m identity.admin EMAIL` (docs/runbooks/people.md).

For the first one, and for when nobody can get in any more. Asks for a password, or with `--link` prints a link that
works once and lets its reader choose one. Who has an account already becomes an admin instead of what they were. With
`--reset-second-factor` an account loses its authenticator app and passkeys, and nothing else changes.
"""

import argparse
import asyncio
import sys
from getpass import getpass

from chassis import mongo
from chassis.clock import now
from chassis.secrets import hash_secret, new_secret
from contracts.errors import Problem
from pydantic import TypeAdapter, ValidationError

from identity import passwords, settings, store
from identity.model import Email, Grant, Name, PasswordRefused, is_personal, normal_password

ADMIN = Grant(roles=["admin"])


class Told(Exception):
    """Why nothing was done."""


async def promote(user: store.User) -> str:
    """Make who has the account an admin. Raises Told for a closed one."""
    if not user.is_active:
        raise Told("This account is deactivated. Make another admin, who can reactivate it.")
    if user.is_acting_admin:
        raise Told("This is an active admin already.")
    await store.change_grant(user.id, ADMIN, None, now())
    return "Who has this account is an admin now."


async def invite(email: str, name: str) -> str:
    """A link that works once, in place of a mail."""
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
    """An admin with this password. Raises PasswordRefused and EmailTaken, and ValueError for one that is too weak."""
    acceptable = passwords.acceptable(normal_password(password))
    if is_personal(acceptable, email, name):
        raise PasswordRefused
    password_hash = await passwords.hash_password(acceptable)
    user = store.User(email=email, name=name, roles=["admin"], password_hash=password_hash, registered_at=now())
    await store.add_admin(user)
    return "The admin can sign in now."


async def reset_second_factor(user: store.User | None) -> str:
    """Take an account's second factor away. Raises Told without one."""
    if user is None:
        raise Told("There is no such account.")
    await store.reset_second_factor(user.id, None, now())
    return "Authenticator app, recovery codes and passkeys are gone, and all sessions have ended."


def ask_for_password() -> str:
    """The password from the terminal, twice, without an echo; from a pipe, its first line. Raises Told."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise Told("The two are not the same.")
    return password


async def run(arguments: argparse.Namespace) -> str:
    """Do what was asked; returns what to say. Raises Told, Problem and ValueError."""
    email, name = TypeAdapter(Email).validate_python(arguments.email), TypeAdapter(Name).validate_python(arguments.name)
    async with mongo.connected(settings.get(), store.DOCUMENTS):
        user = await store.user_with_email(email)
        if arguments.reset_second_factor:
            return await reset_second_factor(user)
        if user is not None:
            return await promote(user)
        if arguments.link:
            return await invite(email, name)
        return await create(email, name, await asyncio.to_thread(ask_for_password))


def main() -> int:
    """The command; 1 when nothing was done."""
    parser = argparse.ArgumentParser(prog="python -m identity.admin", description=__doc__)
    parser.add_argument("email")
    parser.add_argument("--name", default="Admin")
    parser.add_argument("--link", action="store_true", help="print a one-time link instead of asking for a password")
    parser.add_argument("--reset-second-factor", action="store_true", help="for somebody who has lost it")
    try:
        sys.stdout.write(f"{asyncio.run(run(parser.parse_args()))}\n")
    except ValidationError as error:
        sys.stderr.write("".join(f"{fault['msg']}\n" for fault in error.errors()))
    except (Told, Problem, ValueError) as error:
        sys.stderr.write(f"{error}\n")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
