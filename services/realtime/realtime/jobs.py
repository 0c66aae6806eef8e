"""Time in: keeping the documents small.

Every instance does it: what is dropped is guarded in the write, so twice does no harm, and a turn (`chassis.jobs`)
would cost a write each second for something that is done every five minutes.
"""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from chassis.clock import now

from realtime import store
from realtime.model import forgettable
from realtime.settings import Settings
from realtime.upkeep import kept_up

FORGET_S = 300.0
LOOK_BACK = timedelta(days=1)


async def forget_old_holds() -> None:
    """Drop the holds that are long over from the showtimes that changed lately."""
    moment = now()
    for news in await store.claims_changed_since(moment - LOOK_BACK):
        await store.forget(news.showtime_id, forgettable(news.claims, moment))


def running(_: Settings) -> AbstractAsyncContextManager[None]:
    """While the service runs."""
    return kept_up((forget_old_holds, FORGET_S))
