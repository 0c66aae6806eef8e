"""A stand-in for TMDB on loopback: the recorded shape of its responses, with invented films.

https://developer.themoviedb.org/reference/movie-details and …/movie-now-playing-list, version 3.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-read-access-token"
Answer = tuple[int, dict[str, str], Any]


def film(film_id: int, title: str, /, **fields: Any) -> dict[str, Any]:
    """Return a film as `/movie/{id}?append_to_response=credits,release_dates,videos,translations` does."""
    return {
        "adult": False,
        "backdrop_path": "/backdrop.jpg",
        "belongs_to_collection": None,
        "budget": 6000000,
        "genres": [{"id": 18, "name": "Drama"}, {"id": 878, "name": "Science Fiction"}],
        "homepage": "",
        "id": film_id,
        "imdb_id": f"tt{film_id:07}",
        "origin_country": ["US"],
        "original_language": "en",
        "original_title": title,
        "overview": f"What happens in {title}.",
        "popularity": 42.1,
        "poster_path": "/poster.jpg",
        "production_companies": [{"id": 4, "logo_path": None, "name": "Paramount", "origin_country": "US"}],
        "production_countries": [{"iso_3166_1": "US", "name": "United States of America"}],
        "release_date": "2024-03-14",
        "revenue": 245066411,
        "runtime": 175,
        "spoken_languages": [
            {"english_name": "English", "iso_639_1": "en", "name": "English"},
            {"english_name": "No Language", "iso_639_1": "xx", "name": "No Language"},
        ],
        "status": "Released",
        "tagline": "",
        "title": title,
        "video": False,
        "vote_average": 8.7,
        "vote_count": 20000,
        "credits": {
            "cast": [
                {"adult": False, "gender": 2, "id": n, "known_for_department": "Acting", "name": f"Actor {n}",
                 "original_name": f"Actor {n}", "popularity": 1.0, "profile_path": None, "cast_id": n,
                 "character": "X", "credit_id": f"c{n}", "order": n}
                for n in range(30)
            ],
            "crew": [
                {"id": 90, "name": "Dana Director", "department": "Directing", "job": "Director", "credit_id": "d"},
                {"id": 91, "name": "Wim  Writer", "department": "Writing", "job": "Screenplay", "credit_id": "w"},
                {"id": 92, "name": "Cat Caterer", "department": "Crew", "job": "Catering", "credit_id": "k"},
            ],
        },
        "release_dates": {
            "results": [
                {"iso_3166_1": "US", "release_dates": [{"certification": "R", "type": 3, "note": ""}]},
                {"iso_3166_1": "GB", "release_dates": [
                    {"certification": "", "type": 1, "note": "premiere"},
                    {"certification": "15", "type": 3, "note": ""},
                ]},
            ]
        },
        "translations": {
            "translations": [
                {"iso_3166_1": "DE", "iso_639_1": "de", "data": {"title": f"Der {title}", "overview": "…"}},
                {"iso_3166_1": "FR", "iso_639_1": "fr", "data": {"title": "", "overview": ""}},
                {"iso_3166_1": "AT", "iso_639_1": "de", "data": {"title": f"Der {title}", "overview": ""}},
                {"iso_3166_1": "GB", "iso_639_1": "en", "data": {"title": title, "overview": ""}},
                {"iso_3166_1": "IL", "iso_639_1": "he", "data": {"title": None}},
            ]
        },
        "videos": {
            "results": [
                {"iso_639_1": "en", "key": "fan", "site": "YouTube", "type": "Trailer", "official": False},
                {"iso_639_1": "en", "key": "teaser", "site": "YouTube", "type": "Teaser", "official": True},
                {"iso_639_1": "en", "key": "trailer", "site": "YouTube", "type": "Trailer", "official": True},
            ]
        },
    } | fields  # fmt: skip


class TmdbServer:
    """`films` are in the order of its lists. `planned` responses by path are returned first."""

    PER_PAGE = 3

    def __init__(self) -> None:
        self.url = ""
        self.films: dict[int, dict[str, Any]] = {}
        self.planned: dict[str, list[Answer]] = {}
        self.asked: list[str] = []
        self.held = threading.Event()
        self.held.set()
        self._one_at_a_time = threading.Lock()

    def reset(self) -> None:
        """Forget all films and requests."""
        self.films, self.planned, self.asked = {}, {}, []
        self.held.set()

    def times_asked(self, path: str) -> int:
        """Return the number of requests for a path."""
        return self.asked.count(path)

    def answer(self, path: str, query: dict[str, list[str]], token: str) -> Answer:
        """Return the response to a path."""
        with self._one_at_a_time:
            self.asked.append(path)
            if self.planned.get(path):
                return self.planned[path].pop(0)
        if token != f"Bearer {TOKEN}":
            return 401, {}, {"status_code": 7, "status_message": "Invalid API key: You must be granted a valid key."}
        name = path.removeprefix("/movie/")
        if not name.isdigit():
            return 200, {}, self._list(int(query["page"][0]))
        if int(name) not in self.films:
            return 404, {}, {"success": False, "status_code": 34, "status_message": "The resource … not be found."}
        self.held.wait()
        return 200, {}, self.films[int(name)]

    def _list(self, page: int) -> dict[str, Any]:
        shown = list(self.films.values())[(page - 1) * self.PER_PAGE : page * self.PER_PAGE]
        cards = [{name: each[name] for name in ("adult", "id", "title", "release_date", "overview")} for each in shown]
        pages = -(-len(self.films) // self.PER_PAGE)
        return {"page": page, "results": cards, "total_pages": pages, "total_results": len(self.films)}


@contextmanager
def serving() -> Iterator[TmdbServer]:
    """Listen on loopback inside the block."""
    tmdb = TmdbServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            path = asked.path.removeprefix("/3")
            status, headers, body = tmdb.answer(path, parse_qs(asked.query), self.headers.get("Authorization", ""))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json;charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the name is the base class's
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    tmdb.url = f"http://127.0.0.1:{server.server_port}/3"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield tmdb
    finally:
        tmdb.held.set()
        server.shutdown()
        server.server_close()
        thread.join()
