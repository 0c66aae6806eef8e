"""argon2id (RFC 9106), off the event loop, a few at a time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from chassis.secrets import new_secret

from identity import settings


class _Works(NamedTuple):
    pool: ThreadPoolExecutor
    hasher: PasswordHasher
    nobody: str


@cache
def _works() -> _Works:
    chosen = settings.get()
    hasher = PasswordHasher(chosen.argon2_passes, chosen.argon2_memory_kib, parallelism=1)
    # The pool bounds memory and cores: what does not fit waits its turn, and other requests stay fast.
    return _Works(ThreadPoolExecutor(chosen.password_workers, "argon2"), hasher, hasher.hash(new_secret()))


async def hash_password(password: str) -> str:
    """The password's hash in PHC form, with its salt and parameters."""
    works = _works()
    return await asyncio.get_running_loop().run_in_executor(works.pool, works.hasher.hash, password)


async def is_password(password: str, password_hash: str | None) -> bool:
    """Whether the password fits the hash. No hash, for nobody's account, is never fitting and takes as long."""
    works = _works()
    fits = await asyncio.get_running_loop().run_in_executor(works.pool, _fits, password, password_hash or works.nobody)
    return fits and password_hash is not None


def _fits(password: str, password_hash: str) -> bool:
    try:
        return _works().hasher.verify(password_hash, password)
    except VerifyMismatchError:
        return False
