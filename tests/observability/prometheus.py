"""Prometheus, Alertmanager and the exporters beside a platform, with the repository's rules."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from launcher.platform import Platform
from launcher.ports import DEFAULTS, free_ports
from launcher.processes import Processes, read_procfile
from launcher.settings import ROOT

FOLDER = ROOT / "deploy/observability"
HASTE_S = 1
PORTS = {
    "PROMETHEUS_PORT": 9090,
    "ALERTMANAGER_PORT": 9093,
    "NODE_EXPORTER_PORT": 9100,
    "BLACKBOX_PORT": 9115,
    "MTAIL_PORT": 3903,
}
"""The variables of deploy/observability/Procfile with their defaults."""


class Prometheus:
    """A Prometheus server, queried over its HTTP API."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url, self.http = url, http

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the series of an instant vector. Raises AssertionError for a faulty expression."""
        data = await self._get("query", query=expression)
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    async def firing(self) -> dict[str, list[dict[str, str]]]:
        """Return the labels of the firing alerts, by name."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in (await self._get("alerts"))["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    async def _get(self, path: str, **params: str) -> Any:
        answer = (await self.http.get(f"{self.url}/api/v1/{path}", params=params)).json()
        assert answer["status"] == "success", answer
        return answer["data"]


def monitoring_ports() -> dict[str, int]:
    """Return a free port for each variable of PORTS."""
    return dict(zip(PORTS, free_ports().values(), strict=False))


@asynccontextmanager
async def monitoring(
    platform: Mapping[str, str], data: Path, ports: Mapping[str, int], *names: str, **settings: str
) -> AsyncIterator[None]:
    """Run the named processes of deploy/observability/Procfile, all by default, inside the block.

    `platform` is the environment of the platform beside them, `data` a folder of their own; `settings` are further
    variables of the Procfile.
    """
    environment = {**platform, **{name: str(port) for name, port in ports.items()}}
    commands = read_procfile(FOLDER / "Procfile", environment | {"MONITORING_DATA": str(data)} | settings)
    processes = Processes({name: commands[name] for name in names or commands}, data)
    try:
        for name in processes.commands:
            processes.start(name)
        yield
    finally:
        await asyncio.to_thread(processes.kill_all)


@asynccontextmanager
async def watching(platform: Platform, data: Path) -> AsyncIterator[Prometheus]:
    """Run Prometheus inside the block, which starts when every target has been scraped. `data` is an empty folder.

    It scrapes every second, and an alert ends with its cause, so that tests need not wait.
    """
    ports = monitoring_ports()
    config = data / "prometheus.yml"
    config.write_text(yaml.safe_dump(_configuration(platform.ports | ports)))
    rules = yaml.safe_load((FOLDER / "rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("keep_firing_for", None)
    (data / "rules.yml").write_text(yaml.safe_dump(rules))
    async with (
        monitoring(platform.env, data, ports, PROMETHEUS_CONFIG=str(config)),
        httpx.AsyncClient(timeout=10, trust_env=False) as http,
    ):
        prometheus = Prometheus(f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}", http)
        async with asyncio.timeout(60):
            while not await _sees_everything(prometheus):
                await asyncio.sleep(0.2)
        yield prometheus


def _configuration(ports: Mapping[str, int]) -> dict[str, Any]:
    """Return `prometheus.local.yml` with these ports and short intervals."""
    moved = {str(default): str(ports[name]) for name, default in (DEFAULTS | PORTS).items()}
    given = (FOLDER / "prometheus.local.yml").read_text()
    configuration = yaml.safe_load(re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda match: moved[match[0]], given))
    haste = {"scrape_interval": f"{HASTE_S}s", "evaluation_interval": f"{HASTE_S}s"}
    return configuration | {"global": configuration["global"] | haste | {"scrape_timeout": f"{HASTE_S}s"}}


async def _sees_everything(prometheus: Prometheus) -> bool:
    try:
        is_ready = (await prometheus.http.get(f"{prometheus.url}/-/ready")).is_success
    except httpx.TransportError:
        return False
    up = await prometheus.query("up") if is_ready else []
    return bool(up) and all(value == 1 for _, value in up)
