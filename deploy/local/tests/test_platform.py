"""The platform's processes are started, killed and restarted, and nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from launcher.health import NotReadyError
from launcher.platform import Platform, PlatformError
from launcher.ports import PortError, free_ports, is_free
from launcher.processes import marked_processes, read_procfile
from launcher.settings import ROOT
from pymongo import MongoClient


def test_every_copy_of_a_service_has_its_own_port(tmp_path: Path):
    environment = {"BOOKING_REPLICAS": "2", "BOOKING_PORT": "1", "BOOKING_2_PORT": "2"}
    processes = read_procfile(ROOT / "Procfile", environment)
    assert [processes[name][1]["BOOKING_PORT"] for name in ("booking", "booking.2")] == ["1", "2"]
    assert "catalog.2" not in processes


async def test_servers_survive_a_kill_keep_their_data_and_leave_nothing_behind():
    ports = free_ports()
    async with Platform(ports=ports, only={"mongo", "rabbitmq", "mailbox", "gateway"}) as usher:
        assert all(usher.pid(name) in usher.pids(name) for name in usher.names)
        with MongoClient[dict[str, int]](usher.env["MONGO_URI"]) as client:
            client["usher_test"]["kept"].insert_one({"_id": 7})
        for name in usher.names:
            usher.kill(name)
            assert not usher.pids(name)
            usher.start(name, wait=False)
        usher.wait_ready(*usher.names)
        assert usher.unexpected_exits() == []
        with MongoClient[dict[str, int]](usher.env["MONGO_URI"]) as client:
            assert client["usher_test"]["kept"].find_one() == {"_id": 7}
        assert len(marked_processes(usher.data_dir)) >= len(usher.names)
    assert marked_processes(usher.data_dir) == set()
    assert not usher.data_dir.exists()
    assert all(map(is_free, ports.values()))


def test_after_a_change_of_its_port_mongo_still_takes_writes(tmp_path: Path):
    written = []
    for _ in range(2):
        with Platform(data_dir=tmp_path, only={"mongo"}) as usher, MongoClient(usher.env["MONGO_URI"]) as client:
            client["usher_test"]["writes"].insert_one({})
            written.append(client["usher_test"]["writes"].count_documents({}))
    assert written == [1, 2]


def test_a_process_that_fails_is_named_with_the_end_of_its_log(tmp_path: Path):
    platform = Platform(only={"mongo", "mailbox"})
    _, environment = platform._processes.commands["mailbox"]
    platform._processes.commands["mailbox"] = ("echo no luck today; exit 3", environment)
    with pytest.raises(NotReadyError, match=r"(?s)mailbox has ended.*mailbox\.log.*no luck today"), platform:
        pass
    assert not platform.data_dir.exists()


def test_two_platforms_do_not_share_data(tmp_path: Path):
    with Platform(data_dir=tmp_path, only={"gateway"}), pytest.raises(PlatformError, match="running here already"):
        Platform(data_dir=tmp_path, only={"gateway"}).__enter__()


def test_what_a_killed_launcher_left_is_ended_by_the_next(tmp_path: Path):
    ports = free_ports()
    if (child := os.fork()) == 0:
        Platform(ports=ports, data_dir=tmp_path, only={"gateway", "mailbox"}).__enter__()
        os._exit(0)
    os.waitpid(child, 0)
    assert not is_free(ports["GATEWAY_PORT"])
    left = marked_processes(tmp_path)
    with Platform(ports=ports, data_dir=tmp_path, only={"gateway", "mailbox"}):
        assert not left & marked_processes(tmp_path)


def test_a_taken_port_stops_the_start_before_anything_runs(tmp_path: Path):
    with Platform(data_dir=tmp_path / "one", only={"gateway"}) as first:
        with pytest.raises(PortError, match="GATEWAY_PORT"):
            Platform(ports=first.ports, data_dir=tmp_path / "two").__enter__()
        assert marked_processes(tmp_path / "two") == set()
