"""A minimal service that uses every part of the chassis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any

import httpx
import pytest
from chassis import privacy
from chassis.app import create_service
from chassis.jobs import Job
from chassis.mongo.collection import Collection
from chassis.mongo.migrations import Schema
from chassis.mongo.outbox import Aggregate
from chassis.privacy import Privacy
from chassis.security.auth import Caller, Principal, caller, require, signed_in, verified
from chassis.settings import ServiceSettings
from chassis.testing import running
from contracts import topology
from contracts.envelope import Event
from contracts.errors import Problem
from contracts.identity import AccessRevoked, SessionEnded
from contracts.personal import PersonalData
from fastapi import APIRouter, Depends, FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field
from pymongo.errors import ServerSelectionTimeoutError
from yarl import URL


class Pinged(Event, type="toy.pinged.v1", subject="ping_id"):
    ping_id: str
    text: str = ""


class Ponged(Event, type="toy.ponged.v1", subject="ping_id"):
    ping_id: str


class ToyData(PersonalData, type="toy.personal_data_exported.v1", subject="export_id"):
    pass


class Ping(Aggregate):
    text: str = ""
    pongs: int = 0
    open: bool = True

    class Settings:
        name = "pings"


pings = Collection(Ping)


class PingClosed(Problem):
    code, status, title = "ping_closed", 409, "This ping is closed."


class TooMany(Problem):
    code, status, title = "too_many", 429, "Too many pings."


class NewPing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=20)


router = APIRouter(prefix="/api/pings")
failures: dict[str, list[Exception]] = {}
ticks: list[float] = []


@router.post("", status_code=201)
async def ping(new: NewPing, response: Response) -> dict[str, str]:
    aggregate = Ping(text=new.text)
    await pings.insert(aggregate, events=[Pinged(ping_id=aggregate.id, text=new.text)])
    if new.text == "slow":
        await asyncio.sleep(0.5)
    if new.text == "cookie":
        response.set_cookie("session", "secret-of-the-session")
    if new.text == "too many":
        raise TooMany(retry_after=7)
    if new.text == "bug":
        raise ZeroDivisionError("secret detail")
    if new.text == "outage":
        raise ServerSelectionTimeoutError("secret address")
    return {"ping_id": aggregate.id}


@router.post("/{ping_id}/close")
async def close(ping_id: str) -> dict[str, int]:
    closed = await pings.update_and_get({"_id": ping_id, "open": True}, {"$set": {"open": False}})
    if closed is None:
        raise PingClosed(ping_id=ping_id)
    return {"version": closed.version}


@router.get("/verified")
async def verified_me(who: Annotated[Principal, Depends(verified)]) -> dict[str, str]:
    return {"user_id": who.user_id}


@router.get("/me")
async def me(who: Annotated[Principal, Depends(signed_in)]) -> dict[str, str]:
    return {"user_id": who.user_id}


@router.get("/anyone")
async def anyone(who: Annotated[Caller, Depends(caller)]) -> dict[str, bool]:
    return {"signed_in": who.principal is not None, "may": who.may("pings:write", None)}


@router.get("/secret", dependencies=[Depends(require("pings:read"))])
async def secret() -> dict[str, str]:
    return {"ok": "yes"}


async def on_pinged(event: Pinged) -> None:
    pending = failures.get(event.ping_id, [])
    if pending:
        raise pending.pop(0)
    await pings.update_and_get({"_id": event.ping_id}, {"$inc": {"pongs": 1}}, events=[Ponged(ping_id=event.ping_id)])


async def tick() -> None:
    ticks.append(asyncio.get_running_loop().time())
    if len(ticks) == 2:
        raise RuntimeError("one bad run")


people: dict[str, list[str]] = {}
erasures: list[str] = []
erasing_fails: list[Exception] = []


async def erase(user_id: str) -> None:
    erasures.append(user_id)
    if erasing_fails:
        raise erasing_fails.pop(0)
    people.pop(user_id, None)


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    for text in people.get(user_id, []):
        yield {"text": text, "at": datetime(2026, 11, 21, tzinfo=UTC)}


personal = Privacy(erase=erase, gather=gather, exported=ToyData)


class ToySettings(ServiceSettings):
    service: str = "toy"
    cors_origins: list[str] = ["https://shop.example"]


def make_app(**settings: object) -> FastAPI:
    return create_service(
        ToySettings(**settings),  # pyright: ignore[reportArgumentType]
        routers=[router],
        schema=Schema([Ping, *privacy.DOCUMENTS]),
        handlers={Pinged: on_pinged},
        jobs=[Job("tick", every=0.1, run=tick)],
        privacy=personal,
    )


@pytest.fixture(scope="module")
def toy_topology() -> Iterator[None]:
    topology.CONSUMES["toy"], topology.BROADCAST["toy"] = (Pinged, *topology.PEOPLE), (AccessRevoked, SessionEnded)
    yield
    del topology.CONSUMES["toy"], topology.BROADCAST["toy"]


@pytest.fixture(scope="module")
async def app(service_env: None, toy_topology: None) -> FastAPI:
    return make_app()


@pytest.fixture(scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with running(app) as client:
        yield client


@pytest.fixture
def toy() -> SimpleNamespace:
    return SimpleNamespace(
        Ping=Ping, pings=pings, Pinged=Pinged, Ponged=Ponged, failures=failures, ticks=ticks, make_app=make_app,
        Settings=ToySettings, ToyData=ToyData, people=people, erasures=erasures, erasing_fails=erasing_fails,
        privacy=personal,
    )  # fmt: skip


class TcpProxy:
    """A TCP proxy between services and a broker. It can be paused (`is_open`) and cut."""

    def __init__(self, where: URL) -> None:
        self._where = where
        self.uri = ""
        self.is_open = asyncio.Event()
        self.is_open.set()
        self._is_cut = False
        self._carrying: set[asyncio.Task[None]] = set()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._where.host, self._where.port)
        for ends in ((reader, there_writer), (there_reader, writer)):
            self._carrying.add(asyncio.create_task(self._carry(*ends)))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.is_open.wait()
            if self._is_cut:
                break
            writer.write(data)
        writer.transport.abort()

    def cut(self) -> None:
        self._is_cut = True
        self.is_open.set()


@pytest.fixture
async def proxy(rabbitmq_uri: str) -> AsyncIterator[TcpProxy]:
    """A proxy to the broker. Services connect to its `uri`."""
    where = URL(rabbitmq_uri)
    proxy = TcpProxy(where)
    server = await asyncio.start_server(proxy.connect, "127.0.0.1", 0)
    proxy.uri = str(where.with_port(server.sockets[0].getsockname()[1]))
    yield proxy
    server.close()
    proxy.cut()
