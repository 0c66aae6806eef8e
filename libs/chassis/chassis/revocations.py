"""Access tokens that are void before they run out, because their person was demoted, shut out or deleted.

Identity counts a person's epochs and writes the present one into each token. Each replica keeps in memory from which
epoch on it believes whom: it hears of a revocation at once, over a queue of its own; it asks identity for all that
still matter before it believes its first token, and from then on every RELOAD_S, which heals what it did not hear.
(docs/adr/0008-revoked-access.md)
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self

import structlog
from contracts.identity import AccessRevoked

log = structlog.get_logger()
RELOAD_S = 20.0
KEPT_S = 3600.0
"""No access token lasts longer; identity's settings see to it."""
Ask = Callable[[], Awaitable[dict[str, Any]]]


class Revocations:
    """`ask` gives identity's list: `{"revoked": {user id: first epoch that counts}}`. `on_revoked` hears of each."""

    def __init__(self, ask: Ask, on_revoked: Callable[[str], None] = lambda _: None) -> None:
        self._ask, self._on_revoked = ask, on_revoked
        self._epochs: dict[str, int] = {}
        self._heard_at: dict[str, float] = {}
        self._is_complete = False
        self._reloading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._reloading = asyncio.create_task(self._reload_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.gather(self._reloading, return_exceptions=True)

    async def is_void(self, user_id: str, epoch: int) -> bool:
        """Whether a token of this epoch is void. Raises what asking raises while identity has never been asked."""
        if not self._is_complete:
            await self.reload()
        return epoch < self._epochs.get(user_id, 0)

    async def on_access_revoked(self, event: AccessRevoked) -> None:
        """Somebody's tokens are void from now on."""
        self._learn(event.user_id, event.epoch)

    async def reload(self) -> None:
        """Ask identity. What was heard lately stays: the answer may have been written before it."""
        answer = await self._ask()
        for user_id, epoch in answer["revoked"].items():
            self._learn(user_id, epoch)
        too_old = time.monotonic() - KEPT_S
        for user_id in [user_id for user_id, heard_at in self._heard_at.items() if heard_at < too_old]:
            del self._epochs[user_id], self._heard_at[user_id]
        self._is_complete = True

    def _learn(self, user_id: str, epoch: int) -> None:
        if epoch <= self._epochs.get(user_id, 0):
            return
        self._epochs[user_id], self._heard_at[user_id] = epoch, time.monotonic()
        self._on_revoked(user_id)

    async def _reload_forever(self) -> None:
        while True:
            try:
                await self.reload()
            except Exception as error:
                log.info("revocations_not_reloaded", reason=repr(error))
            await asyncio.sleep(RELOAD_S)
