"""Time in: keeping the documents small."""

from datetime import timedelta

from chassis.clock import now
from chassis.jobs import Job

from realtime import store
from realtime.model import forgettable

LOOK_BACK = timedelta(days=1)


async def forget_old_holds() -> None:
    """Drop the holds that are long over from the showtimes that changed lately."""
    moment = now()
    for news in await store.claims_changed_since(moment - LOOK_BACK):
        await store.forget(news.showtime_id, forgettable(news.claims, moment))


JOBS = (Job("forget_old_holds", every=300, run=forget_old_holds),)
