"""MongoDB merges as the model does, with all writes at once and in any order."""

import asyncio
import random

import pytest
from beanie import init_beanie
from chassis.ids import new_id
from pymongo import AsyncMongoClient
from realtime import store
from realtime.model import News, SeatMap, UnknownShowtime

from .test_model import NOW, blocked, changed, held, released, sold, told, unblocked


@pytest.fixture
async def database(mongo_uri):
    async with AsyncMongoClient(mongo_uri, tz_aware=True) as mongo:
        await init_beanie(mongo.usher_realtime, document_models=list(store.DOCUMENTS))
        yield


@pytest.mark.parametrize("seed", range(10))
async def test_concurrent_disordered_writes_give_the_map_of_the_model(database, seed):
    news = [
        *told(held("a", "A1", "A2"), changed("a", 1, "A2"), changed("a", 2, "A2", "A10"), sold("a", "A10", "A2")),
        *told(held("b", "A3"), released("b", "lapsed", "A3"), sold("b", "A3")),
        *told(held("c", "A4"), sold("c", "A4"), released("c", "cancelled", "A4")),
        *told(blocked("d", "A5", "A6"), unblocked("d", "A5")),
    ]
    showtime = new_id()
    expected = SeatMap(showtime)
    for one in news:
        expected.learn(one)
    disordered = news * 2
    random.Random(seed).shuffle(disordered)  # noqa: S311 - an order to repeat, not a secret
    await asyncio.gather(*(store.learn(News(showtime, one.version, one.claims), changed_at=NOW) for one in disordered))
    stored = await store.seat_map(showtime)
    assert stored.claims == expected.claims
    assert stored.snapshot() == expected.snapshot()
    assert stored.snapshot()["seats"] == {"A10": "sold", "A2": "sold", "A3": "sold", "A6": "blocked"}


async def test_an_unknown_showtime_is_said_to_be_unknown(database):
    with pytest.raises(UnknownShowtime):
        await store.seat_map("nobody-knows")
