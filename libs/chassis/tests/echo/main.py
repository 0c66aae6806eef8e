"""`POST /api/echo` records its run, waits for `POST /api/go` with its text, and returns the id of its process."""

import asyncio
import os
import time
from collections import defaultdict
from datetime import datetime

from chassis.app import create_service
from chassis.clock import now
from chassis.ids import new_id
from chassis.mongo.migrations import Schema
from chassis.observability import watchdog
from chassis.settings import ServiceSettings
from fastapi import APIRouter, Request


class EchoSettings(ServiceSettings):
    service: str = "echo"
    watchdog_s: int = 15


settings = EchoSettings()
watchdog.LIMIT_S = settings.watchdog_s
router = APIRouter(prefix="/api")
may_go: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


@router.post("/echo")
async def echo(request: Request, text: str) -> dict[str, str | int]:
    await request.app.state.database.runs.insert_one({"_id": new_id(), "text": text, "process": os.getpid()})
    await may_go[text].wait()
    return {"text": text, "process": os.getpid()}


@router.post("/go")
async def go(text: str) -> None:
    may_go[text].set()


@router.get("/time")
async def time_here() -> datetime:
    return now()


@router.post("/block")
async def block(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - blocks the loop on purpose


app = create_service(settings, schema=Schema(), routers=[router])
