"""Rate limits for guessing passwords and codes, and for mails that anybody can request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.clock import now
from chassis.security.secrets import hash_secret

from identity import passwords, settings, store
from identity.model import ACCOUNT, MAILS, Busy, PasswordRefused, WrongPassword, for_address, is_personal


def _account(email: str) -> str:
    return hash_secret(f"account {email}")


def _address(network: str) -> str:
    return hash_secret(f"address {network}")


@asynccontextmanager
async def attempt(email: str, network: str) -> AsyncIterator[None]:
    """Context for checking secrets. Raises TooManyAttempts.

    The attempt is counted on entry. Success resets the account's counter; the address gets back this attempt only.
    """
    moment = now()
    elsewhere = await store.charge(_address(network), for_address(settings.get().address_attempts), moment)
    here = await store.charge(_account(email), ACCOUNT, moment)
    try:
        yield
    except Busy:
        await asyncio.gather(store.refund(_account(email), here), store.refund(_address(network), elsewhere))
        raise
    await asyncio.gather(forget(email), store.refund(_address(network), elsewhere))


async def forget(email: str) -> None:
    """Reset an account's counter."""
    await store.forgive(_account(email))


async def ask_for_mail(email: str, network: str) -> None:
    """Count the request of a mail. Raises TooManyAttempts."""
    moment = now()
    await store.charge(hash_secret(f"mails from {network}"), for_address(settings.get().address_attempts), moment)
    await store.charge(hash_secret(f"mails to {email}"), MAILS, moment)


async def confirm_password(user: store.User, password: str) -> None:
    """Raises WrongPassword unless it is the person's password."""
    if not (await passwords.check_password(password, user.password_hash)).fits:
        raise WrongPassword


def refuse_personal(password: str, email: str, name: str) -> None:
    """Raises PasswordRefused for a new password that is just the person's name or address."""
    if is_personal(password, email, name):
        raise PasswordRefused
