"""The personal data that the notifier stores: erased after an account is deleted, exported on request.

Pending mails are sent before they are erased, including the one that confirms the deletion: the chassis repeats the
erasure.
"""

from collections.abc import AsyncIterator
from typing import Any

from chassis.privacy import Privacy
from contracts.notifier import NotifierDataExported

from notifier.store import Message

EXPORTED_FIELDS = {"kind", "address", "reference", "state", "queued_at", "sent_at"}
"""Without the mail's content: it may hold tickets and links, and the recipient already has it."""


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the stored mails of a person."""
    async for message in Message.of_person(user_id):
        yield message.model_dump(include=EXPORTED_FIELDS)


PRIVACY = Privacy(erase=Message.erase_person, gather=gather, exported=NotifierDataExported)
