"""Periodic jobs: key rotation, overdue exports, deleted accounts, the list of admins, removal of second factors."""

from chassis.clock import now
from chassis.jobs import Job

from identity import store
from identity.keys import SigningKeys


async def finish_exports() -> None:
    """Complete overdue exports without the services that have not answered."""
    for export in await store.overdue_exports(now()):
        await store.finish_export(export)


async def forget_deleted() -> None:
    """Remove the remains of deleted accounts once their events are published."""
    async for user_id in store.deleted_people():
        await store.forget_traces(user_id)
        await store.drop_account(user_id, now())


async def remove_factors() -> None:
    """Remove the second factors whose removal was requested with a new password and is due."""
    moment = now()
    async for user_id in store.due_factor_removals(moment):
        await store.remove_factors(user_id, moment)


def jobs(keys: SigningKeys) -> list[Job]:
    """All periodic jobs."""
    return [
        Job("rotate_signing_key", every=60.0, run=keys.rotate_when_due),
        Job("finish_exports", every=5.0, run=finish_exports),
        Job("forget_deleted", every=10.0, run=forget_deleted),
        Job("enter_missing_admins", every=5.0, run=store.enter_missing),
        Job("remove_factors", every=60.0, run=remove_factors),
    ]
