"""A real server process's worth of realtime: uvicorn on a loopback port, and clients that speak to it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from chassis.ids import new_id
from chassis.testing import Bus, until
from chassis.testing.servers import free_port
from contracts.catalog import PlacedSeat, SeatLayoutPublished, ShowtimeScheduled
from pydantic import Field, TypeAdapter
from realtime.model.protocol import ServerMessage
from websockets.asyncio.client import ClientConnection, connect


@asynccontextmanager
async def replica(**environment: str) -> AsyncIterator[str]:
    """One replica in a process of its own; yields host:port once it is ready."""
    address = f"127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "chassis.serve", "realtime", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | environment)

    async def ready() -> bool:
        assert process.returncode is None, "the service ended"
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://{address}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    try:
        await until(ready, seconds=60)
        yield address
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture(scope="session")
async def server(service_env) -> AsyncIterator[str]:
    async with replica(REFRESH_SECONDS="0.5") as address:
        yield address


_server_message: TypeAdapter[Any] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="type")])


class Client:
    """A WebSocket client that speaks JSON and takes only what the protocol knows."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, type_: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": type_, **fields}))

    async def receive(self, seconds: float = 60) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            return _server_message.validate_json(await self.connection.recv()).model_dump(exclude_unset=True)

    async def receive_until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not fits(message := await self.receive()):
            pass
        return message

    async def is_silent(self) -> bool:
        """Whether nothing but the answer to a ping comes."""
        await self.send("ping")
        return (await self.receive())["type"] == "pong"


@asynccontextmanager
async def client(address: str, **options: Any) -> AsyncIterator[Client]:
    async with connect(f"ws://{address}/ws", proxy=None, **options) as connection:
        yield Client(connection)


@pytest.fixture
async def showtime(bus: Bus, server: str) -> str:
    """A showtime of a room with 60 seats that the service knows."""
    return await a_showtime(bus, server)


async def a_showtime(bus: Bus, server: str) -> str:
    layout_id, showtime_id = new_id(), new_id()
    seats = [
        PlacedSeat(seat_id=f"{row}{n}", row=row, number=n, category="standard", x=n, y=y)
        for y, row in enumerate("ABCDEF")
        for n in range(1, 11)
    ]
    await bus.publish(SeatLayoutPublished(layout_id=layout_id, auditorium_id="a", columns=10, rows=6, seats=seats))
    schedule = {
        "showtime_id": showtime_id,
        "layout_id": layout_id,
        "starts_at": "2036-11-21T20:00:00Z",
        "ends_at": "2036-11-21T22:00:00Z",
        "sales_open_at": "2036-11-01T00:00:00Z",
        "sales_close_at": "2036-11-21T20:15:00Z",
        "prices": [{"category": "standard", "ticket_type": "adult", "amount": 1200}],
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
    }
    names = "movie_id movie_title theater_id theater_name auditorium_id auditorium_name format language certificate"
    await bus.publish(ShowtimeScheduled.model_validate(schedule | dict.fromkeys(names.split(), "x")))

    async def is_known() -> bool:
        async with client(server) as asking:
            await asking.send("subscribe", showtime_id=showtime_id)
            return (await asking.receive()).get("capacity") == 60

    await until(is_known)
    return showtime_id
