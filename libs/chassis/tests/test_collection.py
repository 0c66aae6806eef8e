"""One interface to documents: guarded changes, versions and events in the same write, and races."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from beanie import Document, init_beanie
from chassis.ids import new_id
from chassis.mongo.collection import Collection
from chassis.mongo.outbox import Aggregate
from contracts.envelope import Event
from pydantic import BaseModel, Field
from pymongo import AsyncMongoClient, IndexModel, InsertOne, UpdateOne
from pymongo.errors import DuplicateKeyError


class Poured(Event, type="bar.poured.v1", subject="glass_id"):
    glass_id: str


class Glass(Aggregate):
    level: int = 0
    name: str | None = None

    class Settings:
        name = "glasses"
        indexes: ClassVar = [IndexModel("name", unique=True, partialFilterExpression={"name": {"$type": "string"}})]


class Coaster(BaseModel):
    """A model that knows nothing of MongoDB."""

    id: str
    colour: str = "white"
    used: int = 0


class CoasterDocument(Document):
    id: str = Field()  # pyright: ignore[reportIncompatibleVariableOverride]
    colour: str
    used: int

    class Settings:
        name = "coasters"
        indexes: ClassVar = [IndexModel("colour")]


glasses = Collection(Glass)
coasters = Collection(CoasterDocument, Coaster)


class Outbox:
    """Records what a relay would publish."""

    def __init__(self) -> None:
        self.enqueued: list[tuple[str, int | None, list[str]]] = []

    def enqueue(self, _: Any, document_id: str, version: int | None, entries: Any) -> None:
        self.enqueued.append((document_id, version, [entry["type"] for entry in entries]))


@pytest.fixture
async def outbox(mongo_uri: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Outbox]:
    async with AsyncMongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as mongo:
        database = mongo[f"collection_{new_id()}"]
        await init_beanie(database, document_models=[Glass, CoasterDocument])
        outbox = Outbox()
        monkeypatch.setattr(Glass, "relay", outbox)
        yield outbox
        await mongo.drop_database(database.name)


pytestmark = pytest.mark.usefixtures("outbox")
pour = {"$inc": {"level": 1}}


def poured(glass_id: str = "a") -> list[Poured]:
    return [Poured(glass_id=glass_id)]


async def stored(glass_id: str = "a") -> dict[str, Any]:
    document = await Glass.get_pymongo_collection().find_one({"_id": glass_id})
    assert document is not None
    return document


async def state(glass_id: str = "a") -> tuple[int, int, int]:
    """The level, the version and the number of events."""
    document = await stored(glass_id)
    return document["level"], document["version"], len(document["outbox"])


async def test_an_insert_stores_the_events_and_happens_once(outbox: Outbox):
    outcomes = await asyncio.gather(*(glasses.insert(Glass(id="a", level=n), events=poured()) for n in range(5)))
    assert outcomes.count(True) == 1
    assert (await state())[1:] == (1, 1)
    assert outbox.enqueued == [("a", 1, [Poured.type])]


async def test_an_insert_of_another_unique_key_that_exists_is_refused(outbox: Outbox):
    assert await glasses.insert(Glass(id="a", name="pint"))
    assert not await glasses.insert(Glass(id="b", name="pint"), events=poured("b"))
    assert (await glasses.count({}), outbox.enqueued) == (1, [])


WAYS: dict[str, dict[str, Any]] = {
    "grouped": {"where": {"_id": "a"}},
    "without an id": {"where": {"name": "pint"}},
    "with an expression": {"where": {"_id": "a", "$expr": {"$gte": ["$level", 0]}}},
    "upsert": {"where": {"_id": "a"}, "upsert": True},
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_change_counts_the_version_and_stores_its_events_in_the_same_write(outbox: Outbox, way: str):
    await glasses.insert(Glass(id="a", name="pint"))
    where, more = WAYS[way]["where"], {key: value for key, value in WAYS[way].items() if key != "where"}
    assert await glasses.update(where, pour, events=poured(), **more)
    assert await state() == (1, 2, 1)
    assert await glasses.update(where, pour, **more, bump=False)
    assert await state() == (2, 2, 1)
    known = None if way == "grouped" else 2
    assert outbox.enqueued == [("a", known, [Poured.type])]


@pytest.mark.parametrize("way", WAYS)
async def test_a_guard_that_does_not_match_changes_nothing(outbox: Outbox, way: str):
    await glasses.insert(Glass(id="a", name="pint", level=9))
    where, more = WAYS[way]["where"], {key: value for key, value in WAYS[way].items() if key != "where"}
    assert not await glasses.update(where | {"level": 0}, pour, events=poured(), **more)
    assert not await glasses.update_and_get(where | {"level": 0}, pour, events=poured(), **more)
    assert (await state(), await glasses.count({}), outbox.enqueued) == ((9, 1, 0), 1, [])


async def test_the_version_of_a_write_that_is_guarded_by_it_is_known(outbox: Outbox):
    await glasses.insert(Glass(id="a"))
    assert await glasses.update({"_id": "a", "version": 1}, pour, events=poured())
    assert await glasses.update({"_id": "a", "version": 2}, pour, events=poured(), bump=False)
    assert await glasses.update({"_id": "a", "version": {"$lt": 3}}, pour, events=poured())
    assert [version for _, version, _ in outbox.enqueued] == [2, 2, None]
    assert await state() == (3, 3, 3)


async def test_a_changes_own_counters_and_lists_stay_beside_the_version_and_the_events():
    await glasses.insert(Glass(id="a"))
    change = {"$inc": {"level": 3}, "$push": {"labels": "x"}, "$set": {"name": "pint"}}
    assert await glasses.update({"_id": "a"}, change, events=poured())
    document = await stored()
    assert (document["level"], document["labels"], document["name"], document["version"]) == (3, ["x"], "pint", 2)
    assert len(document["outbox"]) == 1


@pytest.mark.parametrize("is_guarded", [False, True])
async def test_of_many_changes_of_one_version_one_wins(outbox: Outbox, is_guarded: bool):
    """Without the guard, every change is applied."""
    await glasses.insert(Glass(id="a"))
    where = {"_id": "a"} | ({"version": 1} if is_guarded else {})
    grouped = [glasses.update(where, pour, events=poured()) for _ in range(10)]
    single = [glasses.update_and_get(where, pour, events=poured()) for _ in range(10)]
    wins = sum(map(bool, await asyncio.gather(*grouped, *single)))
    assert wins == (1 if is_guarded else 20)
    assert await state() == (wins, wins + 1, wins)
    assert len(outbox.enqueued) == wins


async def test_an_upsert_inserts_once(outbox: Outbox):
    fields = {"$setOnInsert": {"name": None}, **pour}
    where = {"_id": "a", "level": {"$lt": 1}}
    upserts = [glasses.update(where, fields, events=poured(), upsert=True) for _ in range(10)]
    outcomes = await asyncio.gather(*upserts)
    assert outcomes.count(True) == 1
    assert await state() == (1, 1, 1)
    assert outbox.enqueued == [("a", 1, [Poured.type])]


async def test_a_pipeline_counts_the_version_but_adds_no_events(outbox: Outbox):
    await glasses.insert(Glass(id="a", level=4))
    double = [{"$set": {"level": {"$multiply": ["$level", 2]}}}]
    after = await glasses.update_and_get({"_id": "a"}, double)
    assert after is not None
    assert (after.level, after.version) == (8, 2)
    assert await glasses.update({"_id": "a"}, double, bump=False)
    assert await state() == (16, 2, 0)
    with pytest.raises(TypeError):
        await glasses.update({"_id": "a"}, double, events=poured())
    assert await state() == (16, 2, 0)


@pytest.mark.parametrize("upsert", [False, True])
async def test_a_change_to_a_unique_key_that_exists_is_an_error(outbox: Outbox, upsert: bool):
    await glasses.insert(Glass(id="a", name="pint"))
    await glasses.insert(Glass(id="b"))
    with pytest.raises(DuplicateKeyError):
        await glasses.update({"_id": "b"}, {"$set": {"name": "pint"}}, events=poured("b"), upsert=upsert)
    assert (await state("b"), outbox.enqueued) == ((0, 1, 0), [])


async def test_documents_are_read_without_their_outbox():
    await glasses.insert(Glass(id="a", name="pint", level=1), events=poured())
    await glasses.insert(Glass(id="b", level=2))
    assert (await glasses.get("a"), await glasses.get("nothing")) == (
        Glass(id="a", name="pint", level=1, version=1),
        None,
    )
    assert await glasses.find_one({}, sort=[("level", -1)]) == Glass(id="b", level=2, version=1)
    found = [glass.id async for glass in glasses.find({"level": {"$gt": 0}}, sort=[("level", -1)])]
    assert (found, [glass.id async for glass in glasses.find({}, sort=[("_id", 1)], limit=1)]) == (["b", "a"], ["a"])
    assert (await glasses.exists({"level": 2}), await glasses.exists({"level": 3})) == (True, False)
    assert (await glasses.count({}), await glasses.count({}, limit=1)) == (2, 1)
    assert sorted(await glasses.distinct("level", {})) == [1, 2]


async def test_rows_are_the_wanted_fields_only():
    await glasses.insert(Glass(id="a", level=1))
    assert await glasses.row({"_id": "a"}, ["level"]) == {"_id": "a", "level": 1}
    assert await glasses.row({"_id": "b"}, ["level"]) is None
    twice = {"_id": 0, "twice": {"$multiply": ["$level", 2]}}
    assert [row async for row in glasses.rows({}, twice, sort=[("_id", 1)], hint="_id_")] == [{"twice": 2}]
    total = [{"$group": {"_id": None, "sum": {"$sum": "$level"}}}]
    assert [row["sum"] async for row in glasses.aggregate(total, hint="_id_")] == [1]


async def test_a_model_with_a_plain_id_is_written_and_read_by_it():
    assert await coasters.insert(Coaster(id="c", used=1))
    assert not await coasters.insert(Coaster(id="c"))
    raw = await CoasterDocument.get_pymongo_collection().find_one({})
    assert raw == {"_id": "c", "colour": "white", "used": 1}
    assert await coasters.update_and_get({"_id": "c"}, {"$inc": {"used": 1}}) == Coaster(id="c", used=2)
    assert [each async for each in coasters.find({"used": 2})] == [Coaster(id="c", used=2)]
    assert await coasters.take({"_id": "c"}) == Coaster(id="c", used=2)


async def test_of_many_who_take_a_document_one_gets_it():
    await coasters.insert(Coaster(id="c"))
    taken = await asyncio.gather(*(coasters.take({"_id": "c", "colour": "white"}) for _ in range(5)))
    assert [each for each in taken if each] == [Coaster(id="c")]


async def test_a_delete_says_whether_it_matched():
    for name in "cde":
        await coasters.insert(Coaster(id=name))
    assert not await coasters.delete({"_id": "c", "used": 1})
    assert await coasters.delete({"_id": "c"})
    assert await coasters.delete_many({"used": 0}) == 2


async def test_many_documents_change_at_once_without_versions():
    for name in "ab":
        await glasses.insert(Glass(id=name))
    assert await glasses.update_many({}, {"$set": {"level": 5}}) == 2
    assert await state() == (5, 1, 0)
    await coasters.merge("c", {"$setOnInsert": {"colour": "red", "used": 0}})
    await coasters.merge("c", {"$inc": {"used": 2}})
    assert await coasters.get("c") == Coaster(id="c", colour="red", used=2)
    writes = [InsertOne({"_id": "d", "colour": "blue", "used": 0}), UpdateOne({"_id": "c"}, {"$set": {"used": 7}})]
    assert (await coasters.bulk_write(writes), await coasters.bulk_write([])) == (2, 0)
