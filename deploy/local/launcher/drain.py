"""Waits until a platform has no unfinished work and prints what is left: for `make drain` and deploy/compose/drain.sh.

python drain.py [--timeout SECONDS] [--quiet SECONDS] [--leave-unpaid] RABBITMQ SERVICE=ADDRESS …

RABBITMQ is the address of its management API, with the login of RABBITMQ_URI; each ADDRESS is that of a replica.
Exit status: 0 drained, 1 something is left, 2 something is unknown. docker compose runs this file in a service's
container, so it imports nothing of the launcher.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import sys
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

RETRY = re.compile(r"(\w+\.events|usher)\.retry\.\d+s")
"""The names of the retry tiers; earlier versions have tiers that all services share."""
STATES = ("awaiting_payment", "closing", "confirming", "refunding")
SERVICES = ("identity", "catalog", "inventory", "booking", "payment", "notifier", "realtime")
TIMEOUT_SECONDS = 2400.0
"""An unpaid booking ends after 10 min; at most 20 min later its seats are released and late payments refunded."""
QUIET_SECONDS = 20.0
"""Longer than the age of a figure: services measure every 15 s, RabbitMQ every 5 s."""
PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 5.0
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')

Samples = dict[str, list[tuple[dict[str, str], float]]]
Fetch = Callable[[str], str]


@dataclass
class Reading:
    """`left` is unfinished, `unknown` could not be read, `dead` waits for a person, `failures` counts failed jobs."""

    left: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    failures: float = 0

    def __str__(self) -> str:
        parts = [("left", self.left), ("unknown", self.unknown)]
        return "; ".join(f"{name}: {', '.join(those)}" for name, those in parts if those) or "nothing is under way"


def read(rabbitmq: str, replicas: Mapping[str, Sequence[str]], fetch: Fetch, *, leave_unpaid: bool = False) -> Reading:
    """Return the unfinished work. `rabbitmq`, `replicas`: addresses."""
    reading = Reading()
    reading.unknown += [f"{service} has no replica" for service in SERVICES if not replicas.get(service)]
    pages = [(service, address) for service, addresses in replicas.items() for address in addresses]
    with ThreadPoolExecutor(len(pages) + 1) as pool:
        queues = pool.submit(
            _fetched, fetch, f"http://{rabbitmq}/api/queues/%2F?columns=name,messages_ready,messages_unacknowledged"
        )
        found = list(pool.map(lambda page: _fetched(fetch, f"http://{page[1]}/metrics"), pages))
        _queues(queues.result(), reading)
    of_service: dict[str, list[Samples]] = {service: [] for service in replicas}
    for (service, address), text in zip(pages, found, strict=True):
        if isinstance(text, Exception):
            reading.unknown.append(f"{service} at {address}: {text}")
        else:
            of_service[service].append(_samples(text))
            _replica(f"{service} at {address}", of_service[service][-1], reading)
    _sagas(of_service.get("booking", []), reading, leave_unpaid=leave_unpaid)
    _sum(of_service.get("payment", []), "usher_payment_webhooks_waiting", "webhooks of payment", reading)
    return reading


def wait(
    take: Callable[[], Reading], *, seconds: float, quiet_seconds: float, say: Callable[[str], None] = print
) -> int:
    """Take readings until nothing was unfinished for `quiet_seconds`, at most for `seconds`. Returns the status."""
    pause, began, quiet_since, said = threading.Event(), time.monotonic(), None, ""
    failures: float | None = None
    while True:
        moment = time.monotonic()
        reading = take()
        if failures not in {None, reading.failures}:
            reading.unknown.append("a job has failed, so a figure may be old")
        if reading.left or reading.unknown:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = moment
        elif moment - quiet_since >= quiet_seconds:
            say(f"Drained after {moment - began:.0f} s.{_dead(reading)}")
            return 0
        if moment - began > seconds:
            say(f"Not drained after {moment - began:.0f} s. {reading}.{_dead(reading)}")
            return 2 if reading.unknown else 1
        failures = reading.failures
        if str(reading) != said:
            said = str(reading)
            say(f"{moment - began:6.0f} s  {said}")
        pause.wait(PAUSE_SECONDS)


def _dead(reading: Reading) -> str:
    return f" Dead letters stay: {', '.join(reading.dead)}." if reading.dead else ""


def _queues(text: str | Exception, reading: Reading) -> None:
    """Yield the ready or unacknowledged messages in each queue and retry tier."""
    if isinstance(text, Exception):
        reading.unknown.append(f"RabbitMQ: {text}")
        return
    try:
        queues: dict[str, Any] = {queue["name"]: queue for queue in json.loads(text)}
    except (ValueError, TypeError, KeyError):
        reading.unknown.append("RabbitMQ: its answer is no list of queues")
        return
    names = [f"{service}.events{kind}" for kind in ("", ".dead") for service in SERVICES]
    for name in [*names, *filter(RETRY.fullmatch, queues)]:
        counts = [queues.get(name, {}).get(f"messages_{state}") for state in ("ready", "unacknowledged")]
        if not all(isinstance(count, int) for count in counts):
            reading.unknown.append(f"queue {name}")
        elif any(counts):
            waits = reading.dead if name.endswith(".dead") else reading.left
            waits.append(f"{name} ({counts[0]} ready, {counts[1]} unacknowledged)")


def _replica(name: str, samples: Samples, reading: Reading) -> None:
    """Check what each replica must report: its readiness and the age of its outbox."""
    checks = samples.get("usher_ready", [])
    missing = [labels.get("check", "?") for labels, value in checks if value != 1]
    if missing or not checks:
        reading.unknown.append(f"{name} is not ready ({', '.join(missing) or 'it does not say'})")
    _sum([samples], "usher_outbox_oldest_seconds", f"outbox of {name}", reading, unit=" s")
    reading.failures += sum(value for _, value in samples.get("usher_job_failures_total", []))


def _sagas(replicas: Sequence[Samples], reading: Reading, *, leave_unpaid: bool) -> None:
    """Yield the open bookings over all replicas: the replica with the lease measures them."""
    for state in STATES:
        found = [
            value
            for samples in replicas
            for labels, value in samples.get("usher_booking_open_sagas", [])
            if labels.get("state") == state
        ]
        if not found:
            reading.unknown.append(f"bookings {state}")
        elif sum(found) and not (leave_unpaid and state == "awaiting_payment"):
            reading.left.append(f"{sum(found):g} bookings {state}")


def _sum(replicas: Sequence[Samples], metric: str, name: str, reading: Reading, unit: str = "") -> None:
    found = [value for samples in replicas for _, value in samples.get(metric, [])]
    if not found:
        reading.unknown.append(name)
    elif total := sum(found):
        reading.left.append(f"{name} {total:g}{unit}")


def _samples(text: str) -> Samples:
    """Parse Prometheus' text format by metric."""
    samples: Samples = {}
    for metric, labels, value in SAMPLE.findall(text):
        samples.setdefault(metric, []).append((dict(LABEL.findall(labels)), float(value)))
    return samples


