"""Run a service in a test."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import aio_pika
import httpx
from contracts import topology
from fastapi import FastAPI

from chassis.messaging import broker
from chassis.testing.servers import free_port

T = TypeVar("T")


@asynccontextmanager
async def running(app: FastAPI, *, fresh: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """Run the app with its lifespan and yield a client for it.

    A `fresh` app starts with empty queues, without the events of earlier tests; a restarted one keeps them. Run one app
    of a service at a time, because Beanie binds its classes to the database of the app that started last. Use
    `replica_of` for a second replica.
    """
    if fresh:
        await _purge(app.title.rpartition(" ")[2])
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", timeout=30) as client:
            yield client


@asynccontextmanager
async def replica_of(
    service: str, probe: str = "/readyz", stdout: int | None = None, /, **environment: str
) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """Run the service in a separate process and yield the process and a client, when `probe` succeeds.

    `stdout`: as for a subprocess. `environment` overrides the test's environment. The process is killed at the end,
    unless it has already ended.
    """
    port = free_port()
    command = (sys.executable, "-m", "chassis.serve", service, "--port", str(port))
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | environment, stdout=stdout)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

            async def is_ready() -> bool:
                assert process.returncode is None, f"{service} has ended"
                try:
                    return (await http.get(probe)).is_success
                except httpx.TransportError:
                    return False

            await until(is_ready)
            yield process, http
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _purge(service: str) -> None:
    if service not in topology.CONSUMES:
        return
    connection = await aio_pika.connect_robust(os.environ["RABBITMQ_URI"])
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        await broker.declare(channel)
        for name in (topology.queue_name(service), topology.dead_letter_queue_name(service)):
            await (await channel.get_queue(name)).purge()


async def until(ask: Callable[[], Awaitable[T]], *, seconds: float = 60) -> T:
    """Repeat until the result is truthy. Raises AssertionError with the last result on timeout."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (answer := await ask()):
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"still {answer!r} after {seconds} s")
        await asyncio.sleep(0.02)
    return answer
