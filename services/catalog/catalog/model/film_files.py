"""Files of films, JSON or CSV, as people and spreadsheets write them.

JSON is a list of objects with the fields of a film (`model.movies.Film`), genres by their names, and perhaps an `id`.
CSV has these fields as columns; several values in a cell are separated by `;` or `|`, and the columns `tmdb` and `imdb`
are the film's ids there. An empty cell is ignored. docs/runbooks/import-films.md describes both for staff.

Films are counted and measured while they are read, so that a hostile file cannot fill the memory.
"""

import csv
import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import takewhile
from typing import Any, NamedTuple, NoReturn

from contracts.types import Id
from pydantic import TypeAdapter, ValidationError

from catalog.model.imports import MAX_FILMS, FilmInvalid, ProviderFilm, faults_of, parse_film
from catalog.model.movies import Film
from catalog.model.problems import ImportInvalid

MAX_BYTES, MAX_LINES, MAX_ROW = 8_388_608, 100_000, 100_000
"""The maximum size of a file, the number of lines of CSV, and the length of a film in characters."""
LISTS = {"other_titles": ";|", "directors": ";|", "cast": ";|", "genres": ";|,", "languages": ";|,", "subtitles": ";|,"}
"""The fields with several values, and what separates them in a cell. Names of people contain commas."""
COLUMNS = frozenset(Film.model_fields) - {"crew", "external_ids"} | {"id", "tmdb", "imdb"}
DELIMITERS = (",", ";", "\t")
COMPRESSED = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf")
"""How zip files (also those of spreadsheets), gzip, bzip2, xz, zstd and 7z begin."""
_CUT = 12
"""How near to the end of a cut text a JSON error is when the cut causes it: the length of an escaped surrogate pair."""
_movie_id, _names = TypeAdapter(Id), TypeAdapter(list[str])
FACTS = frozenset({"runtime_minutes", "release_date", "year"})
_unknown = re.compile(r"[\s0.:/-]*|null|none|nan|n/a|\\N|\?|unknown", re.IGNORECASE)
_space = re.compile(r"[ \t\r\n]*")
Row = tuple[str, str]
"""The place of a film in the file, and its fields as JSON."""


class FilmFile(NamedTuple):
    """The films of a file, and how it was read: its encoding, and the delimiter of CSV."""

    rows: list[Row]
    read_as: dict[str, str]


def read_films(data: bytes) -> FilmFile:
    """Read a file of films. Raises ImportInvalid with the place of a fault."""
    if len(data) > MAX_BYTES:
        raise ImportInvalid(f"The file is larger than {MAX_BYTES // 2**20} MB.")
    if data.startswith(COMPRESSED):
        raise ImportInvalid("The file is compressed or a spreadsheet. Export it as CSV (UTF-8).")
    text, read_as = _decoded(data)
    if not text.strip():
        raise ImportInvalid("The file is empty.")
    if text.lstrip()[:1] in {"[", "{"}:
        films = _json(text)
    else:
        first, delimiter = _header(text)
        read_as |= {"delimiter": delimiter}
        films = _csv(text, first, delimiter)
    rows: list[Row] = []
    for row in films:
        if len(rows) == MAX_FILMS:
            raise ImportInvalid(f"The file has more than {MAX_FILMS} films.")
        rows.append(row)
    if not rows:
        raise ImportInvalid("The file contains no films.")
    return FilmFile(rows, read_as)


def _decoded(data: bytes) -> tuple[str, dict[str, str]]:
    """The text: UTF-8, UTF-16, or else the usual encoding of Windows."""
    encoding = "utf-8"
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encoding = "utf-16"
    elif len(data) > 1 and 0 in data[:2]:  # the first character is ASCII: RFC 4627, 3
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        return data.decode(encoding).removeprefix("\ufeff"), {"encoding": encoding}
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ImportInvalid(f"The file is not {encoding.upper()}: byte {error.start + 1}.") from error
    try:
        return data.decode("cp1252"), {"encoding": "windows-1252"}
    except UnicodeDecodeError as error:
        raise ImportInvalid(f"The file is neither UTF-8 nor Windows-1252: byte {error.start + 1}.") from error