def _fetched(fetch: Fetch, url: str) -> str | Exception:
    try:
        return fetch(url)
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        return error


def fetch_with(login: str) -> Fetch:
    """Read a page of this platform, with `user:password` for RabbitMQ."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fetch(url: str) -> str:
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if "/api/queues" in url else {}
        with opener.open(urllib.request.Request(url, headers=headers), timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            return answer.read().decode()

    return fetch


def _login(uri: str) -> str:
    """Return `user:password` of an AMQP address."""
    return unquote(uri.partition("://")[2].partition("@")[0])


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Parse the command line, wait and return the exit status."""
    parser = argparse.ArgumentParser(prog="drain")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, metavar="SECONDS")
    parser.add_argument("--quiet", type=float, default=QUIET_SECONDS, metavar="SECONDS")
    parser.add_argument("--leave-unpaid", action="store_true", help="do not wait for bookings that await payment")
    parser.add_argument("rabbitmq")
    parser.add_argument("replicas", nargs="+", metavar="SERVICE=ADDRESS")
    parsed = parser.parse_args(arguments)
    replicas: dict[str, list[str]] = {}
    for service, _, address in (each.partition("=") for each in parsed.replicas):
        replicas.setdefault(service, []).append(address)
    fetch = fetch_with(_login(environment["RABBITMQ_URI"]))
    return wait(
        lambda: read(parsed.rabbitmq, replicas, fetch, leave_unpaid=parsed.leave_unpaid),
        seconds=parsed.timeout,
        quiet_seconds=parsed.quiet,
        say=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
