"""The pages that catalog renders: a real nginx puts the frame of the web client around them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from launcher.platform import Platform
from launcher.ports import free_ports
from launcher.settings import NO_LIMITS

from .upstream import Answer, Asked, serving

NONCE = '<!--# echo var="request_id" -->'
FRAME = {
    "index.html": f'<p nonce="{NONCE}">alone</p>',
    "shell/start.html": f'<html lang="<!--# echo var="page_language" -->"><p nonce="{NONCE}">start</p>',
    "shell/end.html": "<p>end</p>",
}
PUBLIC = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "public, max-age=60"}


class Catalog:
    """Answers with the address, within the frame, and counts the requests."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.status = 200

    def answer(self, asked: Asked) -> Answer:
        """Return the page."""
        self.seen.append(asked.path)
        text = f'<!--# include virtual="/shell/start.html" --><meta content="/i.png">{asked.path}'
        body = f'{text}<!--# include virtual="/shell/end.html" -->'
        return Answer(body.encode(), self.status, PUBLIC if self.status == 200 else {"Content-Type": "text/html"})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, Catalog]]:
    """A gateway in front of a stand-in for catalog."""
    web = tmp_path_factory.mktemp("web")
    (web / "shell").mkdir()
    for name, text in FRAME.items():
        (web / name).write_text(text)
    ports, catalog = free_ports(), Catalog()
    given = {**NO_LIMITS, "GATEWAY_WEB": str(web)}
    with (
        Platform(ports=ports, only={"gateway"}, environment=given) as platform,
        serving(ports["CATALOG_PORT"], catalog.answer),
    ):
        yield platform, catalog


@pytest.fixture
def catalog(running: tuple[Platform, Catalog]) -> Iterator[Catalog]:
    yield running[1]
    running[1].status = 200


@pytest.fixture
def client(running: tuple[Platform, Catalog]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running[0].url, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("/", "/pages/"),
        ("/movies/m-1", "/pages/movies/m-1"),
        ("/movies/m-1/?date=2026-12-01", "/pages/movies/m-1"),
        ("/theaters", "/pages/theaters"),
        ("/theaters/", "/pages/theaters"),
        ("/theaters/t-1", "/pages/theaters/t-1"),
        ("/showtimes/s-1", "/pages/showtimes/s-1"),
        ("/movies/a%20b", "/pages/movies/a%20b"),
    ],
)
def test_catalogs_page_is_sent_within_the_frame(
    client: httpx.Client, running: tuple[Platform, Catalog], address: str, asked: str
):
    answer = client.get(address, headers={"Accept-Encoding": "identity"})
    nonce = answer.headers["x-correlation-id"]
    meta = f'<meta content="{running[0].env["PUBLIC_URL"]}/i.png">'
    begin = f'<html lang="en"><p nonce="{nonce}">start</p>'
    assert (answer.status_code, answer.text) == (200, f"{begin}{meta}{asked}?language=en<p>end</p>")
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert policy.count(f"'nonce-{nonce}'") == 2, "for scripts and styles"
    assert client.head(address).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "cookie", "language"),
    [
        ("de", "", "de"),
        ("de-AT,en;q=0.5", "", "de"),
        ("en-GB, de", "", "en"),
        ("fr, de;q=0.5", "", "de"),
        ("fr,  es ,EN,de", "", "en"),
        ("DE", "", "de"),
        ("fr", "", "en"),
        ("x-de, fr-de", "", "en"),
        ("", "", "en"),
        ("de", "en", "en"),
        ("en", "de", "de"),
        ("de", "fr", "de"),
    ],
)
def test_the_page_is_in_the_visitors_language(client: httpx.Client, accepted: str, cookie: str, language: str):
    headers = {"Accept-Language": accepted} | ({"Cookie": f"usher_language={cookie}"} if cookie else {})
    answer = client.get("/movies/words", headers=headers)
    assert f'<html lang="{language}">' in answer.text
    assert f"/pages/movies/words?language={language}<" in answer.text


def test_visitors_share_a_page_and_each_gets_a_new_nonce(client: httpx.Client, catalog: Catalog):
    people = [{}, {"Cookie": "usher_language=en; a=b"}, {"Authorization": "Bearer x"}, {}]
    pages = [client.get("/movies/shared", headers=person) for person in people]
    assert catalog.seen.count("/pages/movies/shared?language=en") == 1
    assert [page.headers["x-cache"] for page in pages] == ["MISS", "HIT", "HIT", "HIT"]
    assert len({re.findall('nonce="(.*?)"', page.text)[0] for page in pages}) == len(people)


def test_a_filtered_list_is_loaded_by_the_client(client: httpx.Client, catalog: Catalog):
    before = len(catalog.seen)
    assert "alone" in client.get("/?genre=drama").text
    assert len(catalog.seen) == before


@pytest.mark.parametrize(("status", "sent"), [(404, 404), (422, 404), (500, 200), (502, 200), (503, 200), (504, 200)])
def test_without_content_the_frame_is_sent_alone(client: httpx.Client, catalog: Catalog, status: int, sent: int):
    catalog.status = status
    answer = client.get(f"/movies/none-{status}")
    assert (answer.status_code, "alone" in answer.text) == (sent, True)
    assert f'nonce="{answer.headers["x-correlation-id"]}"' in answer.text


@pytest.mark.parametrize("address", ["/shell/start.html", "/pages/", "/pages/movies/m-1"])
def test_the_parts_have_no_address_of_their_own(client: httpx.Client, address: str):
    assert client.get(address).status_code == 404


def test_a_language_cookie_shares_the_responses_of_the_api(client: httpx.Client, catalog: Catalog):
    for _ in range(2):
        client.get("/api/movies/m-1", headers={"Cookie": "usher_language=de"})
    assert catalog.seen.count("/api/movies/m-1") == 1
