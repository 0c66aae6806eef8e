"""Browsing: films by text and by future showtimes; a film's showtimes by theater."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from bson import MinKey
from chassis.mongo.collection import Row

from catalog.model.browse import Daypart, Sort
from catalog.model.movies import Status
from catalog.store.movies import movies
from catalog.store.reading import page
from catalog.store.showtimes import SCHEDULED, showtimes
from catalog.store.vocabulary import similar_words

MAX_WORDS = 8
ARTICLES = frozenset({"the", "a", "an"})
UNSEEN = ("words", "imported", "synopsis", "cast", "crew", "subtitles")
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

    With `relevance` each has a `place`, see `_ranked`. When no film has all the words, unknown words are treated as
    typos.
    """
    fits: Row = {"deleted": False, **where}
    terms = await _terms(words[:MAX_WORDS], fits)
    if terms:
        fits = {"$and": [fits, *(term.condition for term in terms)]}
    if sort == "relevance":
        return await _ranked([term.pattern for term in terms], fits, after, limit)
    by, descending, walk = ORDERS[sort]
    # Words are selective: their index finds few films, which are then sorted. Other queries follow the sort index.
    hint = None if terms else "by_genre" if "genres" in where and sort == "title" else walk
    if hint == walk:
        # MongoDB uses an index only when its first field is in the filter.
        fits = {by: {"$gte": MinKey()}, **fits}
    return await page(movies, fits, by=by, after=after, limit=limit, without=UNSEEN, descending=descending, hint=hint)


class _Term(NamedTuple):
    """The filter for a typed word, and a regular expression that finds it in a title."""

    condition: Row
    pattern: str


async def _terms(words: Sequence[str], fits: Row) -> list[_Term]:
    if len("".join(words)) == 1:
        letter = re.escape(words[0])
        return [_Term({"sort_title": {"$regex": f"^{letter}"}}, letter)]
    spelled = [_spelled(word) for word in words]
    wanted = {"$and": [fits, *(term.condition for term in spelled)]}
    if not words or await movies.exists(wanted):
        return spelled
    return [await _meant(term, word) for term, word in zip(spelled, words, strict=True)]


def _spelled(word: str) -> _Term:
    return _Term({"words": {"$regex": f"^{re.escape(word)}"}}, "" if word in ARTICLES else re.escape(word))


async def _meant(spelled: _Term, word: str) -> _Term:
    if await movies.exists(spelled.condition | {"deleted": False}):
        return spelled
    meant = await similar_words(word)
    return _Term({"words": {"$in": meant}}, "|".join(map(re.escape, meant)))


async def _ranked(patterns: Sequence[str], fits: Row, after: tuple[Any, str] | None, limit: int) -> list[Row]:
    """Sorted by `place` (0: the title begins with the text, 1: the title has all words, 2: people or genres match),
    then by title.
    """
    sought = [pattern for pattern in patterns if pattern] or [""]
    in_title = [{"$regexMatch": {"input": "$sort_title", "regex": f"(^|[ :])({pattern})"}} for pattern in sought]
    begins = {"$regexMatch": {"input": "$sort_title", "regex": f"^({'|'.join(sought)})"}}
    rank = {"$cond": [{"$and": in_title}, {"$cond": [begins, "0", "1"]}, "2"]}
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


async def theaters_showing(movie_id: str, wanted: ShowtimeFilter, now: datetime, days: int) -> list[str]:
    """Ids of the theaters that show the film, from an index alone."""
    stages = [{"$match": wanted.condition(now, days) | {"movie_id": movie_id}}, {"$group": {"_id": "$theater_id"}}]
    return [theater["_id"] async for theater in showtimes.aggregate(stages, hint="of_movie")]


async def showtimes_at(
    movie_id: str, theater_ids: Sequence[str], wanted: ShowtimeFilter, now: datetime, days: int
) -> list[Row]:
    """The film's showtimes at these theaters, sorted by theater and start."""
    where = wanted.condition(now, days) | {"movie_id": movie_id, "theater_id": {"$in": list(theater_ids)}}
    without, order = {"outbox": 0, "prices": 0, "slots": 0}, [("theater_id", 1), ("starts_at", 1), ("_id", 1)]
    return [showtime async for showtime in showtimes.rows(where, without, sort=order, hint="of_movie")]
