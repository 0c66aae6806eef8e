"""Erasure and export of personal data. A service defines how; this module decides when.

When a person is deleted, events about them may still be on their way, and some data may be needed a moment longer (for
a ticket that is being paid). So each erasure is repeated at growing intervals for ERASED_AGAIN_FOR. `erase` must be
idempotent. (docs/adr/0010-erasure-and-export.md)
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from beanie import Document
from contracts.identity import ExportRequested, UserDeleted
from contracts.personal import PersonalData
from pydantic import Field
from pydantic_core import to_jsonable_python
from pymongo import IndexModel

from chassis.clock import now
from chassis.jobs import Job
from chassis.messaging.consumer import Handlers
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate

log = structlog.get_logger()
ERASED_AGAIN_FOR = timedelta(days=30)
FIRST_AGAIN = timedelta(seconds=5)
BATCH = 100
PART_ITEMS = 20
"""Small enough to keep a part well below the maximum event size. A fixed number makes repeated parts identical."""
ANSWERS_KEPT = timedelta(days=7)


class Erasure(Document):
    """The erasure of a person's data: requested at `asked_at`, repeated at `due_at`. Its id is the user id."""

    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    asked_at: datetime
    due_at: datetime

    class Settings:
        name = "erasures"
        indexes = [
            IndexModel("due_at"),
            IndexModel("asked_at", expireAfterSeconds=int(ERASED_AGAIN_FOR.total_seconds())),
        ]


class Answer(Aggregate):
    """A part of an export, stored until its event is published. Its id makes a repeated request harmless."""

    answered_at: datetime

    class Settings:
        name = "export_answers"
        indexes = [IndexModel("answered_at", expireAfterSeconds=int(ANSWERS_KEPT.total_seconds()))]


DOCUMENTS: list[type[Document]] = [Erasure, Answer]
erasures = Collection(Erasure)
answers = Collection(Answer)


async def is_erased(user_id: str) -> bool:
    """Whether this service received the person's deletion in the last ERASED_AGAIN_FOR."""
    return await erasures.exists({"_id": user_id})


class Privacy:
    """Erases and exports the personal data of a service.

    `erase(user_id)` erases or anonymizes a person's data; `gather(user_id)` yields their records, oldest first;
    `exported` is the event that contains them.
    """

    def __init__(
        self,
        *,
        erase: Callable[[str], Awaitable[None]],
        gather: Callable[[str], AsyncIterator[dict[str, Any]]],
        exported: type[PersonalData],
    ) -> None:
        self._erase, self._gather, self._exported = erase, gather, exported
        self.handlers: Handlers = {UserDeleted: self.on_user_deleted, ExportRequested: self.on_export_requested}
        self.job = Job("erase_again", every=5.0, run=self.erase_again)

    async def on_user_deleted(self, event: UserDeleted) -> None:
        """Erase the person's data and schedule the repetitions."""
        moment = now()
        await erasures.insert(Erasure(id=event.user_id, asked_at=moment, due_at=moment + FIRST_AGAIN))
        await self._erase(event.user_id)
        log.info("person_erased", user_id=event.user_id)

    async def erase_again(self) -> None:
        """Repeat the erasures that are due. The intervals double each time. A failure does not stop the others."""
        moment = now()
        due = [each async for each in erasures.find({"due_at": {"$lte": moment}}, sort=[("due_at", 1)], limit=BATCH)]
        for erasure in due:
            pause = max(FIRST_AGAIN, moment - erasure.asked_at)
            await erasures.update({"_id": erasure.id}, {"$set": {"due_at": moment + pause}})
            try:
                await self._erase(erasure.id)
            except Exception:
                log.exception("erasure_failed", user_id=erasure.id)

    async def on_export_requested(self, event: ExportRequested) -> None:
        """Publish the person's data in parts."""
        part, items = 0, list[dict[str, Any]]()
        async for item in self._gather(event.user_id):
            if len(items) == PART_ITEMS:
                await self._answer(event.export_id, part, items, is_last=False)
                part, items = part + 1, []
            items.append(to_jsonable_python(item))
        await self._answer(event.export_id, part, items, is_last=True)

    async def _answer(self, export_id: str, part: int, items: list[dict[str, Any]], *, is_last: bool) -> None:
        event = self._exported(export_id=export_id, part=part, is_last=is_last, items=items)
        await answers.insert(Answer(id=f"{export_id}.{part}", answered_at=now()), events=[event])
