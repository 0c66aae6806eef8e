"""The networks that limits count."""

import pytest
from chassis.http.network import client_network
from starlette.requests import HTTPConnection
from starlette.types import Scope


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("testclient", "testclient"),
    ],
)
def test_one_customer_is_one_network(host: str, network: str):
    assert client_network(HTTPConnection(_scope(client=(host, 4711)))) == network


def test_a_connection_without_an_address_has_no_network():
    assert client_network(HTTPConnection(_scope(client=None))) == ""


def _scope(client: tuple[str, int] | None) -> Scope:
    return {"type": "websocket", "headers": [], "client": client}
