"""`drain` never takes a missing answer for "no unfinished work"."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.error import URLError

import pytest
from chassis.messaging.broker import RETRY_TIERS_S
from contracts import topology
from launcher import drain
from launcher.drain import STATES, Reading, read, wait
from launcher.ports import SERVICES

RABBITMQ = "rabbitmq:15672"
QUEUES = f"http://{RABBITMQ}/api/queues/%2F?columns=name,messages_ready,messages_unacknowledged"
REPLICAS = {service: [f"{service}:8000"] for service in SERVICES} | {"booking": ["booking:8000", "booking.2:8000"]}
NAMES = [
    *(name(service) for service in SERVICES for name in (topology.queue_name, topology.dead_letter_queue_name)),
    *(topology.retry_queue_name(service, seconds) for service in SERVICES for seconds in RETRY_TIERS_S),
    "usher.retry.5s",
]


def sagas(**counts: int) -> str:
    return "".join(f'usher_booking_open_sagas{{state="{state}"}} {counts.get(state, 0)}.0\n' for state in STATES)


def queues(**changed: object) -> str:
    """Return RabbitMQ's answer with `<queue>__<field>` changed; None leaves the field out."""
    found = {name: {"name": name, "messages_ready": 0, "messages_unacknowledged": 0} for name in NAMES}
    for key, value in changed.items():
        name, _, field = key.partition("__")
        found[name][field] = value  # type: ignore[assignment]
    return json.dumps([{key: value for key, value in queue.items() if value is not None} for queue in found.values()])


def page(*lines: str) -> str:
    """A replica's metrics."""
    fine = ['usher_ready{check="mongodb"} 1.0', 'usher_ready{check="rabbitmq"} 1.0', "usher_outbox_oldest_seconds 0.0"]
    return "# HELP usher_ready …\n" + "\n".join([*fine, *lines]) + "\n"


@pytest.fixture
def pages() -> dict[str, str]:
    """A platform at rest. One replica of booking measures for both."""
    found = {f"http://{address}/metrics": page() for addresses in REPLICAS.values() for address in addresses}
    found["http://booking.2:8000/metrics"] = page(sagas())
    found["http://payment:8000/metrics"] = page("usher_payment_webhooks_waiting 0.0")
    return found | {QUEUES: queues()}


def taken(pages: dict[str, str], *, leave_unpaid: bool = False) -> Reading:
    def fetch(url: str) -> str:
        if url not in pages:
            raise URLError("Connection refused")
        return pages[url]

    return read(RABBITMQ, REPLICAS, fetch, leave_unpaid=leave_unpaid)


def test_the_queues_are_those_of_the_topology():
    assert {topology.queue_name(service) for service in topology.CONSUMES} == {
        f"{each}.events" for each in drain.SERVICES
    }
    assert all(drain.RETRY.fullmatch(topology.retry_queue_name(each, RETRY_TIERS_S[0])) for each in SERVICES)


def test_at_rest_everything_is_known_and_nothing_is_left(pages: dict[str, str]):
    reading = taken(pages)
    assert (reading.left, reading.unknown) == ([], [])
    pages[QUEUES] = queues(**{"booking.events.dead__messages_ready": 2})
    assert (taken(pages).left, taken(pages).dead) == ([], ["booking.events.dead (2 ready, 0 unacknowledged)"])


@pytest.mark.parametrize("state", ["ready", "unacknowledged"])
@pytest.mark.parametrize("queue", ["inventory.events", "booking.events.retry.120s", "usher.retry.5s"])
def test_messages_are_left_ready_or_not(pages: dict[str, str], queue: str, state: str):
    pages[QUEUES] = queues(**{f"{queue}__messages_{state}": 3})
    (left,) = taken(pages).left
    assert (queue in left, f"3 {state}" in left) == (True, True)


def test_sagas_are_summed_over_all_replicas(pages: dict[str, str]):
    pages["http://booking:8000/metrics"] = page(sagas(refunding=1, awaiting_payment=2))
    pages["http://booking.2:8000/metrics"] = page(sagas(refunding=2))
    assert taken(pages).left == ["2 bookings awaiting_payment", "3 bookings refunding"]
    assert taken(pages, leave_unpaid=True).left == ["3 bookings refunding"]


