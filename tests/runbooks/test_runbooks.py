"""The runbooks' commands: those for `make run` are executed, those for docker compose are only checked."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from launcher.ports import DEFAULTS, free_ports
from launcher.settings import NO_LIMITS, ROOT

RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
EXECUTED = ("scale", "upgrade", "restart-a-service", "drain")
"""In this order. Each leaves the platform as it found it."""
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
START_SECONDS = 240
COMPOSE_SERVICES = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"])
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
OF_ONE_SERVICE = {"exec", "run"}
OF_SERVICES = {"build", "kill", "restart", "start", "stop", "up"}
OTHERS = {"config", "down", "logs", "ps"}


class Step(NamedTuple):
    """A command and the lines that the runbook shows as its output."""

    command: str
    shown: list[str]


def steps(text: str) -> list[Step]:
    """Return the commands of the blocks for `make run`."""
    found: list[Step] = []
    for language, block in BLOCK.findall(text):
        if language == "console":
            for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
                found.append(Step(command, output.splitlines()))
    return found


def missing(shown: list[str], output: str) -> list[str]:
    """Return the runbook's lines that the output lacks, in this order; a number matches any number."""
    lines = iter(output.splitlines())
    forms = [re.sub(r"\d+(?:\\\.\d+)?", r"\\d+(?:\\.\\d+)?", re.escape(line.strip())) for line in shown]
    return [
        line
        for line, form in zip(shown, forms, strict=True)
        if not any(re.fullmatch(form, each.strip()) for each in lines)
    ]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a shell beside `make run`, whose platform has free ports and its own data."""
    data = tmp_path_factory.mktemp("usher")
    ports = {name: str(port) for name, port in free_ports().items()}
    shell = {**os.environ, **NO_LIMITS, **ports, "USHER_DATA_DIR": str(data)}
    said = data / "said.txt"
    with said.open("w") as output:
        launcher = {**shell, "PYTHONPATH": f"deploy/local:{os.environ.get('PYTHONPATH', '')}"}
        run = subprocess.Popen([sys.executable, "-m", "launcher", "run"], cwd=ROOT, env=launcher, stdout=output)
    try:
        deadline = time.monotonic() + START_SECONDS
        while "\nCtrl-C" not in said.read_text():
            assert run.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        yield shell
        assert run.poll() is None, said.read_text()
    finally:
        run.send_signal(signal.SIGINT)
        run.wait()


def on_these_ports(command: str, environment: dict[str, str]) -> str:
    """Replace the default ports in the command by this platform's ports."""
    ports = {str(port): environment[name] for name, port in DEFAULTS.items()}
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda match: ports[match[0]], command)


@pytest.mark.parametrize("runbook", EXECUTED)
def test_the_commands_for_a_running_platform_do_what_the_runbook_shows(runbook: str, environment: dict[str, str]):
    known = steps((ROOT / f"docs/runbooks/{runbook}.md").read_text())
    assert known
    for command, shown in known:
        ran = subprocess.run(
            ["sh", "-c", on_these_ports(command, environment)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        print(f"$ {command}\n{ran.stdout}{ran.stderr}")
        assert ran.returncode == 0, ran.stderr
        assert missing(shown, ran.stdout) == [], ran.stdout


def test_no_other_runbook_says_that_its_commands_are_run():
    assert {path.stem for path in RUNBOOKS if steps(path.read_text())} == set(EXECUTED)


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command line in blocks and code spans, up to a pipe or a comment."""
    spans = re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    lines = [line.removeprefix("$ ") for _, block in BLOCK.findall(text) for line in block.splitlines()]
    for line in [*spans, *lines]:
        for part in re.split(r"\s+(?:&&|\||#)\s*", line):
            yield part.split()


def unknown_names(words: list[str]) -> list[str]:
    """Yield the things that a command names and that do not exist."""
    match words:
        case ["make", target, *_] if target not in MAKE_TARGETS:
            return [f"make {target}"]
        case ["docker", "compose", act, *rest]:
            if act not in OF_ONE_SERVICE | OF_SERVICES | OTHERS:
                return [f"docker compose {act}"]
            named = [word for word in rest if word[0] not in "-…[" and "=" not in word]
            of_service = named[: 1 if act in OF_ONE_SERVICE else None if act in OF_SERVICES else 0]
            return [each for each in of_service if each not in COMPOSE_SERVICES] + unknown_modules(rest)
        case [script, *services] if script.startswith("deploy/compose/"):
            is_script = os.access(ROOT / script, os.X_OK)
            named = [word for word in services if word[0] != "-" and not word.isdigit()]
            return [script] * (not is_script) + [each for each in named if each not in COMPOSE_SERVICES]
        case _:
            return unknown_modules(words)


def unknown_modules(words: list[str]) -> list[str]:
    """Yield the module of `python -m` if it does not exist."""
    return [module for flag, module in pairwise(words) if flag == "-m" and module != "…" and find_spec(module) is None]


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_what_the_commands_name_is_there(path: Path):
    assert [name for words in commands(path.read_text()) for name in unknown_names(words)] == []


@pytest.mark.parametrize("script", sorted((ROOT / "deploy/compose").glob("*.sh")), ids=lambda script: script.name)
def test_the_scripts_are_sound(script: Path):
    subprocess.run(["sh", "-n", script], check=True)
    text = script.read_text()
    if services := re.findall(r'^services="(.*)"$', text, re.MULTILINE):
        assert set(services[0].split()) <= COMPOSE_SERVICES


@pytest.mark.parametrize(
    "command",
    [
        "make dance",
        "docker compose stop gatewya",
        "docker compose exec bocking python -m chassis.migrate",
        "docker compose exec booking python -m chassis.dance",
        "deploy/compose/dance.sh",
        "deploy/compose/upgrade.sh bocking",
        "python -m identity.dance",
    ],
)
def test_a_wrong_name_is_noticed(command: str):
    assert unknown_names(command.split())


def test_output_of_another_form_is_noticed():
    shown = ["     0 s  nothing is under way", "Drained after 20 s."]
    assert missing(shown, "   3 s  left: 1 bookings closing\n   4 s  nothing is under way\nDrained after 24 s.\n") == []
    assert missing(shown, "   0 s  nothing is under way\nNot drained after 20 s.\n") == ["Drained after 20 s."]
