"""Time in."""

from chassis.jobs import Job

from catalog import store

JOBS = [Job("resume_schedules", every=15.0, run=store.resume)]
