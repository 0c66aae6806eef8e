"""Browsing: films by text and by future showtimes; a film's showtimes by theater."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bson import MinKey
from chassis.mongo.collection import Row

from catalog.model.browse import Daypart, Sort
from catalog.model.movies import Status
from catalog.model.search import KEY_LETTERS, title_pattern
from catalog.store.movies import movies
from catalog.store.reading import page
from catalog.store.showtimes import SCHEDULED, showtimes
from catalog.store.vocabulary import similar_words

MAX_WORDS = 8
ARTICLES = frozenset({"the", "a", "an"})
UNSEEN = ("words", "keys", "imported", "synopsis", "cast", "crew", "subtitles")
"""Fields that lists do not need."""


class Order(NamedTuple):
    """A sort order: the field, its direction, and the index that provides it."""

    by: str
    descending: bool
    walk: str


ORDERS: Mapping[Sort, Order] = {
    "title": Order("sort_title", False, "by_title"),
    "newest": Order("released", True, "by_release"),
    "rating": Order("rating.average", True, "by_rating"),
}


@dataclass(frozen=True)
class ShowtimeFilter:
    """A filter of showtimes; None matches everything."""

    city: str | None = None
    theater_id: str | Sequence[str] | None = None
    local_date: str | None = None
    daypart: Daypart | None = None
    format: str | None = None
    language: str | None = None

    @property
    def is_set(self) -> bool:
        """Whether any filter is set."""
        return any(value is not None for value in vars(self).values())

    def condition(self, now: datetime, days: int | None = None) -> Row:
        """The MongoDB filter of matching future showtimes; without a date, those of the next days."""
        asked: Row = {name: value for name, value in vars(self).items() if value is not None}
        if not isinstance(self.theater_id, str | None):
            asked["theater_id"] = {"$in": list(self.theater_id)}
        # Time zones differ: yesterday and tomorrow are also today somewhere. The start decides.
        within = {"$gte": _day(now, -1)} | ({"$lte": _day(now, days)} if days else {})
        return SCHEDULED | {"local_date": within} | asked | {"starts_at": {"$gte": now}}


def _day(moment: datetime, days: int) -> str:
    return (moment + timedelta(days=days)).date().isoformat()


def in_status(status: Status, now: datetime) -> Row:
    """`model.status_of` as a MongoDB filter. Null is less than any text and any time."""
    unreleased, ahead = {"$gt": now.date().isoformat()}, {"$gt": now}
    dated, planned = {"$gt": ""}, {"$gt": datetime.min}  # noqa: DTZ901 - a bound, not a moment
    announced = {"release_date": {"$not": dated}, "showing_until": {"$not": planned}}
    match status:
        case "coming_soon":
            return {"archived": False, "$or": [{"release_date": unreleased}, announced]}
        case "now_showing":
            return {"archived": False, "release_date": {"$not": unreleased}, "showing_until": ahead}
        case "archived":
            over = {"release_date": {"$not": unreleased}, "showing_until": {"$not": ahead}, "$nor": [announced]}
            return {"$or": [{"archived": True}, over]}


async def movies_showing(wanted: ShowtimeFilter, now: datetime) -> list[str]:
    """Ids of the films with a matching showtime, from an index alone."""
    where, hint = wanted.condition(now), "on_by_day"
    if wanted == ShowtimeFilter(city=wanted.city):
        # MongoDB reads one index entry per film, regardless of the number of showtimes.
        del where["local_date"]
        hint = "of_city"
    elif wanted.theater_id is not None:
        hint = "on_at_theater"
    elif wanted.city is not None:
        hint = "on_in_city"
    stages = [{"$match": where}, {"$group": {"_id": "$movie_id"}}]
    return [movie["_id"] async for movie in showtimes.aggregate(stages, hint=hint)]


async def movies_page(
    where: Mapping[str, Any], sort: Sort, after: tuple[Any, str] | None, limit: int, words: Sequence[str] = ()
) -> list[Row]:
    """Up to `limit` matching films with all the words or prefixes, starting after a position.

    A title is also found without regard to spaces and punctuation. With `relevance` each film has a `place`, see
    `_ranked`. When no film matches, unknown words are treated as typos.
    """
    fits: Row = {"deleted": False, **where}
    sought = await _sought(words[:MAX_WORDS], fits)
    if sought:
        fits = {"$and": [fits, sought.condition]}
    if sought and sort == "relevance":
        return await _ranked(sought, fits, after, limit)
    by, descending, walk = ORDERS[sort]
    # Words are selective: their index finds few films, which are then sorted. Other queries follow the sort index.
    hint = None if sought else "by_genre" if "genres" in where and sort == "title" else walk
    if hint == walk:
        # MongoDB uses an index only when its first field is in the filter.
        fits = {by: {"$gte": MinKey()}, **fits}
    return await page(movies, fits, by=by, after=after, limit=limit, without=UNSEEN, descending=descending, hint=hint)


class _Sought(NamedTuple):
    """The filter for typed words; regular expressions that find each of them, and all as one, in a `sort_title`."""

    condition: Row
    patterns: Sequence[str]
    joined: str


async def _sought(words: Sequence[str], fits: Row) -> _Sought | None:
    if not words:
        return None
    joined = "".join(words)
    if len(joined) == 1:
        return _Sought({"sort_title": {"$regex": f"^{joined}"}}, [joined], joined)
    typed = {"$or": [{"$and": [_begins("words", word) for word in words]}, _begins("keys", joined[:KEY_LETTERS])]}
    spellings = [[word] for word in words]
    if not await movies.exists({"$and": [fits, typed]}):
        spellings = [[word] if await _is_known(word) else await similar_words(word) for word in words]
        typed = {"$and": [_any_begins(each) for each in spellings]}
    patterns = ["|".join(title_pattern(word) for word in each if word not in ARTICLES) for each in spellings]
    return _Sought(typed, [pattern for pattern in patterns if pattern], title_pattern(joined))


def _begins(field: str, word: str) -> Row:
    return {field: {"$regex": f"^{word}"}}


def _any_begins(words: Sequence[str]) -> Row:
    return _begins("words", words[0]) if len(words) == 1 else {"words": {"$in": words}}


async def _is_known(word: str) -> bool:
    return await movies.exists(_begins("words", word) | {"deleted": False})


async def _ranked(sought: _Sought, fits: Row, after: tuple[Any, str] | None, limit: int) -> list[Row]:
    """Sorted by `place` (0: the title begins with the text, 1: the title has all words, 2: people or genres match),
    then by title.
    """
    words = [_in_title(f"(^|[ :])({pattern})") for pattern in sought.patterns or [""]]
    has_all = {"$or": [{"$and": words}, _in_title(f"(^|[ :]){sought.joined}")]}
    rank = {"$cond": [has_all, {"$cond": [_in_title(f"^({'|'.join(sought.patterns)})"), "0", "1"]}, "2"]}
    beyond = [{"$match": {"$expr": {"$gt": [["$place", "$_id"], list(after)]}}}] if after else []
    stages: list[Row] = [
        {"$match": fits},
        {"$project": dict.fromkeys(("outbox", *UNSEEN), 0)},
        {"$set": {"place": {"$concat": [rank, "$sort_title"]}}},
        *beyond,
        {"$sort": {"place": 1, "_id": 1}},
        {"$limit": limit},
    ]
    return [movie async for movie in movies.aggregate(stages)]


def _in_title(pattern: str) -> Row:
    return {"$regexMatch": {"input": "$sort_title", "regex": pattern}}


async def theaters_showing(movie_id: str, wanted: ShowtimeFilter, now: datetime, days: int) -> list[str]:
    """Ids of the theaters that show the film, from an index alone."""
    stages = [{"$match": wanted.condition(now, days) | {"movie_id": movie_id}}, {"$group": {"_id": "$theater_id"}}]
    return [theater["_id"] async for theater in showtimes.aggregate(stages, hint="of_movie")]


async def showtimes_at(
    movie_id: str, theater_ids: Sequence[str], wanted: ShowtimeFilter, now: datetime, days: int
) -> list[Row]:
    """The film's showtimes at these theaters, sorted by theater and start."""
    where = wanted.condition(now, days) | {"movie_id": movie_id, "theater_id": {"$in": list(theater_ids)}}
    without, order = (
        {"outbox": 0, "prices": 0, "refund_policy": 0, "slots": 0},
        [("theater_id", 1), ("starts_at", 1), ("_id", 1)],
    )
    return [showtime async for showtime in showtimes.rows(where, without, sort=order, hint="of_movie")]
