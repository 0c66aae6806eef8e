"""The gateway's routes, headers, limits and own problem documents."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import yaml
from launcher.files import TEMPLATE, render
from launcher.platform import Platform
from launcher.ports import free_ports
from launcher.settings import NO_LIMITS, ROOT, platform_environment

from .conftest import BROTLI, PROXY
from .upstream import Answer, Asked, echo, serving

MAP = [
    ("/api/auth/register", "identity"),
    ("/api/auth/login", "identity"),
    ("/api/auth/refresh", "identity"),
    ("/api/users/me", "identity"),
    ("/api/admin/users", "identity"),
    ("/api/admin/users/u1/roles", "identity"),
    ("/api/admin/roles", "identity"),
    ("/api/admin/invitations/u1/renew", "identity"),
    ("/api/admin/audit?action=deactivated", "identity"),
    ("/api/users/me/export/data", "identity"),
    ("/.well-known/jwks.json", "identity"),
    ("/api/movies", "catalog"),
    ("/api/movies?limit=5", "catalog"),
    ("/api/movies/m1", "catalog"),
    ("/api/movies/m1/showtimes", "catalog"),
    ("/api/genres", "catalog"),
    ("/api/theaters/t1", "catalog"),
    ("/api/auditoriums/a1", "catalog"),
    ("/api/showtimes", "catalog"),
    ("/api/showtimes/s1", "catalog"),
    ("/api/showtimes/seats", "catalog"),
    ("/api/reviews/r1", "catalog"),
    ("/api/imports/tmdb", "catalog"),
    ("/api/showtimes/s1/seats", "inventory"),
    ("/api/showtimes/s1/holds", "inventory"),
    ("/api/showtimes/s1/blocks", "inventory"),
    ("/api/showtimes/s1/blocks/b1", "inventory"),
    ("/api/holds/h1", "inventory"),
    ("/api/holds/h1/renewal", "inventory"),
    ("/api/bookings", "booking"),
    ("/api/bookings/quote", "booking"),
    ("/api/tickets/t1", "booking"),
    ("/api/check-ins", "booking"),
    ("/api/promotions/p1", "booking"),
    ("/api/reports/sales", "booking"),
    ("/api/payments/config", "payment"),
    ("/api/payments/create-intent", "payment"),
    ("/api/payments/webhook", "payment"),
    ("/api/notifications", "notifier"),
    ("/ws", "realtime"),
]
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "strict-origin-when-cross-origin",
}


@pytest.mark.parametrize(("address", "service"), MAP)
def test_each_address_goes_to_its_service_unchanged(client: httpx.Client, address: str, service: str):
    told = client.get(address).json()
    assert (told["service"], told["path"]) == (service, address)


@pytest.mark.parametrize(
    "address", ["/api", "/api/", "/api/nothing", "/api/moviesque", "/api/admin", "/api/admin/movies", "/openapi/x.json"]
)
def test_an_address_without_a_service_is_a_problem(client: httpx.Client, address: str):
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json() == {
        "type": "urn:usher:problem:not_found",
        "title": "Not found",
        "status": 404,
        "code": "not_found",
        "detail": "There is nothing at this address.",
        "correlation_id": answer.headers["x-correlation-id"],
    }
    assert answer.headers.items() >= SECURITY_HEADERS.items()


@pytest.mark.parametrize("address", ["/metrics", "/readyz", "/api/metrics", "/api/bookings/../../metrics"])
def test_addresses_for_operators_are_not_public(client: httpx.Client, address: str):
    assert '"service"' not in client.get(address).text


ROUTES = re.findall(r'path: "(/.*?)"', (ROOT / "web/src/app/routes.tsx").read_text())
RENDERED = re.compile(r"/((movies|theaters|showtimes)/:\w+|theaters)?")
"""The routes that catalog renders: test_gateway_pages.py."""
PAGES = ["/index.html", *(re.sub(r":\w+", "x-1", route) for route in ROUTES if not RENDERED.fullmatch(route))]


@pytest.mark.parametrize("address", PAGES)
def test_each_page_of_the_web_client_is_served(client: httpx.Client, gateway: Platform, address: str):
    answer = client.get(address)
    picture = f'<meta property="og:image" content="{gateway.env["PUBLIC_URL"]}/icon.png" />'
    assert (answer.status_code, answer.text) == (200, f"<h1>Usher</h1>{picture}")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers.items() >= SECURITY_HEADERS.items()


@pytest.mark.parametrize("address", ["/no/such/page", "/movies", "/movies/m1/x", "/accounts", "/client.css"])
def test_any_other_address_is_missing_and_the_web_client_says_so(client: httpx.Client, address: str):
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<h1>Usher</h1>")
    assert answer.headers.items() >= SECURITY_HEADERS.items()


def test_compressed_files_are_sent_as_they_were_built(client: httpx.Client):
    address = "/assets/client-4711.js"
    for accepted, sent in {"gzip": "gzip", "gzip, deflate, br, zstd": "br", "br;q=0, gzip": "gzip"}.items():
        compressed = client.get(address, headers={"Accept-Encoding": accepted})
        assert (compressed.headers["content-encoding"], compressed.headers["vary"]) == (sent, "Accept-Encoding")
        assert compressed.headers["content-type"] == "text/javascript; charset=utf-8"
        assert compressed.headers["cache-control"] == "public, max-age=31536000, immutable"
    with client.stream("GET", address, headers={"Accept-Encoding": "br"}) as answer:
        assert b"".join(answer.iter_raw()) == BROTLI
    assert client.get(f"{address}.br").status_code == 404
    plain = client.get(address, headers={"Accept-Encoding": "identity"})
    assert ("content-encoding" not in plain.headers, plain.text) == (True, "begin();")


def test_files_with_a_digest_in_their_name_are_cached_forever(client: httpx.Client):
    answer = client.get("/assets/client-4711.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    gone = client.get("/assets/client-0815.js")
    assert gone.status_code == 404
    assert "cache-control" not in gone.headers


def test_files_have_their_media_type_and_hidden_ones_are_not_served(client: httpx.Client):
    assert client.get("/client.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert client.get("/.hidden").status_code == 404


def test_encoded_addresses_are_passed_on_unchanged(client: httpx.Client):
    assert client.get("/api/movies/a%2Fb%20c?q=%C3%A9").json()["path"] == "/api/movies/a%2Fb%20c?q=%C3%A9"


def test_the_openapi_documents_are_those_of_the_services(client: httpx.Client):
    told = client.get("/openapi/booking.json").json()
    assert (told["service"], told["path"]) == ("booking", "/openapi.json")


@pytest.mark.parametrize(
    ("address", "media_type"),
    [("/docs", "text/html"), ("/docs/docs.js", "text/javascript"), ("/docs/docs.css", "text/css")],
)
def test_the_docs_page_needs_nothing_from_elsewhere(client: httpx.Client, address: str, media_type: str):
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)
    assert not re.search(r'(src|href|import)\s*=?\s*["\']?(https?:)?//', answer.text)
    assert answer.headers.items() >= SECURITY_HEADERS.items()


def test_the_page_may_run_only_its_own_scripts_and_stripes(gateway: Platform, client: httpx.Client):
    policy = client.get("/docs").headers["content-security-policy"]
    sandbox = f"http://127.0.0.1:{gateway.ports['STRIPE_SANDBOX_PORT']}"
    assert re.search(rf"script-src 'self' 'nonce-[0-9a-f]{{32}}' {sandbox};", policy)
    assert "unsafe" not in policy


class TestToTheService:
    def test_the_client_address_is_that_of_the_connection(self, client: httpx.Client):
        forged = {
            "X-Forwarded-For": "9.9.9.9",
            "X-Forwarded-Proto": "https",
            "Forwarded": "for=9.9.9.9",
            "X-Real-IP": "9",
        }
        seen = client.get("/api/movies", headers=forged).json()["headers"]
        assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == ("127.0.0.1", "http")
        assert not {"forwarded", "x-real-ip"} & seen.keys()

    def test_a_valid_correlation_id_is_kept(self, client: httpx.Client):
        answer = client.get("/api/movies", headers={"X-Correlation-Id": "booking-4711"})
        assert answer.json()["headers"]["x-correlation-id"] == "booking-4711"
        assert answer.headers.get_list("x-correlation-id") == ["booking-4711"]

    @pytest.mark.parametrize("given", ["short", "a" * 65, 'quote"quote', "new line", "{curly}-brackets"])
    def test_any_other_is_replaced(self, client: httpx.Client, given: str):
        answer = client.get("/api/movies", headers={"X-Correlation-Id": given})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-correlation-id"])
        assert answer.json()["headers"]["x-correlation-id"] == answer.headers["x-correlation-id"]

    def test_the_connection_to_the_service_is_kept_open(self, client: httpx.Client):
        answers = [client.get("/api/notifications").json() for _ in range(20)]
        assert "connection" not in answers[0]["headers"]
        assert len({told["client_port"] for told in answers}) <= 2  # one for each nginx worker

    def test_an_upgrade_is_for_the_socket_address_only(self, client: httpx.Client):
        asked = {"Upgrade": "websocket", "Connection": "upgrade"}
        assert "upgrade" not in client.get("/api/movies", headers=asked).json()["headers"]

    def test_a_socket_is_passed_through_both_ways(self, gateway: Platform):
        with socket.create_connection(("127.0.0.1", gateway.ports["GATEWAY_PORT"]), timeout=5) as connection:
            connection.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            stream = connection.makefile("rb")
            assert b" 101 " in stream.readline()
            while stream.readline().strip():
                pass
            connection.sendall(b"select F7\n")
            assert stream.readline() == b"select F7\n"


class TestToTheClient:
    def test_a_services_own_answer_is_not_touched(self, client: httpx.Client):
        answer = client.get("/api/movies/teapot")
        assert answer.status_code == 418
        assert answer.json()["service"] == "catalog"

    def test_large_answers_are_compressed(self, client: httpx.Client):
        assert client.get("/api/movies", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"

    def test_a_body_of_one_mebibyte_passes_and_one_byte_more_does_not(self, client: httpx.Client):
        assert client.post("/api/reviews", content=b"x" * 1_048_576).json()["length"] == 1_048_576
        answer = client.post("/api/reviews", content=b"x" * 1_048_577)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert answer.json()["detail"] == "A request may be at most 1 MiB."
        assert answer.headers.items() >= SECURITY_HEADERS.items()

    @pytest.mark.parametrize(
        "address", ["/api/movies/m1/poster", "/api/movies/m1/backdrop", "/api/imports/files?dry_run=true"]
    )
    def test_pictures_and_files_of_films_may_have_eight(self, client: httpx.Client, address: str):
        told = client.post(address, content=b"x" * 8_388_608).json()
        assert (told["service"], told["path"], told["length"]) == ("catalog", address, 8_388_608)
        answer = client.post(address, content=b"x" * 8_388_609)
        assert (answer.status_code, answer.json()["detail"]) == (413, "A request may be at most 8 MiB.")

    def test_the_log_has_the_correlation_id_and_no_query(self, gateway: Platform, client: httpx.Client):
        client.get("/api/movies?secret=hush", headers={"X-Correlation-Id": "look-for-me"})
        gateway.stop("gateway")
        gateway.start("gateway")
        log = gateway.log("gateway").read_text()
        line = next(json.loads(line) for line in log.splitlines() if "look-for-me" in line)
        assert (line["path"], line["status"], line["service"]) == ("/api/movies", 200, "gateway")
        assert "hush" not in log


MEETING = threading.Barrier(3)


def _payment(asked: Asked) -> Answer:
    if asked.path.endswith("?meet"):
        MEETING.wait(30)
        MEETING.wait(30)
    return echo("payment")(asked)


@pytest.fixture(scope="module")
def strict():
    """A gateway with limits so low that it refuses the third request."""
    limits = {f"GATEWAY_{name}_RATE": "1r/m" for name in ("LOGIN", "HOLD", "WEBHOOK")}
    limits |= {f"GATEWAY_{name}_BURST": "1" for name in ("LOGIN", "HOLD", "WEBHOOK")}
    given = {**NO_LIMITS, **limits, "GATEWAY_CONNECTIONS": "2", "GATEWAY_TRUSTED_PROXIES": PROXY}
    ports = free_ports()
    with (
        Platform(ports=ports, only={"gateway"}, environment=given) as platform,
        serving(ports["INVENTORY_PORT"], echo("inventory")),
        serving(ports["IDENTITY_PORT"], echo("identity")),
        serving(ports["PAYMENT_PORT"], _payment),
        serving(ports["REALTIME_PORT"], echo("realtime")),
        httpx.Client(base_url=platform.url, trust_env=False) as client,
    ):
        yield client


class TestLimits:
    @pytest.mark.parametrize("address", ["/api/auth/login", "/api/showtimes/s1/holds", "/api/payments/webhook"])
    def test_too_many_posts_get_429_and_a_time_to_wait(self, strict: httpx.Client, address: str):
        answers = [strict.post(address) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].json()["code"] == "too_many_requests"
        assert answers[2].headers["retry-after"] == "1"
        assert answers[2].headers.items() >= SECURITY_HEADERS.items()
        assert "retry-after" not in answers[0].headers

    @pytest.mark.parametrize(
        "request_line",
        [
            *(f"POST /api/auth/{path}" for path in ("login", "register", "forgot-password", "reset-password")),
            *(f"POST /api/auth/{path}" for path in ("verify-email", "verify-email/resend", "accept-invitation")),
            *(f"POST /api/auth/{path}" for path in ("mfa/totp", "passkeys/login", "passkeys/options")),
            *("PUT /api/users/me/password", "POST /api/users/me/email", "POST /api/bookings/lookup"),
            *("POST /api/gift-cards", "POST /api/gift-cards/balance"),
        ],
    )
    def test_requests_that_check_a_password_or_send_a_mail_share_a_limit(self, strict: httpx.Client, request_line: str):
        for _ in range(3):
            strict.post("/api/auth/login")
        assert strict.request(*request_line.split()).status_code == 429
        assert strict.post("/api/auth/refresh").status_code == 200
        assert strict.get("/api/users/me").status_code == 200

    @pytest.mark.parametrize(
        "clients",
        [
            ("203.0.113.1", "203.0.113.1", "203.0.113.1", "203.0.113.2"),
            ("2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::3", "2001:db8:0:2::1"),
            ("203.0.113.3", "::ffff:203.0.113.3", "[::ffff:203.0.113.3]:4711", "::ffff:203.0.113.4"),
        ],
    )
    def test_a_client_is_an_ipv4_address_or_an_ipv6_network(self, strict: httpx.Client, clients: tuple[str, ...]):
        with _from(PROXY, str(strict.base_url)) as proxy:
            answers = [proxy.post("/api/auth/login", headers={"X-Forwarded-For": each}) for each in clients]
        assert [answer.status_code for answer in answers] == [200, 200, 429, 200]

    def test_concurrent_requests_are_limited_even_if_their_bodies_are_slow(self, strict: httpx.Client):
        """Open WebSockets do not count: realtime limits them."""
        live = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        slow = b"POST /api/holds HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        with ExitStack() as opened, _from("127.0.0.9", str(strict.base_url)) as other:
            address = ("127.0.0.1", strict.base_url.port)
            for _ in range(3):
                connection = opened.enter_context(socket.create_connection(address, timeout=30))
                connection.sendall(live)
                assert b" 101 " in connection.makefile("rb").readline()
            slow_ones = [opened.enter_context(socket.create_connection(address, timeout=30)) for _ in range(2)]
            for connection in slow_ones:
                connection.sendall(slow)
            answer, tries = strict.get("/api/holds/h1"), 5000
            while answer.status_code == 200 and (tries := tries - 1):  # nginx has not read the slow ones yet
                for connection in slow_ones:
                    connection.sendall(b"1")
                answer = strict.get("/api/holds/h1")
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
            assert other.get("/api/holds/h1").status_code == 200

    def test_webhooks_that_wait_for_payment_do_not_count_with_them(self, strict: httpx.Client):
        with _from("127.0.0.8", str(strict.base_url)) as client, ThreadPoolExecutor(2) as stripe:
            sent = [stripe.submit(client.post, "/api/payments/webhook?meet") for _ in range(2)]
            MEETING.wait(30)
            assert client.get("/api/holds/h1").status_code == 200
            MEETING.wait(30)
            assert [each.result().status_code for each in sent] == [200, 200]

    def test_a_request_for_a_websocket_has_no_body(self, strict: httpx.Client):
        upgrade = {"Upgrade": "websocket", "Connection": "upgrade"}
        assert strict.request("GET", "/ws", headers=upgrade, content=b"xx").status_code == 413

    def test_reading_is_not_limited_with_them(self, strict: httpx.Client):
        assert [strict.get("/api/showtimes/s1/holds").status_code for _ in range(5)] == [200] * 5

    def test_a_service_that_is_down_is_a_problem(self, strict: httpx.Client):
        answer = strict.get("/api/bookings")
        assert (answer.status_code, answer.json()["code"]) == (502, "service_unreachable")


def _from(address: str, url: str) -> httpx.Client:
    """A client whose connections come from this address of the machine."""
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=url, transport=transport, trust_env=False, timeout=30)


def test_replicas_of_a_service_share_the_requests():
    given = {**NO_LIMITS, "INVENTORY_REPLICAS": "2"}
    ports = free_ports(given)
    with (
        Platform(ports=ports, only={"gateway"}, environment=given) as platform,
        serving(ports["INVENTORY_PORT"], echo("first")),
        serving(ports["INVENTORY_2_PORT"], echo("second")),
    ):
        answers = [httpx.get(f"{platform.url}/api/holds/h1", trust_env=False).json()["service"] for _ in range(8)]
    assert set(answers) == {"first", "second"}


def test_the_template_also_takes_a_containers_values(tmp_path: Path):
    contained = {
        "GATEWAY_LISTEN": "8080",
        "GATEWAY_STATE": str(tmp_path),
        "GATEWAY_WEB": str(tmp_path),
        "GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32",
    }
    environment = platform_environment(free_ports(), tmp_path, contained)
    config = tmp_path / "nginx.conf"
    config.write_text(render(TEMPLATE.read_text(), environment))
    tested = subprocess.run(
        ["sh", environment["GATEWAY_START"], "-e", "stderr", "-t", "-p", str(tmp_path), "-c", str(config)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout
    assert "warn" not in tested.stdout


def test_compose_has_a_value_for_each_variable_of_the_template():
    files = [ROOT / "docker-compose.yml", ROOT / "deploy/compose/tls.yml"]
    usual, tls = (yaml.safe_load(file.read_text())["services"]["gateway"]["environment"] for file in files)
    template, start = TEMPLATE.read_text(), (ROOT / "deploy/gateway/start.sh").read_text()
    assert set(re.findall(r"\$\{([A-Z0-9_]+)\}", template)) <= usual.keys()
    assert set(re.findall(r"(?:GATEWAY|PUBLIC)_[A-Z_]+", start)) <= usual.keys() | tls.keys()


def test_a_variable_without_a_value_is_noticed():
    with pytest.raises(KeyError, match="GATEWAY_LISTEN"):
        render("listen ${GATEWAY_LISTEN}; set $host ${host};", {})