def test_outboxes_and_webhooks_are_left(pages: dict[str, str]):
    pages["http://catalog:8000/metrics"] = page().replace("oldest_seconds 0.0", "oldest_seconds 7.5")
    pages["http://payment:8000/metrics"] = page("usher_payment_webhooks_waiting 4.0")
    assert taken(pages).left == ["outbox of catalog at catalog:8000 7.5 s", "webhooks of payment 4"]


@pytest.mark.parametrize(
    ("url", "answer", "unknown"),
    [
        ("http://notifier:8000/metrics", None, "notifier at notifier:8000"),
        ("http://booking.2:8000/metrics", page(), "bookings closing"),
        ("http://booking.2:8000/metrics", page(sagas().replace("refunding", "returning")), "bookings refunding"),
        ("http://payment:8000/metrics", page(), "webhooks of payment"),
        ("http://catalog:8000/metrics", "", "outbox of catalog"),
        ("http://catalog:8000/metrics", page('usher_ready{check="clock"} 0.0'), "catalog at catalog:8000 is not ready"),
        (QUEUES, None, "RabbitMQ"),
        (QUEUES, "[]", "queue booking.events"),
        (QUEUES, "", "no list of queues"),
        (QUEUES, '{"error": "not_authorised"}', "no list of queues"),
        (QUEUES, queues(**{"booking.events__messages_ready": None}), "queue booking.events"),
        (QUEUES, queues(**{"payment.events.retry.5s__messages_ready": None}), "queue payment.events.retry.5s"),
    ],
)
def test_a_missing_answer_is_unknown(pages: dict[str, str], url: str, answer: str | None, unknown: str):
    del pages[url]
    if answer is not None:
        pages[url] = answer
    assert any(unknown in each for each in taken(pages).unknown), taken(pages)


def test_a_service_without_a_replica_is_unknown():
    assert "booking has no replica" in read(RABBITMQ, {}, lambda _: "[]").unknown


def waited(*readings: Reading, seconds: float, quiet_seconds: float = 0) -> tuple[int, list[str]]:
    """Return the exit status and the output for these readings; the last one repeats."""
    lines: list[str] = []
    following: Iterator[Reading] = iter(readings)
    last = readings[-1]
    return (
        wait(lambda: next(following, last), seconds=seconds, quiet_seconds=quiet_seconds, say=lines.append),
        lines,
    )


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "PAUSE_SECONDS", 0.01)


def test_it_prints_the_remaining_work_until_there_is_none():
    status, lines = waited(Reading(left=["2 bookings closing"]), Reading(unknown=["RabbitMQ"]), Reading(), seconds=60)
    assert status == 0
    assert [line.split("s  ")[-1] for line in lines[:3]] == [
        "left: 2 bookings closing",
        "unknown: RabbitMQ",
        "nothing is under way",
    ]
    assert lines[3].startswith("Drained after")


def test_the_time_limit_is_reported():
    status, lines = waited(Reading(left=["2 bookings closing"]), seconds=0.02)
    assert (status, "left: 2 bookings closing" in lines[-1]) == (1, True)
    status, lines = waited(Reading(unknown=["RabbitMQ"], dead=["booking.events.dead (1 ready)"]), seconds=0.02)
    assert (status, lines[-1].startswith("Not drained after 0 s. unknown: RabbitMQ.")) == (2, True)
    assert lines[-1].endswith("Dead letters stay: booking.events.dead (1 ready).")


def test_a_platform_that_was_not_quiet_long_enough_is_not_drained():
    assert waited(Reading(), seconds=0.05, quiet_seconds=3600)[0] == 1


def test_a_failed_job_makes_its_figure_doubtful():
    status, lines = waited(Reading(failures=1), Reading(failures=2), Reading(failures=2), seconds=60)
    assert status == 0
    assert any("a job has failed" in line for line in lines)
