"""argon2id (RFC 9106), off the event loop, a few at a time, and the passwords that nobody should choose."""

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
from chassis.secrets import new_secret
from prometheus_client import Gauge

from identity import settings
from identity.model import Busy, acceptable_password

T = TypeVar("T")
BUSY_S = 5
NICE = 10
_waiting = Gauge("usher_identity_passwords_waiting", "Passwords that are hashed or wait for it")


class _Works:
    """The threads that hash. They bound memory and cores: what does not fit waits its turn."""

    def __init__(self) -> None:
        chosen = settings.get()
        self.hasher = PasswordHasher(chosen.argon2_passes, chosen.argon2_memory_kib, parallelism=1)
        self.nobody = self.hasher.hash(new_secret())
        self.room = chosen.password_workers + chosen.password_queue
        self._pool = ThreadPoolExecutor(chosen.password_workers, "argon2", initializer=_step_back)

    async def do(self, work: Callable[..., T], *arguments: str) -> T:
        """The work's result from one of the threads. Raises Busy when too many wait already."""
        if self.room <= 0:
            raise Busy(retry_after=BUSY_S)
        self.room -= 1
        with _waiting.track_inprogress():
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
            finally:
                self.room += 1


def _step_back() -> None:
    """Let the event loop go first where both want a core: Linux knows a nice value for each thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


@cache
def _works() -> _Works:
    return _Works()


class Checked(NamedTuple):
    """Whether a password fits, and its new hash where the kept one was made with weaker parameters than today's."""

    fits: bool
    rehashed: str | None = None


async def hash_password(password: str) -> str:
    """The password's hash in PHC form, with its salt and parameters. Raises Busy."""
    works = _works()
    return await works.do(works.hasher.hash, password)


async def check_password(password: str, password_hash: str | None) -> Checked:
    """Compare. No hash, for nobody's account, is never fitting and takes as long. Raises Busy."""
    works = _works()
    checked = await works.do(_check, password, password_hash or works.nobody)
    return checked if password_hash is not None else Checked(fits=False)


def _check(password: str, password_hash: str) -> Checked:
    hasher = _works().hasher
    try:
        hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return Checked(fits=False)
    return Checked(True, hasher.hash(password) if hasher.check_needs_rehash(password_hash) else None)


def acceptable(password: str) -> str:
    """A new password, normalised. Raises ValueError for one that is too short, too long or too common."""
    return acceptable_password(password, settings.get().min_password_length, _commonest())


@cache
def _commonest() -> frozenset[str]:
    lines = (files("identity") / "common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))
