"""Films in files: valid files, and the place of the error in invalid ones."""

import gzip
import json
import tracemalloc

import pytest
from catalog.model.film_files import MAX_BYTES, MAX_ROW, film_of_row, read_films
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
    rows = read_films(data.encode() if isinstance(data, str) else data).rows
    return [film_of_row(place, row) for place, row in rows]


def test_json_has_the_fields_of_a_film():
    [offer] = offers(json.dumps([FILM | {"id": "nosferatu", "genres": ["Science Fiction", "horror"]}]))
    assert (offer.movie_id, offer.film.year, offer.film.original_title) == ("nosferatu", 1922, "Nosferatu")
    assert offer.genres == {"science-fiction": "Science Fiction", "horror": "horror"}
    assert offer.film.genres == ["science-fiction", "horror"]
    assert "synopsis" not in offer.known, "a missing field is unknown"
    assert "genres" not in (offers(json.dumps([FILM])))[0].known


def test_csv_has_them_as_columns():
    [offer] = offers("\ufeff" + CSV)
    assert offer.film.title == "Nosferatu, eine Symphonie"
    assert offer.film.cast == ["Max Schreck", "Greta Schröder"]
    assert list(offer.genres) == ["horror", "silent-film"]
    assert offer.film.external_ids == {"imdb": "tt0013442"}
    assert "trailer_url" not in offer.known, "an empty cell is ignored"
    assert read_films(CSV.encode()).rows[0][0] == "Line 2"


GERMAN = "title,synopsis,genres,cast\nDie Büchse,Lulu über Berlin,Drama;Krimi,Louise Brooks\n"
AS_PEOPLE_HAVE_THEM = {
    "UTF-8": (GERMAN.encode(), "utf-8", ","),
    "UTF-8 with a mark": (GERMAN.encode("utf-8-sig"), "utf-8", ","),
    "UTF-16 with a mark": (GERMAN.encode("utf-16"), "utf-16", ","),
    "UTF-16, little end first": (GERMAN.encode("utf-16-le"), "utf-16-le", ","),
    "UTF-16, big end first": (GERMAN.encode("utf-16-be"), "utf-16-be", ","),
    "Windows": (GERMAN.encode("cp1252"), "windows-1252", ","),
    "lines of a PC": (GERMAN.replace("\n", "\r\n").encode(), "utf-8", ","),
    "lines of an old Mac": (GERMAN.replace("\n", "\r").encode(), "utf-8", ","),
    "tabs": (GERMAN.replace(",", "\t").encode(), "utf-8", "\t"),
    "semicolons": (GERMAN.replace(";", "|").replace(",", ";").encode(), "utf-8", ";"),
    "a stated delimiter": (b"sep=;\r\n" + GERMAN.replace(";", "|").replace(",", ";").encode(), "utf-8", ";"),
    "empty lines and columns": (
        b"\n" + GERMAN.replace("cast", "cast,,").replace("Brooks", "Brooks,,").encode() + b",,,,,\n\n", "utf-8", ","
    ),
    "spoken column names": (GERMAN.replace("title,synopsis", ' Title ,"SYNOPSIS"').encode(), "utf-8", ","),
}  # fmt: skip


@pytest.mark.parametrize("name", AS_PEOPLE_HAVE_THEM)
def test_files_are_read_in_the_usual_encodings_and_formats(name):
    data, encoding, delimiter = AS_PEOPLE_HAVE_THEM[name]
    file = read_films(data)
    assert file.read_as == {"encoding": encoding, "delimiter": delimiter}
    [(_, row)] = file.rows
    fields = json.loads(row)
    shared = {"title": "Die Büchse", "synopsis": "Lulu über Berlin", "cast": ["Louise Brooks"]}
    assert fields == shared | {"genres": ["Drama", "Krimi"]}


def test_places_are_correct_after_cells_with_several_lines():
    lines = ["title,synopsis", '"A', 'B","One', "", 'Two"', "", "C,"]
    file = read_films("\n".join(lines).encode())
    assert [place for place, _ in file.rows] == ["Line 2", "Line 7"]
    assert json.loads(file.rows[0][1]) == {"title": "A\nB", "synopsis": "One\n\nTwo"}
    with pytest.raises(ImportInvalid) as fault:
        read_films("\n".join([*lines, "D,E,F"]).encode())
    assert fault.value.detail == "Line 8: there are more cells than columns."


