"""Ports: defaults, settings and free ones."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from launcher.ports import DEFAULTS, PortError, check_free, configured_ports, free_ports, is_free


def test_a_setting_overrides_the_default():
    ports = configured_ports({"GATEWAY_PORT": "9000", "MONGO_PORT": ""})
    assert ports == {**DEFAULTS, "GATEWAY_PORT": 9000}


def test_a_second_replica_listens_a_hundred_higher_unless_set():
    assert configured_ports({"INVENTORY_REPLICAS": "2"})["INVENTORY_2_PORT"] == 8203
    given = {"INVENTORY_REPLICAS": "3", "INVENTORY_2_PORT": "9999"}
    assert [configured_ports(given)[f"INVENTORY_{number}_PORT"] for number in (2, 3)] == [9999, 8303]


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "80 80"])
def test_a_value_that_is_no_port_is_named(value: str):
    with pytest.raises(PortError, match="BOOKING_PORT"):
        configured_ports({"BOOKING_PORT": value})


def test_free_ports_are_free_and_never_returned_twice():
    first, second = free_ports(), free_ports({"BOOKING_REPLICAS": "2"})
    assert "BOOKING_2_PORT" in second
    together = [*first.values(), *second.values()]
    assert len(set(together)) == len(together)
    assert all(map(is_free, together))


def test_a_port_that_another_launcher_has_reserved_is_not_handed_out():
    reserved = set(free_ports().values())
    code = (
        "from launcher.ports import FREE_RANGE, _reserve; print(*(port for port in FREE_RANGE if not _reserve(port)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert reserved <= set(map(int, ran.stdout.split()))


def test_a_taken_port_is_named_with_its_variable():
    ports = free_ports()
    sentence = rf"^Port {ports['CATALOG_PORT']} is taken .* CATALOG_PORT in \.env"
    with socket.create_server(("127.0.0.1", ports["CATALOG_PORT"])), pytest.raises(PortError, match=sentence):
        check_free(ports)
    check_free(ports)


def test_one_port_for_two_is_named_too():
    with pytest.raises(PortError, match="SMTP_PORT and MAILBOX_PORT"):
        check_free({"SMTP_PORT": 29_999, "MAILBOX_PORT": 29_999})
