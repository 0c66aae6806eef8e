"""Films in files: what can be read, and where the fault is when it cannot."""

import json

import pytest
from catalog.model.film_files import film_of_row, read_films
from catalog.model.imports import MAX_FILMS, FilmInvalid, changed_fields, genre_code
from catalog.model.problems import ImportInvalid

FILM = {
    "title": "Nosferatu",
    "release_date": "1922-03-04",
    "runtime_minutes": 94,
    "certificate": "PG",
    "original_language": "de",
}
CSV = (
    "title,release_date,runtime_minutes,certificate,original_language,genres,cast,imdb,trailer_url\r\n"
    '"Nosferatu, eine Symphonie",1922-03-04,94,PG,de,Horror; Silent Film,Max Schreck;Greta Schröder,tt0013442,\r\n'
)


def offers(data):
    rows = read_films(data.encode() if isinstance(data, str) else data)
    return [film_of_row(place, row) for place, row in rows]


def test_json_has_the_fields_of_a_film():
    [offer] = offers(json.dumps([FILM | {"id": "nosferatu", "genres": ["Science Fiction", "horror"]}]))
    assert (offer.movie_id, offer.film.year, offer.film.original_title) == ("nosferatu", 1922, "Nosferatu")
    assert offer.genres == {"science-fiction": "Science Fiction", "horror": "horror"}
    assert offer.film.genres == ["science-fiction", "horror"]
    assert "synopsis" not in offer.known, "what is not said is not known"
    assert "genres" not in (offers(json.dumps([FILM])))[0].known


def test_csv_has_them_as_columns():
    [offer] = offers("\ufeff" + CSV)
    assert offer.film.title == "Nosferatu, eine Symphonie"
    assert offer.film.cast == ["Max Schreck", "Greta Schröder"]
    assert list(offer.genres) == ["horror", "silent-film"]
    assert offer.film.external_ids == {"imdb": "tt0013442"}
    assert "trailer_url" not in offer.known, "an empty cell says nothing"
    assert read_films(CSV.encode())[0][0] == "Line 2"


UNREADABLE = {
    "empty": (b" \n", "The file is empty."),
    "no films": (b"[]", "The file contains no films."),
    "only a header": (b"title,year\n", "The file contains no films."),
    "not text": (b"[\xff\xfe]", "The file is not UTF-8: byte 2."),
    "broken": (b'[{"title": "A"},\n {"title" "B"}]', "Line 2, column 11: Expecting ':' delimiter."),
    "an object": (b'{"title": "A"}', "The file is not a list of films."),
    "no number": (b'[{"runtime_minutes": NaN}]', "The file is not valid JSON: NaN is no number."),
    "deep": (b"[" * 100_000, "The file is not valid JSON"),
    "digits": (b'[{"year": ' + b"9" * 5000 + b"}]", "The file is not valid JSON"),
    "long": (json.dumps([{"title": "x" * 100_001}]).encode(), "Film 1 is too long."),
    "many": (json.dumps([{}] * (MAX_FILMS + 1)).encode(), f"The file has {MAX_FILMS + 1} films; 5000 are allowed."),
    "other columns": (b"title,director\nA,B\n", "Line 1: there is no column director."),
    "a column twice": (b"title,title\nA,B\n", "Line 1: there is a column twice, or none for the title."),
    "no title": (b"year\n1999\n", "Line 1: there is a column twice, or none for the title."),
    "more cells": (b"title,year\nA,1999,drama\n", "Line 2: there are more cells than columns."),
    "open quote": (b'title,year\n"A,1999\n', "After line 1: unexpected end of data."),
    "a picture": (b"\x89PNG\r\n\x1a\n", "The file is not UTF-8: byte 1."),
    "nul": (b"title\nA\x00B\n", None),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_names_the_place(name):
    data, sentence = UNREADABLE[name]
    if sentence is None:
        assert read_films(data), "the row is judged by itself"
        return
    with pytest.raises(ImportInvalid) as fault:
        read_films(data)
    assert fault.value.detail.startswith(sentence)


NO_FILMS = [
    ("x", "Film 1: this is no film."),
    ({}, "Film 1: title: Field required"),
    (FILM | {"runtime_minutes": "long"}, "Film 1: runtime_minutes: Input should be a valid integer"),
    (FILM | {"runtime_minutes": 10**30}, "Film 1: runtime_minutes: "),
    (
        FILM | {"title": "a\u0000b"},
        "Film 1: title: Value error, the character U+0000 is not allowed: nobody can see it",
    ),
    (FILM | {"title": "\ud800"}, "Film 1: title: "),
    (FILM | {"title": "Nosferatu\u202e"}, "Film 1: title: Value error, the character U+202E is not allowed"),
    (FILM | {"genres": ["Dra\u200bma"]}, "Film 1: 0: Value error, the character U+200B is not allowed"),
    (FILM | {"genres": "Drama"}, "Film 1: Input should be a valid list"),
    (FILM | {"id": "../x"}, "Film 1: String should match pattern"),
    (FILM | {"director": "Murnau"}, "Film 1: there is no field director."),
    (FILM | {"trailer_url": "javascript:alert(1)"}, "Film 1: trailer_url: "),
    (FILM | {"external_ids": {"imdb": {"$gt": ""}}}, "Film 1: external_ids.imdb: Input should be a valid string"),
]


@pytest.mark.parametrize(("row", "sentence"), NO_FILMS, ids=str)
def test_a_row_that_is_no_film_says_why(row, sentence):
    with pytest.raises(FilmInvalid) as fault:
        offers(json.dumps([row]))
    assert str(fault.value).startswith(sentence)


def test_genres_names_become_codes():
    assert [genre_code(name) for name in ("Science Fiction", " Drama ", "Film-Noir", "Comédie", "!?")] == [
        "science-fiction", "drama", "film-noir", "comedie", "",
    ]  # fmt: skip


class TestNews:
    film = {"title": "Edited", "synopsis": "", "certificate": "PG", "external_ids": {"imdb": "tt1"}}

    def test_the_first_time_only_what_is_empty_is_filled_in(self):
        said = {"title": "Original", "synopsis": "About.", "certificate": "15"}
        assert changed_fields(said, None, self.film) == {"synopsis": "About."}

    def test_later_what_the_provider_has_changed_is_changed_and_nothing_else(self):
        before = {"title": "Original", "certificate": "15"}
        assert changed_fields({"title": "Original", "certificate": "18"}, before, self.film) == {"certificate": "18"}

    def test_ids_elsewhere_are_added_to_those_that_are_known(self):
        assert changed_fields({"external_ids": {"tmdb": "7"}}, None, self.film) == {
            "external_ids": {"imdb": "tt1", "tmdb": "7"}
        }
        assert changed_fields({"external_ids": {"imdb": "tt1"}}, None, self.film) == {}
