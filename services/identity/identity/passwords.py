"""argon2id (RFC 9106) in a few threads beside the event loop, and the list of common passwords."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import NamedTuple, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from chassis.security.secrets import new_secret
from prometheus_client import Gauge

from identity import settings
from identity.model import Busy, acceptable_password
from identity.settings import Settings

T = TypeVar("T")
BUSY_S = 5
NICE = 10
_waiting = Gauge("usher_identity_passwords_waiting", "Passwords being hashed or waiting")


class Checked(NamedTuple):
    """Whether a password matches, and a new hash when the stored one has weaker parameters than today's."""

    fits: bool
    rehashed: str | None = None


class Passwords:
    """Hashes and checks passwords in threads, which limit memory and CPU. Further work waits in a bounded queue."""

    def __init__(self, chosen: Settings) -> None:
        self._hasher = PasswordHasher(chosen.argon2_passes, chosen.argon2_memory_kib, parallelism=1)
        self._nobody = self._hasher.hash(new_secret())
        self.room = chosen.password_workers + chosen.password_queue
        self._pool = ThreadPoolExecutor(chosen.password_workers, "argon2", initializer=_lower_priority)

    async def hash(self, password: str) -> str:
        """Return the password's hash in PHC form, with its salt and parameters. Raises Busy."""
        return await self._run(self._hasher.hash, password)

    async def check(self, password: str, password_hash: str | None) -> Checked:
        """Compare a password with a hash. Without a hash it never matches and takes as long. Raises Busy."""
        checked = await self._run(self._check, password, password_hash or self._nobody)
        return checked if password_hash is not None else Checked(fits=False)

    def _check(self, password: str, password_hash: str) -> Checked:
        try:
            self._hasher.verify(password_hash, password)
        except VerifyMismatchError:
            return Checked(fits=False)
        return Checked(True, self._hasher.hash(password) if self._hasher.check_needs_rehash(password_hash) else None)

    async def _run(self, work: Callable[..., T], *arguments: str) -> T:
        """Run the function in one of the threads. Raises Busy when the queue is full."""
        if self.room <= 0:
            raise Busy(retry_after=BUSY_S)
        self.room -= 1
        with _waiting.track_inprogress():
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
            finally:
                self.room += 1


def _lower_priority() -> None:
    """Lower the thread's priority below the event loop's: on Linux each thread has a nice value."""
    thread = threading.get_native_id()
    # Only root may raise the priority of a process that was started with a lower one.
    if sys.platform == "linux" and os.getpriority(os.PRIO_PROCESS, thread) < NICE:
        os.setpriority(os.PRIO_PROCESS, thread, NICE)


def acceptable(password: str) -> str:
    """A new password, normalised. Raises ValueError for one that is too short, too long or too common."""
    return acceptable_password(password, settings.get().min_password_length, _commonest())


@cache
def _commonest() -> frozenset[str]:
    lines = (files("identity") / "common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))
