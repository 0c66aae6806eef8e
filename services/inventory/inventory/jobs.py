"""Periodic work: release expired holds, offer seats to waiting parties and publish changed seat maps."""

import asyncio
from functools import partial

from chassis.clock import now
from chassis.jobs import Job

from inventory import store


async def release_expired_holds(replica: store.Replica) -> None:
    """Release every expired hold. Its seats can be held again even before that, because each write compares the time.

    Raises ExceptionGroup when those of some showtimes cannot be released; all others are released.
    """
    expired = await store.with_expired_holds(now())
    results = await asyncio.gather(*(store.release_expired(replica, each) for each in expired), return_exceptions=True)
    if failures := [result for result in results if isinstance(result, Exception)]:
        raise ExceptionGroup("some holds were not released", failures)


async def run_waitlist_rounds(replica: store.Replica) -> None:
    """Run the rounds of waitlists that are due, also those that another replica left behind.

    Raises ExceptionGroup when some rounds fail; all others are done.
    """
    due = await store.with_due_rounds(now())
    results = await asyncio.gather(*(store.run_round(replica, each) for each in due), return_exceptions=True)
    if failures := [result for result in results if isinstance(result, Exception)]:
        raise ExceptionGroup("some rounds of waitlists were not done", failures)


def jobs(replica: store.Replica) -> list[Job]:
    """Return the jobs of this replica."""
    return [
        # This interval plus a lease (chassis.jobs) stays below 2 s, the limit for showing an expiry even after a crash.
        Job("release_lapsed_holds", every=0.5, run=partial(release_expired_holds, replica)),
        Job("run_waitlist_rounds", every=0.5, run=partial(run_waitlist_rounds, replica)),
        Job("publish_seat_maps", every=2, run=store.publish_seat_maps),
    ]
