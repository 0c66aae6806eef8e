"""A real Alertmanager with the repository's configuration: one incident is one page."""

import json
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from chassis.testing import until
from launcher.ports import free_ports
from launcher.settings import platform_environment

from .prometheus import FOLDER, monitoring, monitoring_ports
from .test_metrics import RULES

LABELS = {rule["alert"]: rule["labels"] for rule in RULES}
SALES = ("SagaStuck", "ConfirmationsStopped", "WebhooksWait", "DeadLetters")
OF_ONE_SERVICE = ("ServerErrors", "GatewayErrors", "ConsumerLost", "OutboxStuck", "EventsUnsettled", "ServiceRestarts")

Alert = tuple[str, str]
"""An alert's name and its service, or nothing."""


def seen_of(service: str) -> set[Alert]:
    """All symptoms of a service that does nothing any more."""
    return {(name, service) for name in OF_ONE_SERVICE} | {(name, "") for name in SALES}


INCIDENTS: dict[str, tuple[set[Alert], set[Alert]]] = {
    "MongoDB": (
        {("MongoDown", "")},
        seen_of("inventory") | seen_of("booking") | {("ServiceNotReady", "booking"), ("ServiceDown", "payment")},
    ),
    "RabbitMQ": (
        {("RabbitMQDown", "")},
        seen_of("inventory") | seen_of("booking") | {("ServiceNotReady", "booking")},
    ),
    "the gateway": ({("GatewayDown", ""), ("ServiceDown", "notifier")}, seen_of("web")),
    "a full RabbitMQ": ({("BrokerBlocks", "")}, seen_of("booking")),
    "a service": (
        {("ServiceDown", "inventory"), ("ServerErrors", "booking")},
        seen_of("inventory") | {("ServiceNotReady", "inventory")},
    ),
    "a consumer": ({("ServiceNotReady", "booking")}, seen_of("booking")),
    "Stripe": ({("StripeFails", ""), ("ServerErrors", "booking")}, {("ServerErrors", "payment")}),
    "nothing that explains the rest": (seen_of("booking"), set()),
    "a disk": ({("DiskLow", "")}, {("DiskFills", "")}),
}
"""A failure, the alerts that page for it, and the alerts that follow from them."""


@contextmanager
def pager() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """A webhook's address and its received requests: Authorization header and message of each."""
    received: list[tuple[str, dict[str, Any]]] = []

    class Pager(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.headers["Authorization"], json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the name is the base class's
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pager)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/alerts", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def alertmanager(data: Path, webhook: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield Alertmanager's API. Repository's configuration, with short waits and the webhook as receiver."""
    (data / "secret").write_text("of-the-pager")
    configuration = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    for route in (configuration["route"], *configuration["route"]["routes"]):
        route |= {"receiver": "webhook", "group_wait": "1s"}
    (hook,) = next(each for each in configuration["receivers"] if each["name"] == "webhook")["webhook_configs"]
    hook["url"] = webhook
    hook["http_config"]["authorization"]["credentials_file"] = str(data / "secret")
    (data / "given.yml").write_text(yaml.safe_dump(configuration))
    ports, environment = monitoring_ports(), platform_environment(free_ports(), data, {})
    url = f"http://127.0.0.1:{ports['ALERTMANAGER_PORT']}"
    async with (
        monitoring(environment, data, ports, "alertmanager", ALERTMANAGER_CONFIG=str(data / "given.yml")),
        httpx.AsyncClient(base_url=url, trust_env=False) as api,
    ):

        async def is_ready() -> bool:
            try:
                return (await api.get("/-/ready")).is_success
            except httpx.TransportError:
                return False

        await until(is_ready)
        yield api


def named(labels: dict[str, str]) -> Alert:
    return labels["alertname"], labels.get("service", "")


@pytest.mark.parametrize("failed", INCIDENTS)
async def test_an_incident_pages_once(failed: str, tmp_path: Path):
    causes, followers = INCIDENTS[failed]
    alerts = [
        {"labels": LABELS[name] | {"alertname": name, "instance": "a"} | ({"service": service} if service else {})}
        for name, service in causes | followers
    ]
    with pager() as (webhook, received):
        async with alertmanager(tmp_path, webhook) as api:
            (await api.post("/api/v2/alerts", json=alerts)).raise_for_status()

            async def paged() -> bool:
                return {named(alert["labels"]) for _, message in received for alert in message["alerts"]} >= causes

            await until(paged)
            known = (await api.get("/api/v2/alerts")).json()
    suppressed = {named(alert["labels"]) for alert in known if alert["status"]["state"] == "suppressed"}
    assert suppressed == followers
    messages = [sorted({named(alert["labels"]) for alert in message["alerts"]}) for _, message in received]
    assert sorted(messages) == sorted([cause] for cause in causes)
    assert {authorization for authorization, _ in received} == {"Bearer of-the-pager"}


@pytest.mark.parametrize(("severity", "receiver"), [("page", "page"), ("ticket", "ticket")])
def test_a_ticket_wakes_nobody(severity: str, receiver: str):
    command = ["amtool", "config", "routes", "test", "--config.file=alertmanager.yml", f"severity={severity}"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [receiver]


def test_the_configuration_holds_no_secret():
    text = (FOLDER / "alertmanager.yml").read_text()
    assert not any(f"{name}:" in text for name in ("password", "credentials", "api_url", "routing_key", "service_key"))
