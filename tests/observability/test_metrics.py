"""The alert rules and the dashboard query metrics that a running platform really has."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aio_pika
import httpx
import pytest
import yaml
from chassis.messaging.broker import RETRY_TIERS_S
from chassis.testing import until
from cinema import Cinema
from contracts import topology
from customer import Refused
from launcher.ports import DEFAULTS, SERVICES
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from .prometheus import PORTS, monitoring, monitoring_ports

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/observability"
RULES = [rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]]
PANELS = json.loads((FOLDER / "grafana/dashboards/usher.json").read_text())["panels"]
QUERIES = {rule["alert"]: rule["expr"] for rule in RULES} | {
    f"{panel['title']}: {target['refId']}": target["expr"] for panel in PANELS for target in panel.get("targets", [])
}
QUEUES = "/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count"
OUR_QUEUES = {
    *(
        name(service)
        for service in topology.CONSUMES
        for name in (topology.queue_name, topology.dead_letter_queue_name)
    ),
    *(topology.retry_queue_name(service, seconds) for service in topology.CONSUMES for seconds in RETRY_TIERS_S),
}
FROM_PROMETHEUS = {"service", "instance", "job", "le"}
"""Labels that the scrape configuration adds, and the label of histogram buckets."""
ONLY_IN_TROUBLE = {"5..", "502|504", "429", "1", "sent"}
"""Label values whose series a healthy platform does not have."""

METRIC = re.compile(r"\b((?:usher|rabbitmq|process|gateway|probe|node)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!=|=)"((?:[^"\\]|\\.)*)"')
BRACES_IN_TEXT = re.compile(r"\{(\w+)\}(?=[^{}]*\")")


@pytest.fixture(scope="module")
async def exporters(cinema: Cinema, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, int]]:
    """Return the ports of the exporters beside the platform when all of them answer and count."""
    ports = monitoring_ports()
    names = ("machine", "probe", "gateway-log")

    async def counts_requests() -> bool:
        await cinema.guest().call("GET", "/api/genres")  # mtail reads only lines written after its start
        try:
            return "gateway_requests" in await pages(cinema, ports)
        except httpx.ConnectError:
            return False

    async with monitoring(cinema.platform.env, tmp_path_factory.mktemp("exporters"), ports, *names):
        await until(counts_requests)
        yield ports


async def pages(cinema: Cinema, exporters: dict[str, int]) -> dict[str, Metric]:
    """Return all metrics of the platform's processes and the exporters, by family name."""
    ports = cinema.platform.ports | exporters
    urls = [f"{ports[f'{service.upper()}_PORT']}/metrics" for service in SERVICES]
    urls += [f"{ports['RABBITMQ_PROMETHEUS_PORT']}{path}" for path in ("/metrics", QUEUES)]
    gateway = f"module=answers&target={cinema.platform.url}/healthz"
    urls += [f"{ports['BLACKBOX_PORT']}/probe?{gateway}", f"{ports['NODE_EXPORTER_PORT']}/metrics"]
    urls += [f"{ports['MTAIL_PORT']}/metrics"]
    families: dict[str, Metric] = {}
    for url in urls:
        answer = await cinema.http.get(f"http://127.0.0.1:{url}")
        for family in text_string_to_metric_families(answer.text):
            families.setdefault(family.name, family).samples.extend(family.samples)
    return families


def counted_queues(families: dict[str, Metric]) -> set[str]:
    """Return the queues that RabbitMQ reports so far."""
    family = families.get("rabbitmq_detailed_queue_messages")
    return {sample.labels["queue"] for sample in family.samples} if family else set()


@pytest.fixture(scope="module")
async def told(cinema: Cinema, exporters: dict[str, int]) -> dict[str, Metric]:
    """The metrics of a platform that has sold a ticket, refused a hold and pushed a seat."""
    somebody = await cinema.person()
    showtime_id, seats = await cinema.seats(2)
    async with somebody.watching(showtime_id, lambda _: None):
        hold = await somebody.buy(showtime_id, seats, "metrics@example.org")
        await somebody.settled(hold, "confirmed")
        with pytest.raises(Refused):
            await somebody.hold(showtime_id, seats)
        async with asyncio.timeout(60):
            while not await cinema.mails((await somebody.booking(hold))["reference"]):
                await asyncio.sleep(0.1)
            while not counted_queues(families := await pages(cinema, exporters)) >= OUR_QUEUES:
                await asyncio.sleep(0.3)  # RabbitMQ counts each queue every 5 s
        return families


