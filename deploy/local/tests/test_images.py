"""The images of docker compose, checked without Docker."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from launcher.ports import SERVICES
from launcher.settings import ROOT

PROJECTS = [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
NAME = re.compile(r"^[A-Za-z0-9._-]+", re.MULTILINE)
OURS = {"usher-contracts", "usher-chassis"}
WHOLE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
COMPOSE, NETWORKS = WHOLE["services"], WHOLE["networks"]
MONITORING = yaml.safe_load((ROOT / "deploy/observability/compose.yml").read_text())["services"]
PINNED = re.compile(r":v?\d+\.\d+\.\d+|:bookworm-\d{8}-slim$")


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.parent.name)
def test_the_images_have_what_a_service_needs(project: Path):
    dependencies = tomllib.loads(project.read_text())["project"]["dependencies"]
    needed = {name.lower() for each in dependencies for name in NAME.findall(each)} - OURS
    locked = {name.lower() for name in NAME.findall((ROOT / "deploy/docker/requirements.lock").read_text())}
    assert needed <= locked, "make lock"


def test_every_service_starts_after_its_databases_migrations():
    migrate = COMPOSE["migrate"]
    assert migrate["command"][-1].split()[-len(SERVICES) :] == list(SERVICES)
    folders = [Path(folder).relative_to("/app") for folder in migrate["environment"]["PYTHONPATH"].split(":")]
    found = {path.parent.name for folder in folders for path in (ROOT / folder).glob("*/migrations.py")}
    assert found == set(SERVICES)
    for service in SERVICES:
        assert COMPOSE[service]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_images_of_others_are_pinned():
    used = [each["image"] for each in (*COMPOSE.values(), *MONITORING.values()) if "image" in each]
    for dockerfile in (ROOT / "deploy/docker").glob("*Dockerfile"):
        used += re.findall(r"^FROM (\S+)", dockerfile.read_text(), re.MULTILINE)
    others = [image for image in used if not image.startswith("usher/")]
    assert len(others) > len(MONITORING) / 2
    assert [image for image in others if not PINNED.search(image)] == []


@pytest.mark.parametrize("name", COMPOSE)
def test_a_container_is_confined(name: str):
    container = COMPOSE[name]
    assert container["read_only"]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["pids_limit"]
    assert container["mem_limit"]


def test_only_services_reach_the_servers():
    reach = {network: {name for name, each in COMPOSE.items() if network in each["networks"]} for network in NETWORKS}
    own = {*SERVICES, "migrate", "demo-people", "demo-catalog"}
    assert reach["data"] == own | {"mongo"}
    assert reach["messaging"] == own | {"rabbitmq"}
    assert reach["edge"] == own | {"gateway"}
    assert reach["mail"] == {"notifier", "mailbox"}
    assert reach["stripe"] == {"payment", "stripe"}
    assert reach["webhooks"] == {"stripe", "gateway"}
