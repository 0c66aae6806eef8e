"""A film's rating: exact running totals, although reviews and films are different documents.

A review stores what the film has counted of it (`counted`: stars, and the `rating.revision` of the film). Counting
takes three writes of one document each:

1. the film: new totals and, in the same write, `counting`: the review that they now include,
2. the review: `counted`,
3. the film: `counting` is removed.

A process that finds a film with `counting` finishes steps 2 and 3 first, so a crash in between only causes a delay.
Step 1 is guarded by the revision that was read *before* the review: if another process had counted the review since,
the revision would differ. So each change of a review is counted exactly once, in any order and with repeated events.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from catalog.store.movies import Counting, Figures, Movie
from catalog.store.reviews import Review

_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


async def count_review(review_id: str) -> None:
    """Update the film's rating with the current state of the review."""
    review = await Review.collection().find_one({"_id": review_id}, {"movie_id": 1})
    if review is None:
        return
    movie_id: str = review["movie_id"]
    async with _turns.setdefault(movie_id, asyncio.Lock()):
        await count_in(review_id, movie_id)


async def count_in(review_id: str, movie_id: str) -> None:
    """The same without waiting for other tasks of this process: correct, but concurrent attempts mostly fail."""
    while not await _is_counted(review_id, movie_id):
        pass


async def _is_counted(review_id: str, movie_id: str) -> bool:
    """One step; True when nothing is left to do for the review."""
    movie = await Movie.collection().find_one({"_id": movie_id}, {"rating": 1})
    if movie is None:
        return True
    figures = Figures.model_validate(movie["rating"])
    if figures.counting:
        await _finish(movie_id, figures, figures.counting)
        return False
    review = await Review.collection().find_one({"_id": review_id}, {"stars": 1, "shown": 1, "counted": 1})
    if review is None or (stars := _worth(review)) == review["counted"]["stars"]:
        return True
    after = Figures(
        **figures.after(review["counted"]["stars"], stars).model_dump(),
        revision=figures.revision + 1,
        counting=Counting(review_id=review_id, stars=stars),
    )
    # Not a `commit`: a rating causes no event, and must not conflict with an editor's write.
    await Movie.collection().update_one(
        {"_id": movie_id, "rating.revision": figures.revision, "rating.counting": None},
        {"$set": {"rating": after.model_dump()}},
    )
    return False


async def _finish(movie_id: str, figures: Figures, counting: Counting) -> None:
    counted = {"stars": counting.stars, "revision": figures.revision}
    await Review.collection().update_one(
        {"_id": counting.review_id, "counted.revision": {"$lt": figures.revision}}, {"$set": {"counted": counted}}
    )
    await Movie.collection().update_one(
        {"_id": movie_id, "rating.revision": figures.revision}, {"$set": {"rating.counting": None}}
    )


def _worth(review: Mapping[str, Any]) -> int | None:
    return review["stars"] if review["shown"] else None
