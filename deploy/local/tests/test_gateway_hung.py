"""When a replica accepts requests and never answers, the gateway repeats some of them at another replica."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from launcher.platform import Platform
from launcher.ports import free_ports, replica_variable
from launcher.settings import NO_LIMITS

from .upstream import Answer, Asked, echo, serving

KEY = {"Idempotency-Key": "0123456789abcdef"}
# Each uses a different service, so that none benefits from what the gateway has learned about another's replica.
REPEATED = {
    "read": ("GET", "/api/holds", {}),
    "keyed write": ("POST", "/api/bookings", KEY),
    "keyed write that may take longer": ("POST", "/api/auth/login", KEY),
    "webhook": ("POST", "/api/payments/webhook", {}),
}
ONCE = {"POST": ("POST", "/api/movies", {}), "DELETE": ("DELETE", "/api/notifications", {})}
HUNG = ("identity", "catalog", "inventory", "booking", "payment", "notifier")
Wanted = tuple[str, str, dict[str, str]]


@dataclass
class Replica:
    """Counts requests. A hung one never responds."""

    hangs: bool
    seen: list[str] = field(default_factory=list)
    ends: threading.Event = field(default_factory=threading.Event)

    def answer(self, asked: Asked) -> Answer | None:
        """Counts the request. A hung replica closes the connection when the test ends."""
        self.seen.append(f"{asked.method} {asked.path}")
        if not self.hangs:
            return Answer(b"second")
        self.ends.wait()
        return None

    @contextmanager
    def serving(self, port: int) -> Iterator[None]:
        """Listen inside the block."""
        with serving(port, self.answer):
            try:
                yield
            finally:
                self.ends.set()


@dataclass
class Scene:
    """A gateway in front of two replicas of each service, the first ones hung. `answers`: two for each kind."""

    platform: Platform
    first: dict[str, Replica]
    second: dict[str, Replica]
    answers: dict[str, list[httpx.Response]]
    live: socket.socket


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """The state after two simultaneous requests of each kind, one to each replica."""
    given = NO_LIMITS | {f"{service.upper()}_REPLICAS": "2" for service in HUNG}
    ports = free_ports(given)
    first, second = ({service: Replica(hangs) for service in HUNG} for hangs in (True, False))
    with Platform(ports=ports, only={"gateway"}, environment=given) as platform, ExitStack() as servers:
        for service in HUNG:
            servers.enter_context(first[service].serving(ports[replica_variable(service, 1)]))
            servers.enter_context(second[service].serving(ports[replica_variable(service, 2)]))
        servers.enter_context(serving(ports["REALTIME_PORT"], echo("realtime")))
        live = servers.enter_context(_websocket(ports["GATEWAY_PORT"]))
        kinds = [(name, asked) for name, asked in (REPEATED | ONCE).items() for _ in range(2)]
        answers: dict[str, list[httpx.Response]] = {}
        for (name, _), answer in zip(kinds, _ask(platform, [asked for _, asked in kinds]), strict=True):
            answers.setdefault(name, []).append(answer)
        yield Scene(platform, first, second, answers, live)


def _ask(platform: Platform, requests: Sequence[Wanted]) -> list[httpx.Response]:
    """Send all requests at once, each over its own connection. Returns the responses."""

    def ask(number: int, asked: Wanted) -> httpx.Response:
        method, path, headers = asked
        url = f"{platform.url}{path}?{number}"
        return httpx.request(method, url, headers=headers, timeout=60, trust_env=False)

    with ThreadPoolExecutor(len(requests)) as people:
        return list(people.map(ask, range(len(requests)), requests))


@contextmanager
def _websocket(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert b" 101 " in head
        yield connection


def _seen(replicas: dict[str, Replica], asked: Wanted) -> list[str]:
    """Return the requests to the only replica that gets this kind of request."""
    return [line for each in replicas.values() for line in each.seen if line.startswith(f"{asked[0]} {asked[1]}?")]


@pytest.mark.parametrize("kind", REPEATED)
def test_requests_that_are_safe_to_repeat_are_answered_by_the_other_replica(scene: Scene, kind: str):
    assert [(answer.status_code, answer.text) for answer in scene.answers[kind]] == [(200, "second")] * 2
    hung, answered = _seen(scene.first, REPEATED[kind]), _seen(scene.second, REPEATED[kind])
    assert len(hung) == 1, "one of the two went to the hung replica first"
    assert len(answered) == 2


@pytest.mark.parametrize("kind", ONCE)
def test_a_write_without_a_key_is_sent_once(scene: Scene, kind: str):
    answered, lost = sorted(scene.answers[kind], key=lambda answer: answer.status_code)
    assert answered.status_code == 200
    assert lost.status_code == 504
    assert lost.headers["content-type"].startswith("application/problem+json")
    assert lost.headers["retry-after"] == "2"
    assert lost.json() | {"correlation_id": ""} == {
        "type": "urn:usher:problem:timeout",
        "title": "No answer in time",
        "status": 504,
        "code": "timeout",
        "detail": "This part of Usher took too long to answer. It is unknown whether your request took effect: please "
        "check before you send it again.",
        "correlation_id": "",
    }
    line = f"{ONCE[kind][0]} {lost.request.url.raw_path.decode()}"
    assert _seen(scene.first, ONCE[kind]) == [line]
    assert line not in _seen(scene.second, ONCE[kind])


def test_a_websocket_stays_open_while_no_message_is_sent(scene: Scene):
    """The connection was opened before the requests above, which have waited for longer than a request may."""
    scene.live.sendall(b"select F7\n")
    assert scene.live.recv(10) == b"select F7\n"


def test_when_one_worker_finds_a_replica_hung_the_others_avoid_it_too(scene: Scene):
    workers = [pid for pid in scene.platform.pids("gateway") if b"worker process" in _title(pid)]
    hung, reads = scene.first["inventory"], [REPEATED["read"]] * 8
    with _only(workers, workers[0]):
        assert {answer.text for answer in _ask(scene.platform, reads)} == {"second"}
    seen = len(hung.seen)
    assert seen > 1
    with _only(workers, workers[-1]):
        assert {answer.text for answer in _ask(scene.platform, reads)} == {"second"}
    # 10 s after its failures, a single request tries the replica again. A worker that knew nothing would send it four.
    assert len(hung.seen) <= seen + 1


@contextmanager
def _only(workers: list[int], worker: int) -> Iterator[None]:
    """Suspend all nginx workers but this one inside the block."""
    others = [pid for pid in workers if pid != worker]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def _title(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.parametrize(
    ("method", "headers", "advice"),
    [
        ("GET", {}, "Please try again."),
        ("POST", KEY, "Please repeat the request with the same Idempotency-Key."),
        ("POST", {}, "It is unknown whether your request took effect: please check before you send it again."),
    ],
)
def test_without_a_replica_the_problem_explains_what_to_do(
    gateway_alone: Platform, method: str, headers: dict[str, str], advice: str
):
    answer = httpx.request(method, f"{gateway_alone.url}/api/bookings", headers=headers, trust_env=False)
    assert (answer.status_code, answer.headers["retry-after"]) == (502, "2")
    assert answer.json()["detail"] == f"This part of Usher cannot be reached right now. {advice}"


@pytest.fixture(scope="module")
def gateway_alone() -> Iterator[Platform]:
    """A gateway whose services are down."""
    with Platform(only={"gateway"}, environment=NO_LIMITS) as platform:
        yield platform
