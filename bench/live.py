"""python -m bench.live: measure realtime's push to thousands of clients, beside a plain Starlette loop.

One process each, 20 changes a second. A delay is the time from a change's publication (to RabbitMQ, or to the plain
loop by HTTP) until a client has it.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aio_pika
import httpx
import uvloop
from chassis.clock import now
from chassis.ids import new_id
from chassis.messaging.wire import to_batch
from chassis.testing.servers import free_port
from contracts import topology
from contracts.envelope import Envelope
from contracts.inventory import SeatsChanged
from launcher.platform import Platform
from pymongo import AsyncMongoClient

from bench import cpu, report
from bench.audience import Audience, more_files
from bench.load import Latencies

PROCESSES = {"mongo", "rabbitmq", "realtime"}
ENVIRONMENT = {"MAX_CONNECTIONS": "10000", "MAX_CONNECTIONS_PER_ADDRESS": "10000"}
SIZES, CHANGES_A_SECOND, SECONDS = (1000, 3000, 5000), 20, 10.0
SHOWTIME = "bench-live"
Say = Callable[[int], Awaitable[None]]


def resident_kib(pid: int) -> int:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


async def watch(pid: int, port: int, say: Say) -> list[dict[str, Any]]:
    """The figures for each number of clients."""
    audience, versions, figures = Audience(port, SHOWTIME), itertools.count(1), []
    alone = resident_kib(pid)
    for size in SIZES:
        await audience.grow(size)
        await asyncio.sleep(1)
        memory = (resident_kib(pid) - alone) / size
        audience.delays.clear()
        spent, count = cpu.spent(pid), int(CHANGES_A_SECOND * SECONDS)
        began = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / CHANGES_A_SECOND - time.perf_counter()))
            version = next(versions)
            audience.said[version] = time.perf_counter()
            await say(version)
        await asyncio.sleep(1)
        delivered = len(audience.delays)
        figures.append(
            {
                "connections": size,
                "delivered": round(delivered / (count * size), 4),
                "cpu_us": round((cpu.spent(pid) - spent) * 1000 / delivered, 1),
                "kib": round(memory, 1),
                "lost": audience.lost,
                **Latencies(delay * 1000 for delay in audience.delays).summary(),
            }
        )
    await audience.leave()
    return figures


def change(version: int) -> SeatsChanged:
    """One seat of a large hall is held."""
    return SeatsChanged(showtime_id=SHOWTIME, version=version, seats={f"R{version}": "held"})


async def measure_realtime(platform: Platform) -> list[dict[str, Any]]:
    """Run realtime with its consumer, its database and all its limits."""
    async with AsyncMongoClient(platform.env["MONGO_URI"]) as mongo:
        await mongo.usher_realtime.showtimes.insert_one({"_id": SHOWTIME})
    async with await aio_pika.connect(platform.env["RABBITMQ_URI"]) as connection:
        channel = await connection.channel(publisher_confirms=False)
        exchange = await channel.get_exchange(topology.publishing_exchange(SeatsChanged.source()))

        async def say(version: int) -> None:
            """Publish as inventory does, but wait as long as an overloaded machine needs."""
            event = change(version)
            envelope = Envelope(
                id=new_id(),
                source=event.source(),
                type=event.type,
                subject=event.subject,
                time=now(),
                body=event.model_dump_json(),
            )
            await exchange.publish(to_batch([envelope], is_persistent=False), event.type, mandatory=False)

        return await watch(platform.pid("realtime"), platform.ports["REALTIME_PORT"], say)


async def measure_plain() -> list[dict[str, Any]]:
    """The plain loop."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.plain_live", str(port))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            await asyncio.sleep(2)

            async def say(version: int) -> None:
                message = {"type": "seat:lock", "showtime_id": SHOWTIME, "version": version, "since": version - 1}
                message |= {"seats": [f"R{version}"], "state": "held"}
                await http.post("/say", content=json.dumps(message, separators=(",", ":")))

            return await watch(process.pid, port, say)
    finally:
        process.terminate()
        await process.wait()


def markdown(result: dict[str, Any]) -> str:
    """Format the result as a table."""
    heads = ("", "connections", "delivered", "CPU-µs a message", "p50 ms", "p95 ms", "p99 ms", "KiB a connection")
    keys = ("connections", "delivered", "cpu_us", "p50_ms", "p95_ms", "p99_ms", "kib")
    rows = [" | ".join(heads), " | ".join("---" for _ in heads)]
    for name in ("realtime", "plain Starlette loop"):
        rows += [" | ".join((name, *(str(figures[key]) for key in keys))) for figures in result[name]]
    table = "\n".join(f"| {row} |" for row in rows)
    pairs = zip(result["realtime"], result["plain Starlette loop"], strict=True)
    ratios = [round(ours["cpu_us"] / plain["cpu_us"], 2) for ours, plain in pairs]
    return (
        f"# Thousands watch one showtime\n\nCommit {result['commit']}, {result['at']}, {result['machine']}; load of the"
        f" machine before it began: {result['load_before']}.\nOne process each, {CHANGES_A_SECOND} changes a second for"
        f" {SECONDS:.0f} s; the clients share the two cores.\n\n{table}\n\nRealtime's CPU to the plain loop's:"
        f" **{', '.join(map(str, ratios))}**. Aims at 3,000: 8 µs, p99 30 ms, 14 KiB.\n"
    )


def main() -> None:
    """Parse the command line and run."""
    more_files()
    began = report.Circumstances.now()
    with Platform(environment=ENVIRONMENT, only=PROCESSES) as platform:
        realtime = uvloop.run(measure_realtime(platform))
    result = {**vars(began), "realtime": realtime, "plain Starlette loop": uvloop.run(measure_plain())}
    print(text := markdown(result))
    (report.RESULTS / "live.json").write_text(json.dumps(result, indent=1) + "\n")
    (report.RESULTS / "live.md").write_text(text)


if __name__ == "__main__":
    main()
