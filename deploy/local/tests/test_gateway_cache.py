"""The gateway's cache of catalog's responses: a real nginx in front of a server that counts requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count

import httpx
import pytest
from launcher.platform import Platform
from launcher.ports import free_ports
from launcher.settings import NO_LIMITS

from .upstream import Answer, Asked, serving

SHARED = "public, max-age=60, stale-while-revalidate=10"
addresses = (f"/api/movies/m{number}" for number in count())


class Origin:
    """Counts the requests for each address and returns the count. `headers` and `status` are those of its responses."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: list[str] = []
        self.go = threading.Event()
        self.reset()

    def reset(self) -> None:
        """Return shared responses at once."""
        self.headers, self.status = {"Cache-Control": SHARED}, 200
        self.go.set()

    def times(self, path: str) -> int:
        """Return the number of requests for the address."""
        return self.seen.count(path)

    def answer(self, asked: Asked) -> Answer:
        """Count the request and return the count."""
        with self.lock:
            self.seen.append(asked.path)
            body = f"answer {self.times(asked.path)}"
        self.go.wait()
        return Answer(body.encode(), self.status, {"ETag": f'W/"{body}"', **self.headers})


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Platform, Origin]]:
    """A gateway in front of one server that stands for catalog and inventory."""
    ports, origin = free_ports(), Origin()
    with Platform(ports=ports, only={"gateway"}, environment=NO_LIMITS) as platform, ExitStack() as servers:
        for name in ("CATALOG_PORT", "INVENTORY_PORT"):
            servers.enter_context(serving(ports[name], origin.answer))
        yield platform, origin


@pytest.fixture
def origin(running: tuple[Platform, Origin]) -> Iterator[Origin]:
    yield running[1]
    running[1].reset()


@pytest.fixture
def client(running: tuple[Platform, Origin]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running[0].url, trust_env=False) as client:
        yield client


def until(ask: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not ask():
        assert time.monotonic() < deadline, "it does not happen"


@pytest.mark.parametrize(
    "address",
    [
        "/api/movies?q=kept",
        "/api/movies/kept/showtimes",
        "/api/theaters?near=1",
        "/api/genres",
        "/api/showtimes/kept",
    ],
)
def test_visitors_share_catalogs_responses(client: httpx.Client, origin: Origin, address: str):
    first, second = client.get(address), client.get(address)
    assert (first.text, second.text) == ("answer 1", "answer 1")
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
    assert second.headers["cache-control"] == SHARED
    assert second.headers["x-content-type-options"] == "nosniff"
    assert second.headers["x-correlation-id"] != first.headers["x-correlation-id"]
    again = client.get(address, headers={"If-None-Match": second.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(address).status_code == 200
    assert origin.times(address) == 1
    assert client.get(f"{address}{'&' if '?' in address else '?'}other=1").text == "answer 1", "another question"
    assert len([path for path in origin.seen if path.startswith(address)]) == 2


@pytest.mark.parametrize("header", ["Authorization", "Cookie", "X-Hold-Secret"])
def test_an_identified_request_neither_gets_nor_stores_a_shared_response(
    client: httpx.Client, origin: Origin, header: str
):
    address, person = next(addresses), {header: "somebody"}
    assert client.get(address, headers=person).text == "answer 1"
    assert client.get(address).text == "answer 2", "the person's response is not cached for others"
    assert client.get(address, headers=person).text == "answer 3", "nor is the cached one returned to the person"
    assert client.get(address).text == "answer 2"
    assert client.get(address, headers=person | {"If-None-Match": 'W/"answer 4"'}).status_code == 304


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Cache-Control": "no-store"}, 200),
        ({"Cache-Control": "private, max-age=60"}, 200),
        ({}, 200),
        ({}, 404),
        ({"Cache-Control": SHARED, "Set-Cookie": "a=b"}, 200),
        ({"Cache-Control": SHARED, "Vary": "*"}, 200),
    ],
    ids=str,
)
def test_responses_that_are_not_public_are_not_cached(
    client: httpx.Client, origin: Origin, headers: dict[str, str], status: int
):
    address = next(addresses)
    origin.headers, origin.status = headers, status
    assert [client.get(address).text for _ in range(3)] == ["answer 1", "answer 2", "answer 3"]


def test_only_catalogs_responses_to_reads_are_cached(client: httpx.Client):
    for address in ("/api/showtimes/s1/seats", "/api/holds/h1"):
        assert [client.get(address).text for _ in range(2)] == ["answer 1", "answer 2"]
        assert "x-cache" not in client.get(address).headers
    address = next(addresses)
    assert [client.post(address).text for _ in range(2)] == ["answer 1", "answer 2"]


def test_concurrent_requests_cause_one_request_to_catalog(client: httpx.Client, origin: Origin):
    address = next(addresses)
    origin.go.clear()
    with ThreadPoolExecutor(16) as people:
        asked = [people.submit(client.get, address) for _ in range(16)]
        until(lambda: origin.times(address) == 1)
        origin.go.set()
        assert {each.result().text for each in asked} == {"answer 1"}
    assert origin.times(address) == 1


def test_while_a_response_is_refreshed_the_stale_one_is_served(client: httpx.Client, origin: Origin):
    address = next(addresses)
    origin.headers = {"Cache-Control": "public, max-age=1, stale-while-revalidate=60"}
    assert client.get(address).text == "answer 1"
    until(lambda: client.get(address).headers["x-cache"] in {"STALE", "UPDATING"} or origin.times(address) > 1)
    until(lambda: client.get(address).text != "answer 1")


def test_a_response_that_is_too_old_is_not_served_if_a_new_one_can_be_fetched(client: httpx.Client, origin: Origin):
    address = next(addresses)
    origin.headers = {"Cache-Control": "public, max-age=1"}
    states: set[str] = set()

    def is_new() -> bool:
        answer = client.get(address)
        states.add(answer.headers["x-cache"])
        return answer.text == "answer 2"

    until(is_new)
    assert states <= {"MISS", "HIT", "EXPIRED"}


def test_while_catalog_is_down_visitors_get_stale_responses(client: httpx.Client, origin: Origin):
    address = next(addresses)
    origin.headers = {"Cache-Control": "public, max-age=1"}
    assert client.get(address).text == "answer 1"
    origin.status = 503
    until(lambda: origin.times(address) > 1 or client.get(address).headers["x-cache"] == "STALE")
    answer = client.get(address)
    assert (answer.status_code, answer.text) == (200, "answer 1")
    assert client.get(next(addresses)).status_code == 503, "nothing is cached for this address"
    assert client.get(address, headers={"Cookie": "a=b"}).status_code == 503
