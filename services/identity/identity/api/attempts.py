"""Checks of passwords and codes, with limits on guessing, and limits on mails that anybody can request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from chassis.clock import now
from chassis.security.secrets import hash_secret
from fastapi import Depends

from identity import settings, store
from identity.api.cookies import KnownDevice
from identity.api.routing import FromClient, Hashing, Visit
from identity.model import GUESSES, MAILS, Allowance, Busy, PasswordRefused, WrongPassword, for_address, is_personal


class Attempts:
    """Dependency: the limits for the client of this request.

    Strangers' wrong passwords count for the account and for their network, those from a browser in which the person has
    signed in before for that browser, and those in a session for the session. So strangers cannot lock the owner out.
    """

    def __init__(self, client: FromClient, device: KnownDevice, passwords: Hashing) -> None:
        self._network, self._device, self._passwords = client.network, device, passwords

    @asynccontextmanager
    async def sign_in(self, email: str) -> AsyncIterator[None]:
        """Context for checking the secrets of an address. Success makes the browser a known one.

        Raises TooManyAttempts.
        """
        if number := self._device.number_for(email):
            async with _counted(hash_secret(f"device {number}")):
                yield
        else:
            async with self._from_network(), _counted(_account(email)):
                yield
        self._device.remember(email)

    @asynccontextmanager
    async def in_session(self, visit: Visit) -> AsyncIterator[None]:
        """Context for checking the secrets of the signed-in person. Raises TooManyAttempts."""
        async with _counted(hash_secret(f"session {visit.session.id}")):
            yield

    async def confirm_password(self, visit: Visit, password: str) -> None:
        """Raises WrongPassword unless it is the password of the signed-in person, TooManyAttempts, and Busy."""
        async with self.in_session(visit):
            await self.check_password(visit.user.password_hash, password)

    async def check_password(self, password_hash: str, password: str) -> None:
        """Raises WrongPassword unless the password has this hash, and Busy. Does not count."""
        if not (await self._passwords.check(password, password_hash)).fits:
            raise WrongPassword

    async def forgive(self, email: str) -> None:
        """Reset an account's counter and make the browser a known one, after a proof of the address."""
        await store.forgive(_account(email))
        self._device.remember(email)

    async def count_mail(self, email: str) -> None:
        """Count the request of a mail. Raises TooManyAttempts."""
        moment = now()
        await store.charge(hash_secret(f"mails from {self._network}"), _of_network(), moment)
        await store.charge(hash_secret(f"mails to {email}"), MAILS, moment)

    @asynccontextmanager
    async def _from_network(self) -> AsyncIterator[None]:
        """Count an attempt of the client's network on entry. Success takes it back and forgives no other one."""
        network = hash_secret(f"address {self._network}")
        charged = await store.charge(network, _of_network(), now())
        try:
            yield
        except Busy:
            await store.refund(network, charged)
            raise
        await store.refund(network, charged)


@asynccontextmanager
async def _counted(counter: str) -> AsyncIterator[None]:
    """Count an attempt on entry. Success resets the counter. Raises TooManyAttempts."""
    charged = await store.charge(counter, GUESSES, now())
    try:
        yield
    except Busy:
        await store.refund(counter, charged)
        raise
    await store.forgive(counter)


def _of_network() -> Allowance:
    return for_address(settings.get().address_attempts)


def _account(email: str) -> str:
    return hash_secret(f"account {email}")


def refuse_personal(password: str, email: str, name: str) -> None:
    """Raises PasswordRefused for a new password that is just the person's name or address."""
    if is_personal(password, email, name):
        raise PasswordRefused


Limits = Annotated[Attempts, Depends()]
