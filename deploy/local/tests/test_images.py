"""The images of docker compose, as far as they can be judged without Docker."""

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


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.parent.name)
def test_the_images_have_what_a_service_needs(project: Path):
    dependencies = tomllib.loads(project.read_text())["project"]["dependencies"]
    needed = {name.lower() for each in dependencies for name in NAME.findall(each)} - OURS
    locked = {name.lower() for name in NAME.findall((ROOT / "deploy/docker/requirements.lock").read_text())}
    assert needed <= locked, "make lock"


def test_every_service_starts_after_its_databases_migrations():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    migrate = services["migrate"]
    assert migrate["command"][3:] == list(SERVICES)
    folders = [Path(folder).relative_to("/app") for folder in migrate["environment"]["PYTHONPATH"].split(":")]
    found = {path.parent.name for folder in folders for path in (ROOT / folder).glob("*/migrations.py")}
    assert found == set(SERVICES)
    for service in SERVICES:
        assert services[service]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