def test_commas_separate_genres_but_not_people():
    [(_, row)] = read_films(b'title;cast;genres\nA;Downey, Robert|Ford;"Drama, War; Crime"\n').rows
    assert json.loads(row)["genres"] == ["Drama", "War", "Crime"]
    assert json.loads(row)["cast"] == ["Downey, Robert", "Ford"]


def test_texts_are_cleaned_as_elsewhere():
    dirty = {
        "title": "The\r\nGod\u200bfather\u202e ",
        "cast": ["Marlon\tBrando\u200e"],
        "crew": [{"name": "Mario\u00a0Puzo", "job": "No\u00advel"}],
        "genres": ["Dra\u200bma"],
        "synopsis": "A\tfamily.\r\n\r\nA\u202e war.\rA baptism.\x00",
    }
    [film] = offers(json.dumps([FILM | dirty]))
    assert film.film.model_dump(include=set(dirty)) == {
        "title": "The Godfather",
        "cast": ["Marlon Brando"],
        "crew": [{"name": "Mario Puzo", "job": "Novel"}],
        "genres": ["drama"],
        "synopsis": "A family.\n\nA war.\nA baptism.",
    }


def test_genres_in_another_script_are_not_lost():
    [offer] = offers(json.dumps([FILM | {"genres": ["Драма", "драма ", "ドラマ", "Comédie"]}]))
    assert list(offer.genres.values()) == ["драма", "ドラマ", "Comédie"]
    assert offer.film.genres == list(offer.genres)
    assert list(offer.genres)[2] == "comedie"


@pytest.mark.parametrize("unknown", [None, "", 0, "0", "null", "0000-00-00", "N/A", "\\N", " - "])
def test_placeholders_of_film_databases_mean_unknown(unknown):
    facts = {"runtime_minutes": unknown, "release_date": unknown, "synopsis": None, "cast": ""}
    [film] = offers(json.dumps([FILM | facts | {"year": 1922}]))
    assert (film.film.runtime_minutes, film.film.release_date, film.film.year) == (None, None, 1922)
    assert not facts.keys() & film.known.keys(), "and known fields stay"
    [film] = offers("title,year,runtime_minutes,certificate,original_language\n0,1922,%s,PG,de" % (unknown or ""))
    assert (film.film.title, film.film.runtime_minutes) == ("0", None)


