"""Files of films, JSON or CSV.

JSON is a list of objects with the fields of a film (`model.movies.Film`), genres by their names, and perhaps an `id`.
CSV has these fields as columns; several values in a cell are separated by `;`, and the columns `tmdb` and `imdb` are
the film's ids there. An empty cell is ignored.
"""

import csv
import json
from io import StringIO
from typing import Any, NoReturn

from contracts.types import Id, Name
from pydantic import TypeAdapter, ValidationError

from catalog.model.imports import MAX_FILMS, FilmInvalid, ProviderFilm, faults_of, parse_film
from catalog.model.movies import Film
from catalog.model.problems import ImportInvalid

MAX_ROW = 100_000
LISTS = frozenset({"genres", "languages", "subtitles", "directors", "cast"})
COLUMNS = frozenset(Film.model_fields) - {"crew", "external_ids"} | {"id", "tmdb", "imdb"}
_movie_id, _names = TypeAdapter(Id), TypeAdapter(list[Name])


def read_films(data: bytes) -> list[tuple[str, str]]:
    """Place and content of each film of a file, the content as JSON. Raises ImportInvalid with the place of a fault."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImportInvalid(f"The file is not UTF-8: byte {error.start + 1}.") from error
    if not text.strip():
        raise ImportInvalid("The file is empty.")
    rows = _json(text) if text.lstrip()[:1] in {"[", "{"} else _csv(text)
    if not rows:
        raise ImportInvalid("The file contains no films.")
    if len(rows) > MAX_FILMS:
        raise ImportInvalid(f"The file has {len(rows)} films; {MAX_FILMS} are allowed.")
    for place, row in rows:
        if len(row) > MAX_ROW:
            raise ImportInvalid(f"{place} is too long.")
    return rows


def _json(text: str) -> list[tuple[str, str]]:
    try:
        films = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ImportInvalid(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from error
    except (ValueError, RecursionError) as error:
        raise ImportInvalid(f"The file is not valid JSON: {error}.") from error
    if not isinstance(films, list):
        raise ImportInvalid("The file is not a list of films.")
    return [(f"Film {number}", json.dumps(film)) for number, film in enumerate(films, 1)]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _csv(text: str) -> list[tuple[str, str]]:
    lines = csv.DictReader(StringIO(text), strict=True)
    try:
        columns = [str(name).strip() for name in lines.fieldnames or []]
        lines.fieldnames = columns
        if unknown := sorted(set(columns) - COLUMNS):
            raise ImportInvalid(f"Line 1: there is no column {', '.join(unknown)[:200]}.")
        if len(set(columns)) < len(columns) or "title" not in columns:
            raise ImportInvalid("Line 1: there is a column twice, or none for the title.")
        return [(f"Line {lines.line_num}", json.dumps(_cells(row, lines.line_num))) for row in lines]
    except csv.Error as error:
        raise ImportInvalid(f"After line {lines.line_num}: {error}.") from error


def _cells(row: dict[str, Any], line: int) -> dict[str, Any]:
    if None in row:
        raise ImportInvalid(f"Line {line}: there are more cells than columns.")
    said: dict[str, Any] = {name: cell.strip() for name, cell in row.items() if cell and cell.strip()}
    for name in LISTS & said.keys():
        said[name] = [part.strip() for part in said[name].split(";") if part.strip()]
    elsewhere = {name: said.pop(name) for name in ("tmdb", "imdb") if name in said}
    return said | ({"external_ids": elsewhere} if elsewhere else {})


def film_of_row(place: str, row: str) -> ProviderFilm:
    """The film of a row. Raises FilmInvalid with the place."""
    fields = json.loads(row)
    if not isinstance(fields, dict):
        raise FilmInvalid(f"{place}: this is no film.")
    try:
        movie_id = _movie_id.validate_python(fields.pop("id")) if "id" in fields else None
        genres = _names.validate_python(fields.pop("genres", []))
        if unknown := sorted(fields.keys() - Film.model_fields.keys()):
            raise FilmInvalid(f"{place}: there is no field {', '.join(unknown)[:200]}.")
        return parse_film(fields, genres, movie_id)
    except ValidationError as error:
        raise FilmInvalid(f"{place}: {faults_of(error)}") from error
