"""Time in: the signing key's rotation, exports that wait too long, accounts that were deleted, the list of admins."""

from chassis.clock import now
from chassis.jobs import Job

from identity import rotate, store


async def finish_exports() -> None:
    """Hand out what has come where a service stays silent."""
    for export in await store.overdue_exports(now()):
        await store.finish_export(export)


async def forget_deleted() -> None:
    """Delete what is left of accounts that were deleted, as far as all that it has to say is said."""
    async for user_id in store.deleted_people():
        await store.forget_traces(user_id)
        await store.drop_account(user_id, now())


JOBS = [
    Job("rotate_signing_key", every=60.0, run=rotate.rotate_when_due),
    Job("finish_exports", every=5.0, run=finish_exports),
    Job("forget_deleted", every=10.0, run=forget_deleted),
    Job("enter_missing_admins", every=5.0, run=store.enter_missing),
]