UNREADABLE = {
    "empty": (b" \n", "The file is empty."),
    "no films": (b"[]", "The file contains no films."),
    "only a header": (b"title,year\n", "The file contains no films."),
    "neither": (b"title\n\x81\xff\n", "The file is neither UTF-8 nor Windows-1252: byte 7."),
    "half a character": (b"\xff\xfet\x00i", "The file is not UTF-16: byte 5."),
    "broken": (b'[{"title": "A"},\n {"title" "B"}]', "Line 2, column 11: Expecting ':' delimiter."),
    "no end": (b'[{"title": "A"}', "Line 1, column 16: Expecting ',' delimiter."),
    "a comma at the end": (b'[{"title": "A"},\n]', "Line 2, column 1: Expecting value."),
    "more than a list": (b'[{"title": "A"}]\n[]', "Line 2, column 1: Extra data."),
    "an object": (b'{"title": "A"}', "The file is not a list of films."),
    "no number": (b'[{"runtime_minutes": NaN}]', "Film 1 is not valid JSON: NaN is no number."),
    "digits": (b'[{"year": ' + b"9" * 5000 + b"}]", "Film 1 is not valid JSON"),
    "other columns": (b"title,director\nA,B\n", "Line 1: there is no column director."),
    "a column without a name": (b"title,,year\nA,,1999\n", "Line 1: there is no column (empty)."),
    "a column twice": (b"title,title\nA,B\n", "Line 1: there is a column twice, or none for the title."),
    "no title": (b"year\n1999\n", "Line 1: there is a column twice, or none for the title."),
    "more cells": (b"title,year\nA,1999,drama\n", "Line 2: there are more cells than columns."),
    "open quote": (b'title,year\nA,1\n"B,1999\n', "Line 3: unexpected end of data."),
    "a picture": (b"\x89PNG\r\n\x1a\n", "Line 1: there is no column"),
    "a spreadsheet": (b"PK\x03\x04\x14\x00", "The file is compressed or a spreadsheet."),
    "packed": (gzip.compress(CSV.encode()), "The file is compressed or a spreadsheet."),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_names_the_place(name):
    data, sentence = UNREADABLE[name]
    with pytest.raises(ImportInvalid) as fault:
        read_films(data)
    assert fault.value.detail.startswith(sentence)


HUGE = {
    "too large": (b" " * (MAX_BYTES + 1), "The file is larger than 8 MB."),
    "objects": (b"[" + b"{}," * (MAX_BYTES // 3 - 1) + b"{}]", "The file has more than 5000 films."),
    "a film of lists": (b"[[" + b"[]," * (MAX_BYTES // 3 - 2) + b"[]]]", "Film 1 is too long."),
    "one word": (b'[{"title": "' + b"x" * (MAX_BYTES - 20) + b'"}]', "Film 1 is too long."),
    "deep": (b"[" * MAX_BYTES, "Film 1 is not valid JSON"),
    "rows": (b"title\n" + b"A\n" * (MAX_BYTES // 2 - 3), "The file has more than 5000 films."),
    "cells": (b"title\n" + b"," * (MAX_BYTES - 6), "Line 2 is too long"),
    "columns": (b"title" + b"," * (MAX_BYTES - 5), "Line 1 is too long"),
    "a quote without an end": (b'title\n"' + b"A\n" * (MAX_BYTES // 2 - 4), "Line 2 is too long"),
    "empty lines": (b"title\n" + b"\n" * (MAX_BYTES - 6), "The file has more than 100000 lines."),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_file_is_refused_before_it_fills_the_memory(name):
    data, sentence = HUGE[name]
    tracemalloc.start()
    with pytest.raises(ImportInvalid) as fault:
        read_films(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fault.value.detail.startswith(sentence)
    assert peak < 8 * MAX_BYTES


def test_as_many_and_as_long_films_as_allowed_are_read():
    assert len(read_films(json.dumps([{}] * MAX_FILMS).encode()).rows) == MAX_FILMS
    longest = json.dumps({"title": "x" * (MAX_ROW - 13)})
    assert len(longest) == MAX_ROW
    assert read_films(f"[{longest}, {longest}]".encode()).rows[1] == ("Film 2", longest)


NO_FILMS = [
    ("x", "Film 1: this is no film."),
    ({}, "Film 1: title: Field required"),
    (FILM | {"runtime_minutes": "long"}, "Film 1: runtime_minutes: Input should be a valid integer"),
    (FILM | {"runtime_minutes": 10**30}, "Film 1: runtime_minutes: "),
    (FILM | {"title": "\ud800"}, "Film 1: title: "),
    (FILM | {"title": " \u200b"}, "Film 1: title: String should have at least 1 character"),
    (FILM | {"genres": ["!?"]}, "Film 1: genres: '!?' is not the name of a genre."),
    (FILM | {"genres": "Drama"}, "Film 1: Input should be a valid list"),
    (FILM | {"id": "../x"}, "Film 1: String should match pattern"),
    (FILM | {"director": "Murnau"}, "Film 1: there is no field director."),
    (FILM | {"trailer_url": "javascript:alert(1)"}, "Film 1: trailer_url: "),
    (FILM | {"external_ids": {"imdb": {"$gt": ""}}}, "Film 1: external_ids.imdb: Input should be a valid string"),
]


@pytest.mark.parametrize(("row", "sentence"), NO_FILMS, ids=str)
def test_an_invalid_row_has_a_reason(row, sentence):
    with pytest.raises(FilmInvalid) as fault:
        offers(json.dumps([row]))
    assert str(fault.value).startswith(sentence)


def test_genres_names_become_codes():
    assert [genre_code(name) for name in ("Science Fiction", " Drama ", "Film-Noir", "Comédie")] == [
        "science-fiction", "drama", "film-noir", "comedie",
    ]  # fmt: skip


class TestNews:
    film = {"title": "Edited", "synopsis": "", "certificate": "PG", "external_ids": {"imdb": "tt1"}}

    def test_the_first_import_fills_only_empty_fields(self):
        said = {"title": "Original", "synopsis": "About.", "certificate": "15"}
        assert changed_fields(said, None, self.film) == {"synopsis": "About."}

    def test_later_imports_change_only_what_the_provider_has_changed(self):
        before = {"title": "Original", "certificate": "15"}
        assert changed_fields({"title": "Original", "certificate": "18"}, before, self.film) == {"certificate": "18"}

    def test_external_ids_are_added_to_the_known_ones(self):
        assert changed_fields({"external_ids": {"tmdb": "7"}}, None, self.film) == {
            "external_ids": {"imdb": "tt1", "tmdb": "7"}
        }
        assert changed_fields({"external_ids": {"imdb": "tt1"}}, None, self.film) == {}
