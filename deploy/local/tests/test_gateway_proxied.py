"""The gateway behind another nginx that ends TLS, and with its own certificate."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
from launcher.health import NotReadyError
from launcher.platform import Platform
from launcher.ports import free_ports, is_free
from launcher.settings import NO_LIMITS

from .conftest import PROXY
from .upstream import echo, serving

VISITOR = "127.0.0.9"
STRANGER = "127.0.0.3"
"""The address of a proxy that the gateway does not trust."""
FRONT = """\
daemon off;
pid front.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    ssl_certificate certificate.pem;
    ssl_certificate_key key.pem;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    server {{
        listen 127.0.0.1:{trusted} ssl;
        location / {{ proxy_bind {proxy}; proxy_pass http://127.0.0.1:{gateway}; }}
    }}
    server {{
        listen 127.0.0.1:{untrusted} ssl;
        location / {{ proxy_bind {stranger}; proxy_pass http://127.0.0.1:{gateway}; }}
    }}
}}
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key and a certificate of 127.0.0.1 that it signs."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    name = ["-subj", "/CN=usher.example", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command, *name, "-keyout", "key.pem", "-out", "certificate.pem"], cwd=folder, check=True, capture_output=True
    )
    return folder


@pytest.fixture(scope="module")
def fronts(gateway: Platform, certificates: Path) -> Iterator[dict[str, int]]:
    """An nginx with a port for a proxy that the gateway trusts and one for a proxy that it does not trust."""
    spare = free_ports()
    ports = {"trusted": spare["SMTP_PORT"], "untrusted": spare["MAILBOX_PORT"]}
    numbers = {"proxy": PROXY, "stranger": STRANGER, "gateway": gateway.ports["GATEWAY_PORT"], **ports}
    (certificates / "front.conf").write_text(FRONT.format(**numbers))
    with subprocess.Popen(["nginx", "-e", "stderr", "-p", certificates, "-c", "front.conf"]) as front:
        while is_free(ports["trusted"]) or is_free(ports["untrusted"]):
            assert front.poll() is None
        yield ports
        front.terminate()


@contextmanager
def visiting(url: str, certificates: Path) -> Iterator[httpx.Client]:
    """A client whose connections come from VISITOR."""
    trusted = ssl.create_default_context(cafile=str(certificates / "certificate.pem"))
    transport = httpx.HTTPTransport(local_address=VISITOR, verify=trusted)
    with httpx.Client(base_url=url, transport=transport, timeout=30) as client:
        yield client


class TestBehindAProxy:
    @pytest.mark.parametrize("forged", [{}, {"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "http"}])
    def test_a_trusted_one_names_the_client_and_its_scheme(
        self, fronts: dict[str, int], certificates: Path, forged: dict[str, str]
    ):
        with visiting(f"https://127.0.0.1:{fronts['trusted']}", certificates) as client:
            seen = client.get("/api/movies", headers=forged).json()["headers"]
        assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == (VISITOR, "https")

    @pytest.mark.parametrize("forged", [{}, {"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "http"}])
    def test_another_one_is_the_client(self, fronts: dict[str, int], certificates: Path, forged: dict[str, str]):
        with visiting(f"https://127.0.0.1:{fronts['untrusted']}", certificates) as client:
            seen = client.get("/api/movies", headers=forged).json()["headers"]
        assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == (STRANGER, "http")

    @pytest.mark.parametrize(
        ("named", "client"),
        [
            (["203.0.113.7"], "203.0.113.7"),
            (["9.9.9.9, 203.0.113.7"], "203.0.113.7"),
            (["9.9.9.9", "203.0.113.7"], "203.0.113.7"),
            ([f"9.9.9.9, 203.0.113.7, {PROXY}"], "203.0.113.7"),
            ([PROXY], PROXY),
            (["203.0.113.7:4711"], "203.0.113.7"),
            (["2001:db8::7"], "2001:db8::7"),
            (["[2001:db8::7]:4711"], "2001:db8::7"),
            (["9.9.9.9, nobody"], PROXY),
            (["nobody, 203.0.113.7"], "203.0.113.7"),
            (["203.0.113.7,"], "203.0.113.7"),
            ([""], PROXY),
            ([",".join(["9.9.9.9"] * 700)], "9.9.9.9"),
            ([], PROXY),
        ],
    )
    def test_the_client_is_the_last_one_that_is_no_trusted_proxy(
        self, gateway: Platform, named: list[str], client: str
    ):
        headers = [f"X-Forwarded-For: {each}" for each in named]
        assert _seen(gateway, PROXY, headers)["x-forwarded-for"] == client

    @pytest.mark.parametrize(
        ("sender", "named", "scheme"),
        [
            (PROXY, ["https"], "https"),
            (PROXY, ["http"], "http"),
            (PROXY, ["https, http"], "http"),
            (PROXY, ["javascript"], "http"),
            (PROXY, [], "http"),
            (STRANGER, ["https"], "http"),
        ],
    )
    def test_only_a_trusted_proxy_names_the_scheme(self, gateway: Platform, sender: str, named: list[str], scheme: str):
        headers = [f"X-Forwarded-Proto: {each}" for each in named]
        assert _seen(gateway, sender, headers)["x-forwarded-proto"] == scheme

    def test_a_network_that_is_none_stops_the_start(self):
        given = {**NO_LIMITS, "GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8,10.0.0.0/33"}
        with pytest.raises(NotReadyError, match=r"(?s)gateway has ended.*10\.0\.0\.0/33.*trusted_proxies"):
            Platform(only={"gateway"}, environment=given).__enter__()


def _seen(gateway: Platform, sender: str, headers: list[str]) -> dict[str, str]:
    """The headers that a service gets of a request with these, sent from an address of this machine."""
    lines = ["GET /api/movies?proxied HTTP/1.1", "Host: x", "Connection: close", "Cookie: a=b", *headers, "", ""]
    address = ("127.0.0.1", gateway.ports["GATEWAY_PORT"])
    with socket.create_connection(address, timeout=30, source_address=(sender, 0)) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = HTTPResponse(connection)
        answer.begin()
        return json.loads(answer.read())["headers"]


@pytest.fixture(scope="module")
def tls(certificates: Path) -> Iterator[Platform]:
    """A gateway with a certificate, whose public address is the TLS port."""
    ports = free_ports()
    given = NO_LIMITS | {
        "PUBLIC_URL": f"https://127.0.0.1:{ports['SMTP_PORT']}",
        "GATEWAY_TLS_PORT": str(ports["SMTP_PORT"]),
        "GATEWAY_TLS_CERTIFICATE": str(certificates / "certificate.pem"),
        "GATEWAY_TLS_KEY": str(certificates / "key.pem"),
        "GATEWAY_TRUSTED_PROXIES": PROXY,
    }
    with (
        Platform(ports=ports, only={"gateway"}, environment=given) as platform,
        serving(ports["CATALOG_PORT"], echo("catalog")),
        serving(ports["PAYMENT_PORT"], echo("payment")),
    ):
        yield platform


class TestWithTlsOfItsOwn:
    def test_services_see_https_and_browsers_must_use_it(self, tls: Platform, certificates: Path):
        with visiting(tls.env["PUBLIC_URL"], certificates) as client:
            answer = client.get("/api/movies")
            gone = client.get("/api/nothing")
        assert answer.json()["headers"]["x-forwarded-proto"] == "https"
        assert answer.json()["headers"]["x-forwarded-for"] == VISITOR
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert gone.headers["strict-transport-security"] == "max-age=31536000"

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("path", ["/", "/api/movies?q=a%2Fb", "//evil.example/", "/docs/"])
    def test_without_it_everything_is_redirected_to_the_public_address(self, tls: Platform, method: str, path: str):
        answer = httpx.request(method, tls.url + path, headers={"Host": "evil.example"}, trust_env=False)
        assert (answer.status_code, answer.headers["location"]) == (308, tls.env["PUBLIC_URL"] + path)
        assert "strict-transport-security" not in answer.headers

    def test_machines_are_not_redirected(self, tls: Platform):
        assert httpx.get(f"{tls.url}/healthz", trust_env=False).status_code == 200
        assert httpx.post(f"{tls.url}/api/payments/webhook", trust_env=False).json()["service"] == "payment"

    def test_what_a_trusted_proxy_received_by_tls_is_not_redirected(self, tls: Platform):
        assert _seen(tls, PROXY, ["X-Forwarded-Proto: https"])["x-forwarded-proto"] == "https"

    @pytest.mark.parametrize("request_line", ["GET / HTTP/1.1", "GET /%zz HTTP/1.1", "nonsense"])
    @pytest.mark.parametrize("port", ["GATEWAY_PORT", "SMTP_PORT"])
    def test_malformed_requests_and_plain_ones_on_its_port_are_problems(
        self, tls: Platform, port: str, request_line: str
    ):
        with socket.create_connection(("127.0.0.1", tls.ports[port]), timeout=30) as connection:
            connection.sendall(f"{request_line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = HTTPResponse(connection)
            answer.begin()
            if request_line == "GET / HTTP/1.1" and port == "GATEWAY_PORT":
                assert answer.status == 308
            else:
                assert (answer.status, json.loads(answer.read())["code"]) == (400, "bad_request")


def test_without_a_certificate_nothing_is_redirected_and_browsers_may_use_http(gateway: Platform):
    answer = httpx.get(f"{gateway.url}/", trust_env=False)
    assert (answer.status_code, "strict-transport-security" in answer.headers) == (200, False)
