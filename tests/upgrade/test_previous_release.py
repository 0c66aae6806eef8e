"""A platform starts on the previous release's databases, with unfinished bookings.

`previous_release` contains each service's database as that release (of 2026-11) wrote it: indexes, and the documents
of one showtime with a confirmed booking, one that awaits payment and a guest's hold. Signing keys are left out.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import facts
import httpx
import pytest
from bson import json_util
from chassis.testing import until
from cinema import Cinema
from launcher.platform import Platform
from launcher.ports import SERVICES
from launcher.settings import NO_LIMITS
from pymongo import IndexModel, MongoClient

DUMPED_AT = datetime(2026, 11, 30, 8, 20, tzinfo=UTC)
SHOWTIME = "berlin-1-20261204T0900Z"
CONFIRMED = {"hold_id": "01a22b89fcef725e855e4d5310fe0730"}
AWAITING = {"hold_id": "01a22b89ffec770b802e689b7ddb07d4"}
HELD = {"hold_id": "01a22b8a001f75b2aa455e96a2da3d86", "secret": "RsbuRBE6ov0J4mO6oJFPlakogW3YCmxHo6xxloC-LQw"}
Mongo = MongoClient[dict[str, Any]]


def today(value: Any, shift: Callable[[datetime], datetime]) -> Any:
    """Move the times of a document, so that the previous release seems to have stopped just now."""
    if isinstance(value, dict):
        return {name: today(each, shift) for name, each in value.items()}
    if isinstance(value, list):
        return [today(each, shift) for each in value]
    return shift(value) if isinstance(value, datetime) else value


def load(mongo: Mongo) -> None:
    passed = datetime.now(UTC) - DUMPED_AT
    for service in SERVICES:
        dump = json_util.loads((Path(__file__).parent / f"previous_release/{service}.json").read_text())
        for name, content in dump.items():
            collection = mongo[f"usher_{service}"].create_collection(name)
            for index in content["indexes"]:
                collection.create_indexes([IndexModel(list(index.pop("key").items()), **index)])
            if content["documents"]:
                collection.insert_many([today(each, lambda time: time + passed) for each in content["documents"]])


@pytest.fixture(scope="module")
async def cinema(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cinema]:
    folder = tmp_path_factory.mktemp("usher")
    async with Platform(data_dir=folder, only={"mongo"}) as platform:
        with Mongo(platform.env["MONGO_URI"]) as mongo:
            load(mongo)
    async with (
        Platform(data_dir=folder, environment=NO_LIMITS) as platform,
        httpx.AsyncClient(timeout=30) as http,
    ):
        yield Cinema(platform, http)


async def migrate(platform: Platform, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chassis.migrate", *words), env=platform.env, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_the_start_migrates_the_databases(cinema: Cinema):
    log = cinema.platform.log("chassis.migrate").read_text()
    assert "booking: migration 2026-12-remove-held-bookings: 1 documents" in log
    assert "inventory: migration 2026-12-publish-seat-maps: 1 documents" in log
    assert "booking: index showtimes.cascade" in log


async def test_what_was_sold_stays_and_what_was_under_way_is_paid(cinema: Cinema):
    ada = await cinema.person()
    assert (await ada.booking(CONFIRMED))["state"] == "confirmed"
    assert (await ada.booking(AWAITING))["state"] == "awaiting_payment"
    await ada.pay(await ada.create_intent(AWAITING))
    await ada.settled(AWAITING, "confirmed")


async def test_contract_leaves_what_this_version_knows(cinema: Cinema):
    assert "realtime: index showtimes.changed_at_1 dropped" in await migrate(cinema.platform, *SERVICES, "contract")
    told = await migrate(cinema.platform, *SERVICES, "status")
    assert told.splitlines() == [f"{service}: this version can run" for service in SERVICES]

    async def has_theater() -> bool:
        """Whether booking has received the theater of the showtimes that catalog has published again."""
        found = await facts.read(cinema.platform.env)
        return bool(found.bookings[CONFIRMED["hold_id"]].get("theater_id"))

    await until(has_theater)

    guest = cinema.guest()
    hold = await guest.call("GET", f"/api/holds/{HELD['hold_id']}", secret=HELD["secret"]) | HELD
    await guest.check_out(hold, "guest@usher.example")
    await guest.pay(await guest.create_intent(hold))
    await guest.settled(hold, "confirmed")
    assert await cinema.taken(SHOWTIME) == dict.fromkeys(("A1", "A2", "A5", "A6", "A7", "A8"), "sold")
