"""A hold expires and another buyer buys its seats between the read and the write of a change."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from .stage import NewStage, steps

HoldChange = Callable[[str], Awaitable[Any]]
MEANWHILE = "ada time_passes, ben hold, ben pay"


async def renew(hold_id: str) -> None:
    from inventory import settings, store  # noqa: PLC0415 - its settings come from inventory_env

    await store.renew_hold(hold_id, lambda _: True, settings.get().limits)


async def drop(hold_id: str) -> None:
    from inventory import settings, store  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.main import replica  # noqa: PLC0415

    limits = settings.get().limits
    await store.change_hold(replica, hold_id, lambda _: True, limits, add=[], drop=["A2"])


@pytest.mark.parametrize("change", [renew, drop])
async def test_an_expired_hold_takes_no_seat_back(
    new_stage: NewStage, monkeypatch: pytest.MonkeyPatch, change: HoldChange
):
    from inventory import model  # noqa: PLC0415 - its settings come from inventory_env
    from inventory.store import holds  # noqa: PLC0415

    stage = await new_stage()
    await stage.run(("hold", "ada"))
    find_hold = holds.find_hold

    async def find_hold_then(*arguments: Any) -> Any:
        monkeypatch.setattr(holds, "find_hold", find_hold)
        found = await find_hold(*arguments)
        for step in steps(MEANWHILE):
            await stage.run(step)
        return found

    monkeypatch.setattr(holds, "find_hold", find_hold_then)
    refusal = None
    try:
        await change(stage.ids["ada"])
    except model.HoldLapsed as problem:
        refusal = problem
    owners = await stage.owners()
    assert (owners.get("A2"), owners.get("A3")) == ("ben sold", "ben sold")
    assert refusal is not None
