"""Revocation of access tokens before they expire: when roles change, an account is closed or a session ends.

Identity counts a person's epochs and writes the current one into each token. Each replica keeps in memory the first
valid epoch of each affected person, and the sessions that have ended. It receives revocations as events on its own
queue. It also fetches the whole list from identity before it accepts its first token and then every RELOAD_S, which
makes up for missed events.
(docs/adr/0008-revoked-access.md)
"""

import math
from collections.abc import Awaitable, Callable
from typing import Any

from cachetools import TTLCache
from contracts.identity import AccessRevoked, SessionEnded

RELOAD_S = 20.0
KEPT_S = 3600.0
"""No access token is valid longer; identity's settings ensure it."""
Ask = Callable[[], Awaitable[dict[str, Any]]]


class Revocations:
    """The revocations that this replica knows.

    `ask` fetches identity's list: `{"revoked": {user id: first valid epoch}, "ended": {session id: user id}}`.
    `on_revoked` is called with the user id of each new revocation.
    """

    def __init__(self, ask: Ask, on_revoked: Callable[[str], None] = lambda _: None) -> None:
        self._ask, self._on_revoked = ask, on_revoked
        self._epochs = TTLCache[str, int](math.inf, KEPT_S)
        self._ended = TTLCache[str, None](math.inf, KEPT_S)
        self._is_complete = False

    async def is_void(self, user_id: str, epoch: int, session_id: str = "") -> bool:
        """Whether a token of this epoch and session is revoked. Raises the error of `ask` before the first list."""
        if not self._is_complete:
            await self.reload()
        return epoch < self._epochs.get(user_id, 0) or session_id in self._ended

    async def on_access_revoked(self, event: AccessRevoked) -> None:
        """Store a revocation."""
        self._store(event.user_id, event.epoch)

    async def on_session_ended(self, event: SessionEnded) -> None:
        """Store the end of a session."""
        self._store_end(event.session_id, event.user_id)

    async def reload(self) -> None:
        """Fetch the list. Recent revocations stay even if it lacks them, because it may be older than they are."""
        answer = await self._ask()
        for user_id, epoch in answer["revoked"].items():
            self._store(user_id, epoch)
        for session_id, user_id in answer["ended"].items():
            self._store_end(session_id, user_id)
        self._is_complete = True

    def _store(self, user_id: str, epoch: int) -> None:
        if epoch <= self._epochs.get(user_id, 0):
            return
        self._epochs[user_id] = epoch
        self._on_revoked(user_id)

    def _store_end(self, session_id: str, user_id: str) -> None:
        if session_id not in self._ended:
            self._ended[session_id] = None
            self._on_revoked(user_id)
