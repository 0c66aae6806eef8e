"""The parts of the bootstrap that can be tested without installing anything."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import bootstrap
import debian
import pytest
from progress import Progress, SetupError


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "logs" / "bootstrap.log")


def test_a_step_prints_its_result_and_logs_its_output(progress: Progress, capsys: pytest.CaptureFixture[str]):
    told = progress.run("counting", [sys.executable, "-c", "print('one'); print('two')"])
    assert told == "one\ntwo"
    shown = capsys.readouterr().out
    assert "counting …" in shown
    assert re.search(r"counting: done in \d+ s", shown)
    assert "one\ntwo\n" in progress.log.read_text()


def test_a_failed_step_prints_the_end_of_the_commands_output(progress: Progress):
    with pytest.raises(SetupError, match=r"(?s)counting: failed.*no fingers"):
        progress.run("counting", [sys.executable, "-c", "raise SystemExit('no fingers')"])


def test_a_missing_program_is_named(progress: Progress):
    with pytest.raises(SetupError, match="the program no-such-program is missing"):
        progress.run("counting", ["no-such-program"])


def test_without_apt_it_names_the_missing_packages(progress: Progress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"no apt-get.*rabbitmq-server, nginx"):
        debian.get(progress, ["rabbitmq-server", "nginx"], tmp_path / "debian")


def test_a_wrapper_on_the_path_is_not_used_as_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wrapper, program = tmp_path / ".runtime/bin/mongod", tmp_path / "elsewhere/mongod"
    for file in (wrapper, program):
        file.parent.mkdir(parents=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{program.parent}")
    assert debian.find("mongod") == program


@pytest.mark.parametrize(
    ("built_with", "system", "chosen"),
    [
        ("'--enable-shared'", "exit 0", "system"),
        ("'--enable-shared'", "exit 1", "this"),
        ("'--enable-shared'", None, "this"),
        ("'--enable-optimizations' '--with-lto'", "exit 0", "this"),
    ],
)
def test_a_python_that_was_built_without_optimizations_makes_room_for_the_systems(
    built_with: str, system: str | None, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "base_prefix", "/home/ada/.pyenv/versions/3.11.7")
    monkeypatch.setattr(bootstrap.sysconfig, "get_config_var", lambda _: built_with)
    other = tmp_path / "python3"
    if system:
        other.write_text(f"#!/bin/sh\n{system}\n")
        other.chmod(0o755)
    assert bootstrap.interpreter(str(other)) == {"system": str(other), "this": sys.executable}[chosen]


def test_the_systems_own_python_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(bootstrap.sysconfig, "get_config_var", lambda _: "")
    assert bootstrap.interpreter(sys.executable + "-other") == sys.executable


def test_an_unsupported_python_version_is_not_used():
    assert bootstrap.answers(sys.executable, "import ensurepip")
    assert not bootstrap.answers(sys.executable, "assert (4, 0) <= __import__('sys').version_info[:2]")
    assert not bootstrap.answers("no-such-python", "")


def test_a_changed_input_makes_a_step_due_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bootstrap, "RUNTIME", tmp_path)
    lock = tmp_path / "lock"
    lock.write_text("one==1")
    stamp = bootstrap.Stamp("packages", [lock])
    assert not stamp.is_current()
    stamp.set()
    assert bootstrap.Stamp("packages", [lock]).is_current()
    lock.write_text("one==2")
    assert not bootstrap.Stamp("packages", [lock]).is_current()


def test_unpacked_servers_find_their_libraries_and_erlang(tmp_path: Path):
    for folder in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/erlang/erts-13.1.5/bin"):
        (tmp_path / folder).mkdir(parents=True)
    environment = debian.unpacked_environment(tmp_path)
    assert environment["LD_LIBRARY_PATH"] == f"{tmp_path}/usr/lib/x86_64-linux-gnu:{tmp_path}/lib/x86_64-linux-gnu"
    assert environment["BINDIR"] == f"{tmp_path}/usr/lib/erlang/erts-13.1.5/bin"
