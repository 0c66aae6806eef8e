"""Time in. Lapsed seats can be had again without any job (the write's filter compares the time); this one says so."""

from chassis.clock import now
from chassis.jobs import Job

from inventory import store


async def announce_lapsed_holds() -> None:
    """Release every hold whose time is over."""
    for showtime_id, hold_id in await store.lapsed_holds(now()):
        await store.lapse(showtime_id, hold_id)


# Half a second and a lease (chassis.jobs) make the two seconds within which a lapse is announced whatever crashes.
JOBS = [Job("announce_lapsed_holds", every=0.5, run=announce_lapsed_holds)]
