"""Periodic jobs."""

import structlog
from chassis.clock import now
from chassis.jobs import Job

from catalog import importing, settings, store

log = structlog.get_logger()


async def drop_unused_pictures() -> None:
    """Delete pictures that no film uses."""
    if dropped := await store.drop_unused_pictures(now()):
        log.info("pictures_dropped", count=dropped)


async def work_on_imports() -> None:
    """Process imports of films."""
    await importing.work(settings.get())


JOBS = [
    Job("work_on_imports", every=2.0, run=work_on_imports),
    Job("resume_schedules", every=15.0, run=store.resume),
    Job("cancel_late_comers", every=60.0, run=store.cancel_late_comers),
    Job("drop_unused_pictures", every=3600.0, run=drop_unused_pictures),
]
