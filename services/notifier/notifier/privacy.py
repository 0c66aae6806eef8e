"""What the notifier keeps about a person: erased when they are gone, handed out when they ask.

What is still to be sent is sent first, the word that the account is deleted among it: the chassis comes again.
"""

from collections.abc import AsyncIterator
from typing import Any

from chassis.privacy import Privacy
from contracts.notifier import NotifierDataExported

from notifier.store import Message

HANDED_OUT = {"kind", "address", "reference", "state", "queued_at", "sent_at"}
"""Not what a mail said: it may hold tickets and links, and whoever got it has it."""


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """The mails that a person was sent and that are still kept."""
    async for message in Message.of_person(user_id):
        yield message.model_dump(include=HANDED_OUT)


PRIVACY = Privacy(erase=Message.erase_person, gather=gather, says=NotifierDataExported)
