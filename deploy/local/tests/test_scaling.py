"""Commands from another terminal scale and replace a service; a failing replica changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from launcher import control, dev, gateway
from launcher.health import NotReadyError
from launcher.platform import Platform
from launcher.ports import free_ports, replica_port
from launcher.settings import NO_LIMITS


@pytest.fixture(scope="module")
def usher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The part of a platform that a service needs, in a folder whose name is too long for a socket's address."""
    folder = tmp_path_factory.mktemp("long" * 30)
    only = {"mongo", "rabbitmq", "realtime", "gateway"}
    with Platform(data_dir=folder, only=only, environment=NO_LIMITS) as platform, control.served(platform):
        yield platform


def asked(usher: Platform, *words: str) -> tuple[int, list[str]]:
    """Return the exit status and the output of a command."""
    lines: list[str] = []
    return control.ask(usher.data_dir, *words, say=lines.append), lines


def upstreams(usher: Platform) -> set[int]:
    """Return the replicas of realtime that the gateway knows."""
    ports = {name: port for name, port in usher.ports.items() if name.startswith("REALTIME_")}
    configuration = (usher.data_dir / "gateway/nginx.conf").read_text()
    return {port for port in ports.values() if f"127.0.0.1:{port} " in configuration}


def test_scaling_starts_and_stops_replicas(usher: Platform):
    assert asked(usher, "scale", "realtime", "2") == (0, ["realtime.2 is ready and the gateway uses it"])
    second = usher.ports["REALTIME_2_PORT"]
    assert httpx.get(f"http://127.0.0.1:{second}/readyz", trust_env=False).is_success
    assert upstreams(usher) == {usher.ports["REALTIME_PORT"], second}
    assert asked(usher, "addresses")[1] == [
        f"realtime=127.0.0.1:{port}" for port in (usher.ports["REALTIME_PORT"], second)
    ]

    assert asked(usher, "scale", "realtime", "1") == (0, ["realtime.2 has stopped"])
    assert upstreams(usher) == {usher.ports["REALTIME_PORT"]}
    assert "REALTIME_2_PORT" not in usher.env
    assert usher.unexpected_exits() == []


def test_dev_restarts_the_service_when_a_python_file_changes(usher: Platform, tmp_path: Path):
    before, stop, lines = usher.pid("realtime"), threading.Event(), list[str]()

    def say(line: str) -> None:
        lines.append(line)
        if line == "realtime.2 has stopped":
            stop.set()

    def change_code() -> None:
        number = 0
        while not stop.wait(0.2) and "Changed: code.py" not in lines:  # the watch begins at an unknown moment
            number += 1
            (tmp_path / "notes.txt").write_text(f"{number}")
            (tmp_path / "code.py").write_text(f"{number}")

    editing = threading.Thread(target=change_code)
    editing.start()
    assert dev.restart_on_change(usher.data_dir, "realtime", [tmp_path], say, stop) == 0
    editing.join()
    assert usher.pid("realtime") != before
    assert not any("notes.txt" in line for line in lines)


def test_dev_of_a_service_that_does_not_run_says_so(usher: Platform, capsys: pytest.CaptureFixture[str]):
    for name in ("booking", "nothing", ""):
        assert dev.restart_on_change(usher.data_dir, name, []) == 1
        assert "is not running here" in capsys.readouterr().err


def test_an_upgrade_replaces_every_replica(usher: Platform):
    before = usher.pid("realtime")
    status, lines = asked(usher, "upgrade", "realtime")
    assert (status, lines) == (
        0,
        ["realtime.2 is ready and the gateway uses it", "realtime has been replaced", "realtime.2 has stopped"],
    )
    assert usher.pid("realtime") != before
    assert usher.replicas("realtime") == ["realtime"]
    assert usher.unexpected_exits() == []


def test_a_new_replica_that_does_not_become_ready_is_removed_and_the_others_stay(
    usher: Platform, monkeypatch: pytest.MonkeyPatch
):
    before = usher.pid("realtime")
    monkeypatch.setitem(usher._given, "LOG_LEVEL", "nonsense")
    status, lines = asked(usher, "upgrade", "realtime")
    assert status == 1
    assert lines[0].startswith("realtime.2 has ended. Its log is")
    assert usher.replicas("realtime") == ["realtime"]
    assert (usher.pid("realtime"), usher.unexpected_exits()) == (before, [])
    assert upstreams(usher) == {usher.ports["REALTIME_PORT"]}


@pytest.mark.parametrize(
    "words", ["scale mongo 2", "scale realtime", "scale realtime many", "upgrade", "upgrade gateway", "dance"]
)
def test_an_unknown_command_is_refused(usher: Platform, words: str):
    status, lines = asked(usher, *words.split())
    assert (status, lines[0][:6]) == (1, "usage:")


def test_a_service_cannot_be_scaled_to_zero(usher: Platform):
    assert asked(usher, "scale", "realtime", "0") == (1, ["realtime needs at least one replica"])


def test_the_gateway_is_closed_and_opened(usher: Platform):
    assert asked(usher, "close")[0] == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(usher.url, trust_env=False)
    assert asked(usher, "scale", "realtime", "2")[0] == 0
    assert asked(usher, "open")[0] == 0
    assert httpx.get(f"{usher.url}/healthz", trust_env=False).is_success
    assert asked(usher, "scale", "realtime", "1")[0] == 0


def test_a_configuration_that_nginx_refuses_is_noticed(usher: Platform, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway, "RELOAD_SECONDS", 1.0)
    file = usher.data_dir / "gateway/nginx.conf"
    good = file.read_text()
    file.write_text("nonsense;")
    with pytest.raises(NotReadyError, match="keeps its earlier configuration"):
        gateway.reload(usher.pid("gateway"), usher.log("gateway"))
    file.write_text(good)
    assert httpx.get(f"{usher.url}/healthz", trust_env=False).is_success


def test_commands_without_a_running_platform_report_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert control.ask(tmp_path, "scale", "booking", "2") == 1
    assert "make run" in capsys.readouterr().err


def test_a_new_replica_listens_a_hundred_higher_unless_that_is_taken():
    ports = free_ports()
    usual = ports["BOOKING_PORT"] + 100
    assert replica_port(ports, {"BOOKING_2_PORT": "9999"}, "booking", 2) == 9999
    assert replica_port({**ports, "OTHER_PORT": usual}, {}, "booking", 2) != usual
