"""Films: their fields, status and readable ids."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from contracts.types import Code, LanguageTag, Name, Shape, clean_text
from pydantic import AfterValidator, BaseModel, Field, HttpUrl, StringConstraints, TypeAdapter, model_validator

from catalog.model.search import folded

Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-f]{6}$")]
Face = Literal["sans", "serif", "condensed", "mono"]
Status = Literal["coming_soon", "now_showing", "archived"]


def iso_date(text: str) -> str:
    """The date itself, `YYYY-MM-DD`. Raises ValueError for an impossible date or one before 1888."""
    if not 1888 <= date.fromisoformat(text).year <= 2200:
        raise ValueError("a film is from 1888 or later")
    return text


def https_url(text: str) -> str:
    """The address itself. Raises ValueError unless it is an https address."""
    if TypeAdapter(HttpUrl).validate_python(text).scheme != "https":
        raise ValueError("the address begins with https://")
    return text


Prose = Annotated[str, StringConstraints(strip_whitespace=True, max_length=5000), AfterValidator(clean_text)]
Day = Annotated[
    str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(iso_date),
    Field(json_schema_extra={"format": "date"}),
]  # fmt: skip
WebAddress = Annotated[str, StringConstraints(max_length=500), AfterValidator(https_url)]
People = Annotated[list[Name], Field(max_length=100)]
Languages = Annotated[list[LanguageTag], Field(max_length=40)]
ExternalIds = dict[Literal["tmdb", "imdb"], Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,20}$")]]


class Art(Shape):
    """The design of a film's poster: a motif of `pictures.motifs`, lettering, and four colors.

    `palette`: background, text, main and accent color.
    """

    motif: str
    palette: tuple[Colour, Colour, Colour, Colour]
    face: Face


class Credit(Shape):
    """A crew member and their role."""

    name: Name
    job: Name


class Film(BaseModel):
    """A film's content, entered by staff or imported.

    `year` and `runtime_minutes` are None while they are not known; without a runtime no showtime can be scheduled.
    `other_titles`, for example in other languages, also find the film. `archived` hides it, regardless of its
    showtimes. `external_ids` are its ids in other catalogs.
    """

    title: Name
    original_title: Name
    other_titles: Annotated[list[Name], Field(max_length=40)] = []
    release_date: Day | None = None
    year: Annotated[int, Field(ge=1888, le=2200)] | None = None
    runtime_minutes: Annotated[int, Field(gt=0, lt=1000)] | None = None
    certificate: Annotated[Name, StringConstraints(max_length=20)]
    genres: Annotated[list[Code], Field(max_length=10)] = []
    original_language: LanguageTag
    languages: Languages = []
    subtitles: Languages = []
    directors: People = []
    cast: People = []
    crew: Annotated[list[Credit], Field(max_length=100)] = []
    synopsis: Prose = ""
    trailer_url: WebAddress | None = None
    external_ids: ExternalIds = {}
    archived: bool = False

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """Fill in the original title and the year of the release when they are missing."""
        if not isinstance(given, dict):
            return given
        known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        filled = {"original_title": known.get("title")}
        if isinstance(released := known.get("release_date"), str) and released[:4].isdigit():
            filled["year"] = int(released[:4])
        return filled | known


CONTENT = frozenset(Film.model_fields)


def status_of(*, release_date: str | None, showing_until: datetime | None, archived: bool, now: datetime) -> Status:
    """Return the status: `coming_soon` before the release date, even if it is on sale, and for a film without a release
    date and showtimes; `now_showing` with future showtimes; otherwise `archived`.
    """
    if archived:
        return "archived"
    if release_date and release_date > now.date().isoformat():
        return "coming_soon"
    if showing_until and showing_until > now:
        return "now_showing"
    return "coming_soon" if not (release_date or showing_until) else "archived"


def slug(title: str, year: int | None) -> str:
    """A readable id, `the-godfather-1972`; `film-2001` for a title in another script."""
    words = "-".join(re.findall(r"[a-z0-9]+", folded(title)))[:50].strip("-")
    return f"{words or 'film'}-{year}" if year else words or "film"
