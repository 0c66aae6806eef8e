"""A Prometheus of its own that watches a platform with the repository's own rules."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from launcher.platform import Platform
from launcher.ports import DEFAULTS, free_ports
from launcher.settings import ROOT

FOLDER = ROOT / "deploy/observability"
HASTE_S = 1


class Prometheus:
    """Asked over its HTTP API."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url, self.http = url, http

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The series of an instant vector. Raises AssertionError with Prometheus's words for a faulty expression."""
        data = await self._get("query", query=expression)
        return [(series["metric"], float(series["value"][1])) for series in data["result"]]

    async def firing(self) -> dict[str, list[dict[str, str]]]:
        """The alerts that fire, by name, with the labels of each."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in (await self._get("alerts"))["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    async def _get(self, path: str, **params: str) -> Any:
        answer = (await self.http.get(f"{self.url}/api/v1/{path}", params=params)).json()
        assert answer["status"] == "success", answer
        return answer["data"]


@asynccontextmanager
async def watching(platform: Platform, data: Path) -> AsyncIterator[Prometheus]:
    """Runs within the block, once it has asked every target; `data` is an empty folder.

    It asks every second, so that a test need not wait.
    """
    (data / "prometheus.yml").write_text(yaml.safe_dump(_configuration(platform.ports)))
    address = f"127.0.0.1:{free_ports()['GATEWAY_PORT']}"
    command = (
        *("prometheus", "--log.level=warn", f"--web.listen-address={address}"),
        *(f"--config.file={data / 'prometheus.yml'}", f"--storage.tsdb.path={data / 'tsdb'}"),
    )
    process = await asyncio.create_subprocess_exec(*command, env=platform.env)
    try:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
            prometheus = Prometheus(f"http://{address}", http)
            async with asyncio.timeout(60):
                while not await _sees_everything(prometheus):
                    await asyncio.sleep(0.2)
            yield prometheus
    finally:
        process.terminate()
        await process.wait()


def _configuration(ports: Mapping[str, int]) -> dict[str, Any]:
    """`prometheus.local.yml` with this platform's ports, in haste."""
    given = yaml.safe_load((FOLDER / "prometheus.local.yml").read_text())
    moved = {f"127.0.0.1:{DEFAULTS[variable]}": f"127.0.0.1:{port}" for variable, port in ports.items()}
    for job in given["scrape_configs"]:
        for group in job["static_configs"]:
            group["targets"] = [moved[target] for target in group["targets"]]
    haste = {"scrape_interval": f"{HASTE_S}s", "evaluation_interval": f"{HASTE_S}s"}
    return given | {"global": haste, "rule_files": [str(FOLDER / "rules.yml")]}


async def _sees_everything(prometheus: Prometheus) -> bool:
    try:
        up = await prometheus.query("up")
    except httpx.TransportError:
        return False
    return bool(up) and all(value == 1 for _, value in up)