def selectors(query: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield the metrics of a query, each with its matchers: label, operator, value."""
    for name, inside in METRIC.findall(BRACES_IN_TEXT.sub(r"<\1>", query)):
        matchers = MATCHER.findall(inside)
        yield name, [(label, op, re.sub(r"<(\w+)>", r"{\1}", value)) for label, op, value in matchers]


def family_of(name: str, told: dict[str, Metric]) -> Metric | None:
    return told.get(name) or told.get(re.sub(r"_(total|bucket|count|sum)$", "", name))


@pytest.mark.parametrize("title", QUERIES)
def test_a_query_asks_for_what_there_is(told: dict[str, Metric], title: str):
    for name, matchers in selectors(QUERIES[title]):
        family = family_of(name, told)
        assert family, f"nobody tells {name}"
        samples = [sample for sample in family.samples if sample.name == name]
        own = [matcher for matcher in matchers if matcher[0] not in FROM_PROMETHEUS]
        if not samples or any(value in ONLY_IN_TROUBLE for _, _, value in own):
            continue
        for label, op, value in own:
            found = {sample.labels.get(label) for sample in samples}
            assert found != {None}, f"{name} has no label {label}"
            pattern = value.replace("\\\\", "\\") if op == "=~" else re.escape(value)
            assert op == "!=" or any(re.fullmatch(pattern, one or "") for one in found), f"{label}: {found}"


@pytest.mark.parametrize("title", QUERIES)
def test_a_query_groups_by_labels_that_there_are(told: dict[str, Metric], title: str):
    named = {label for group in re.findall(r"by \(([^)]*)\)", QUERIES[title]) for label in group.split(", ")}
    samples = [s for name, _ in selectors(QUERIES[title]) for s in getattr(family_of(name, told), "samples", ())]
    known = {label for sample in samples for label in sample.labels} | FROM_PROMETHEUS
    assert not samples or named <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_its_runbook(rule):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), re.MULTILINE)
    assert not anchor or anchor in [re.sub(r"[^\w]+", "-", heading).strip("-").lower() for heading in headings]


def test_the_scrape_configuration_knows_the_default_ports():
    jobs = yaml.safe_load((FOLDER / "prometheus.local.yml").read_text())["scrape_configs"]
    targets = {entry["labels"]["service"]: entry["targets"] for entry in jobs[0]["static_configs"]}
    assert targets == {service: [f"127.0.0.1:{DEFAULTS[f'{service.upper()}_PORT']}"] for service in SERVICES}
    rabbitmq = DEFAULTS["RABBITMQ_PROMETHEUS_PORT"]
    others = [rabbitmq, rabbitmq, PORTS["BLACKBOX_PORT"], PORTS["MTAIL_PORT"], PORTS["NODE_EXPORTER_PORT"]]
    assert [job["static_configs"][0]["targets"] for job in jobs[1:]] == [[f"127.0.0.1:{port}"] for port in others]
    assert jobs[3]["params"]["target"] == [f"http://127.0.0.1:{DEFAULTS['GATEWAY_PORT']}/healthz"]


@pytest.mark.parametrize(
    "command",
    [
        *("promtool check config prometheus.yml", "promtool check config prometheus.local.yml"),
        *("promtool test rules rules.test.yml", "amtool check-config alertmanager.yml"),
    ],
)
def test_the_tools_agree(command: str):
    done = subprocess.run(command.split(), cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_a_dead_letter_is_told_and_the_runbook_clears_it(cinema: Cinema, exporters: dict[str, int]):
    async def dead() -> set[float]:
        samples = (await pages(cinema, exporters))["rabbitmq_detailed_queue_messages"].samples
        return {sample.value for sample in samples if sample.labels["queue"] == "booking.events.dead"}

    async def until(wanted: set[float]) -> None:
        async with asyncio.timeout(60):  # RabbitMQ counts every 5 s
            while await dead() != wanted:
                await asyncio.sleep(0.3)

    uri = cinema.platform.env["RABBITMQ_URI"]
    async with await aio_pika.connect(uri) as connection:
        channel = await connection.channel()
        broken = aio_pika.Message(b"{", type="inventory.seats_sold.v1", message_id="broken")
        await channel.default_exchange.publish(broken, "booking.events")
    await until({1.0})
    command = [sys.executable, "-m", "chassis.deadletters", "drop", "booking", "broken"]
    await asyncio.to_thread(subprocess.run, command, env=cinema.platform.env, check=True, capture_output=True)
    await until({0.0})
