"""The images of docker compose, as far as they can be judged without Docker."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
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