def _json(text: str) -> Iterator[Row]:
    """The films of a JSON list, parsed one by one."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at = _after_space(text, 0)
    if text[at] != "[":
        raise ImportInvalid("The file is not a list of films.")
    at = _after_space(text, at + 1)
    number, is_end = 0, text[at : at + 1] == "]"
    while not is_end:
        number += 1
        part = text[at : at + MAX_ROW]
        try:
            _, length = decoder.raw_decode(part)
        except json.JSONDecodeError as error:
            is_cut = len(part) == MAX_ROW and (error.pos > MAX_ROW - _CUT or error.msg.startswith("Unterminated"))
            if is_cut:
                raise ImportInvalid(f"Film {number} is too long.") from error
            raise _fault(text, at + error.pos, error.msg) from error
        except (ValueError, RecursionError) as error:
            raise ImportInvalid(f"Film {number} is not valid JSON: {error}.") from error
        yield f"Film {number}", part[:length]
        at = _after_space(text, at + length)
        is_end = text[at : at + 1] == "]"
        if not is_end:
            if text[at : at + 1] != ",":
                raise _fault(text, at, "Expecting ',' delimiter")
            at = _after_space(text, at + 1)
    if (end := _after_space(text, at + 1)) < len(text):
        raise _fault(text, end, "Extra data")


def _after_space(text: str, at: int) -> int:
    found = _space.match(text, at)
    return found.end() if found else at


def _fault(text: str, at: int, what: str) -> ImportInvalid:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return ImportInvalid(f"Line {line}, column {column}: {what}.")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


class _Lines:
    """The lines of a CSV file. Counts them, and the characters of the current row."""

    def __init__(self, text: str) -> None:
        self._lines = StringIO(text, newline="")
        self.number, self.first, self._length = 0, 1, 0

    def begin_row(self) -> None:
        """The next line begins a row."""
        self.first, self._length = self.number + 1, 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if self.number > MAX_LINES:
            raise ImportInvalid(f"The file has more than {MAX_LINES} lines.")
        self._length += len(line)
        if self._length > MAX_ROW:
            raise ImportInvalid(f"Line {self.first} is too long, or a quote in it does not end.")
        return line


def _header(text: str) -> tuple[int, str]:
    """The number of lines before the header, and the delimiter.

    Spreadsheets may write `sep=;` above the header.
    """
    skipped = sum(1 for _ in takewhile(lambda line: not line.strip(), StringIO(text, newline="")))
    line = next(iter(StringIO(text.lstrip(), newline="")))
    if stated := re.fullmatch(r"sep=(.)\s*", line, re.IGNORECASE):
        return skipped + 1, stated[1]
    return skipped, max(DELIMITERS, key=line.count)


def _csv(text: str, skipped: int, delimiter: str) -> Iterator[Row]:
    lines = _Lines(text)
    for _ in range(skipped):
        next(lines)
    columns: list[str] = []
    try:
        lines.begin_row()
        for cells in csv.reader(lines, delimiter=delimiter, strict=True):
            if not columns:
                columns = _columns(cells, lines.first)
            elif any(cell.strip() for cell in cells):
                yield f"Line {lines.first}", json.dumps(_fields(columns, cells, lines.first))
            lines.begin_row()
    except csv.Error as error:
        raise ImportInvalid(f"Line {lines.first}: {error}.") from error


def _columns(cells: Iterable[str], line: int) -> list[str]:
    """The fields that the header names; empty columns after them are ignored."""
    columns = [re.sub(r"\W+", "_", cell.strip().casefold()) for cell in cells]
    while columns and not columns[-1]:
        columns.pop()
    if unknown := sorted(set(columns) - COLUMNS):
        raise ImportInvalid(
            f"Line {line}: there is no column {', '.join(each or '(empty)' for each in unknown)[:200]}."
        )
    if len(set(columns)) < len(columns) or "title" not in columns:
        raise ImportInvalid(f"Line {line}: there is a column twice, or none for the title.")
    return columns


def _fields(columns: list[str], cells: list[str], line: int) -> dict[str, Any]:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise ImportInvalid(f"Line {line}: there are more cells than columns.")
    known: dict[str, Any] = {}
    for name, cell in zip(columns, cells, strict=False):
        if separators := LISTS.get(name):
            parts = [part.strip() for part in re.split(f"[{separators}]", cell)]
            known |= {name: [part for part in parts if part]} if any(parts) else {}
        elif value := cell.strip():
            known[name] = value
    elsewhere = {name: known.pop(name) for name in ("tmdb", "imdb") if name in known}
    return known | ({"external_ids": elsewhere} if elsewhere else {})


def _is_unknown(name: str, value: Any) -> bool:
    """Whether a film database means by this value that it does not know the fact."""
    return value in (None, "") or (name in FACTS and _unknown.fullmatch(str(value)) is not None)


def film_of_row(place: str, row: str) -> ProviderFilm:
    """The film of a row. Raises FilmInvalid with the place."""
    try:
        return _film_of(json.loads(row))
    except ValidationError as error:
        raise FilmInvalid(f"{place}: {faults_of(error)}") from error
    except FilmInvalid as error:
        raise FilmInvalid(f"{place}: {error}") from error


def _film_of(fields: Any) -> ProviderFilm:
    if not isinstance(fields, dict):
        raise FilmInvalid("this is no film.")
    fields = {name: value for name, value in fields.items() if not _is_unknown(name, value)}
    movie_id = _movie_id.validate_python(fields.pop("id")) if "id" in fields else None
    genres = _names.validate_python(fields.pop("genres", None) or [])
    if unknown := sorted(fields.keys() - Film.model_fields.keys()):
        raise FilmInvalid(f"there is no field {', '.join(unknown)[:200]}.")
    return parse_film(fields, genres, movie_id)
