"""Time in: lapsed holds are released, and changed seat maps are published."""

import asyncio

from chassis.clock import now
from chassis.jobs import Job

from inventory import store


async def release_expired_holds() -> None:
    """Release every hold whose time is over. Its seats can be held even before that (each write compares the time).

    Raises ExceptionGroup when some cannot be released now; the others are.
    """
    lapsed = await store.expired_holds(now())
    results = await asyncio.gather(*(store.release_expired(*each) for each in lapsed), return_exceptions=True)
    if failures := [result for result in results if isinstance(result, Exception)]:
        raise ExceptionGroup("holds that were not released", failures)


JOBS = [
    # Half a second and a lease (chassis.jobs) make the two seconds within which a lapse is shown whatever crashes.
    Job("release_lapsed_holds", every=0.5, run=release_expired_holds),
    Job("publish_seat_maps", every=2, run=store.publish_seat_maps),
]
