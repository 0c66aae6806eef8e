"""Readiness checks. They answer within a second even while a server hangs."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import timedelta

import structlog
from prometheus_client import Gauge
from pymongo.errors import PyMongoError

from chassis import clock
from chassis.messaging.broker import Broker
from chassis.messaging.consumer import Consumer
from chassis.mongo.migrations import Database

log = structlog.get_logger()
PATIENCE_S = 0.8
FRESH_S = 1.0
MAX_SKEW_S = 60.0
_ready = Gauge("usher_ready", "Whether the readiness check passes, as in /readyz", ["check"])
_skew = Gauge("usher_clock_skew_seconds", "Difference between this process's clock and MongoDB's")


class Shared:
    """A check that runs once for all concurrent callers.

    A result is used for FRESH_S. A check that takes longer than PATIENCE_S counts as failed until it ends.
    """

    def __init__(self, check: Callable[[], Awaitable[bool]]) -> None:
        self._check = check
        self._running: asyncio.Task[bool] | None = None
        self._begun_at = -math.inf

    async def passes(self) -> bool:
        """Return the result of the check that is running or has just ended, or else run it."""
        loop_time = asyncio.get_running_loop().time()
        if self._running is None or (self._running.done() and loop_time - self._begun_at > FRESH_S):
            # Must not inherit the context (trace, correlation id) of the first request.
            self._running = asyncio.create_task(self._run(), context=Context())
            self._begun_at = loop_time
        await asyncio.wait({self._running}, timeout=self._begun_at + PATIENCE_S - loop_time)
        return self._running.done() and self._running.result()

    async def _run(self) -> bool:
        return await self._check()


class Readiness:
    """The checks of a service: MongoDB, RabbitMQ, its consumer if it has one, and its clock."""

    def __init__(self, database: Database, broker: Broker, consumer: Consumer | None) -> None:
        self._database, self._broker = database, broker
        self._shared = {"mongodb": Shared(self._mongodb_answers)}
        if consumer is not None:
            self._shared["consumer"] = Shared(consumer.is_consuming)
        self._skew_s = 0.0

    async def checks(self) -> dict[str, bool]:
        """Return the result of each check, and set the gauges."""
        names = [*self._shared]
        results = await asyncio.gather(*(self._shared[name].passes() for name in names))
        checks = dict(zip(names, results, strict=True))
        checks |= {"rabbitmq": self._broker.is_connected, "clock": self._skew_s < MAX_SKEW_S}
        for check, is_fine in checks.items():
            _ready.labels(check).set(is_fine)
        return checks

    async def _mongodb_answers(self) -> bool:
        asked_at, began = clock.local(), time.perf_counter()
        try:
            hello = await self._database.command("hello", codec_options=self._database.codec_options)
        except PyMongoError as error:
            log.warning("mongodb_unreachable", reason=type(error).__name__)
            return False
        round_trip_s = time.perf_counter() - began
        # MongoDB read its clock at some moment during the round trip; only a difference beyond it counts.
        ahead_s = (hello["localTime"] - asked_at).total_seconds() - round_trip_s / 2
        self._skew_s = max(0.0, abs(ahead_s) - round_trip_s / 2)
        _skew.set(self._skew_s)
        if round_trip_s < PATIENCE_S:  # a slow answer is too imprecise
            clock.correct(timedelta(seconds=ahead_s))
        return True
