"""What visitors look for: films, their showtimes, genres. Nobody needs to sign in."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any

from chassis.clock import now
from chassis.paging import Page
from contracts.types import Code, Id
from fastapi import APIRouter, Query

from catalog import store
from catalog.api.http import BY_TEXT, NOT_FOUND, CachedRoute, Cursor, Day, Limit, document_of, page_of, position
from catalog.api.movies import MovieCard, shown
from catalog.api.showtimes import ShowtimeCard, showtimes_page
from catalog.model import words_of
from catalog.store import Movie

router = APIRouter(prefix="/api", tags=["catalog"], route_class=CachedRoute)


@router.get("/movies")
async def list_movies(
    q: Annotated[str, Query(max_length=100, description="Words, or their beginnings, of title or people")] = "",
    genre: Code | None = None,
    now_showing: bool = False,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[MovieCard]:
    """Films by title."""
    conditions: list[dict[str, Any]] = [{"words": {"$regex": f"^{re.escape(word)}"}} for word in words_of(q)[:8]]
    if genre:
        conditions.append({"genres": genre})
    if now_showing:
        conditions.append({"showing_until": {"$gt": now()}})
    where = {"$and": conditions} if conditions else {}
    after = position(cursor, BY_TEXT)
    found = await store.page(Movie, where, by="sort_title", after=after, limit=limit + 1)
    return page_of(found, limit, lambda last: last["sort_title"], lambda movie: MovieCard.model_validate(shown(movie)))


@router.get("/movies/{movie_id}/showtimes", responses=NOT_FOUND)
async def list_movie_showtimes(
    movie_id: Id,
    date: Annotated[Day | None, Query(description="A day at the theater; without it, all from now on")] = None,
    theater_id: Id | None = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> Page[ShowtimeCard]:
    """A film's showtimes by start."""
    await document_of(Movie, movie_id)
    where: dict[str, Any] = {"movie_id": movie_id, **({"theater_id": theater_id} if theater_id else {})}
    if date:
        # A local day lies within these bounds in every time zone (UTC+14 to UTC-12); they make use of the index.
        midnight = datetime.combine(date, time(), UTC)
        within = {"$gte": midnight - timedelta(hours=14), "$lt": midnight + timedelta(hours=36)}
        where |= {"local_date": date.isoformat(), "starts_at": within}
    else:
        where["starts_at"] = {"$gte": now()}
    return await showtimes_page(where, cursor, limit)
