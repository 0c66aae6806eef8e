"""The pages that visitors open first, as HTML with the data that the web client continues with.

The gateway adds the frame of the web client (server-side includes) and caches the result by address and language. So a
page shows its content before any script has run, also to previews and search engines. `given` has the responses that
the client would request: web/src/app/given.ts.
"""

from datetime import datetime
from itertools import groupby
from typing import Annotated, Any, Literal

import jinja2
from chassis.clock import now
from contracts.types import Id
from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from markupsafe import Markup
from pydantic_core import to_json

from catalog.api.browse import list_movie_showtimes, list_movies
from catalog.api.http import CachedRoute
from catalog.api.movies import get_movie
from catalog.api.pages import words
from catalog.api.showtimes import ShowtimeSummary, get_showtime, list_showtimes
from catalog.api.theaters import get_theater, list_theaters
from catalog.store import ShowtimeFilter

router = APIRouter(
    prefix="/pages", route_class=CachedRoute, include_in_schema=False, default_response_class=HTMLResponse
)
FIRST_FILMS = 12
"""The films that are in the HTML: more than a screen shows."""
MOST_SHOWTIMES = 600
"""As in the web client's `fetchAll`."""
ANY = ShowtimeFilter()
Language = Annotated[Literal["en", "de"], Query()]

_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("catalog.api.pages", "."),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"duration": words.duration, "clock": words.clock, "day": words.day}
_templates.globals |= {"spoken": words.spoken, "price_from": words.price_from}


@router.get("/")
async def films_page(language: Language = "en") -> HTMLResponse:
    """The films now showing."""
    films = await list_movies(ANY, status="now_showing", limit=100)
    return _page("films.html", language, {"films": films}, films=films.items[:FIRST_FILMS])


@router.get("/movies/{movie_id}")
async def film_page(movie_id: Id, language: Language = "en") -> HTMLResponse:
    """A film and its next showtimes."""
    film = await get_movie(movie_id)
    showtimes = await list_movie_showtimes(movie_id, ANY, days=14, limit=20)
    day = min((theater.days[0].local_date for theater in showtimes.items if theater.days), default=None)
    at_first = [
        (theater, theater.days[0].showtimes)
        for theater in showtimes.items
        if theater.days and theater.days[0].local_date == day
    ]
    given = {"film": film, "showtimes": showtimes}
    return _page("film.html", language, given, film=film, first_day=day, theaters=at_first)


@router.get("/theaters")
async def theaters_page(language: Language = "en") -> HTMLResponse:
    """All theaters."""
    theaters = await list_theaters(limit=100)
    return _page("theaters.html", language, {"theaters": theaters}, theaters=theaters.items)


@router.get("/theaters/{theater_id}")
async def theater_page(theater_id: Id, language: Language = "en") -> HTMLResponse:
    """A theater and its next showtimes."""
    theater = await get_theater(theater_id)
    films = await list_movies(ShowtimeFilter(theater_id=theater_id), limit=100)
    showtimes = await _showtimes_at(theater_id)
    listed = sorted(
        (each for each in showtimes if each.state == "scheduled"), key=lambda each: (each.local_date, each.starts_at)
    )
    day = listed[0].local_date if listed else None
    of_day = [each for each in listed if each.local_date == day]
    posters = {film.id: film.poster_url for film in films.items}
    order = {each.movie_id: place for place, each in reversed(list(enumerate(of_day)))}
    by_film = sorted(of_day, key=lambda each: (order[each.movie_id], each.starts_at))
    at_first = [(movie_id, list(group)) for movie_id, group in groupby(by_film, key=lambda each: each.movie_id)]
    given = {"theater": theater, "films_there": films, "showtimes_there": showtimes}
    return _page("theater.html", language, given, theater=theater, first_day=day, films=at_first, posters=posters)


@router.get("/showtimes/{showtime_id}")
async def showtime_page(showtime_id: Id, language: Language = "en") -> HTMLResponse:
    """What a showtime's seats are sold for."""
    showtime = await get_showtime(showtime_id)
    when = words.day_and_time(showtime.starts_at, showtime.time_zone, language)
    return _page("showtime.html", language, {"showtime": showtime}, showtime=showtime, when=when)


async def _showtimes_at(theater_id: str) -> list[ShowtimeSummary]:
    moment = now()
    found: list[ShowtimeSummary] = []
    cursor = None
    while len(found) < MOST_SHOWTIMES:
        page = await list_showtimes(theater_id=theater_id, starts_from=moment, cursor=cursor, limit=100)
        found += page.items
        if not (cursor := page.next_cursor):
            break
    return found


def _page(template: str, language: str, given: dict[str, Any], **values: Any) -> HTMLResponse:
    shown = _templates.get_template(template).render(
        t=words.TEXTS[language], language=language, given=_given(given, now()), **values
    )
    return HTMLResponse(shown)


def _given(given: dict[str, Any], at: datetime) -> Markup:
    """The responses as JSON that cannot end the element that contains it."""
    return Markup(to_json({"at": at, **given}).decode().replace("<", "\\u003c"))  # noqa: S704 - has no markup left
