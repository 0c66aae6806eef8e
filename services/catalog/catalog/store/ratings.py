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
from collections.abc import MutableMapping

from catalog.store.movies import Counting, Figures, movies
from catalog.store.reviews import reviews


async def count_review(review_id: str, turns: MutableMapping[str, asyncio.Lock]) -> None:
    """Update the film's rating with the current state of the review.

    Tasks of this process take turns by film (`turns`): concurrent attempts would be correct, but mostly fail.
    """
    review = await reviews.row({"_id": review_id}, ["movie_id"])
    if review is None:
        return
    movie_id: str = review["movie_id"]
    async with turns.setdefault(movie_id, asyncio.Lock()):
        await count_in(review_id, movie_id)


async def count_in(review_id: str, movie_id: str) -> None:
    """The same without taking turns."""
    while not await _is_counted(review_id, movie_id):
        pass


async def _is_counted(review_id: str, movie_id: str) -> bool:
    """One step; True when nothing is left to do for the review."""
    movie = await movies.row({"_id": movie_id}, ["rating"])
    if movie is None:
        return True
    figures = Figures.model_validate(movie["rating"])
    if figures.counting:
        await _finish(movie_id, figures, figures.counting)
        return False
    review = await reviews.row({"_id": review_id}, ("stars", "shown", "counted"))
    if review is None:
        return True
    stars = review["stars"] if review["shown"] else None
    if stars == review["counted"]["stars"]:
        return True
    after = Figures(
        **figures.after(review["counted"]["stars"], stars).model_dump(),
        revision=figures.revision + 1,
        counting=Counting(review_id=review_id, stars=stars),
    )
    # Without a new version of the film: a rating must not conflict with an editor's write.
    await movies.update(
        {"_id": movie_id, "rating.revision": figures.revision, "rating.counting": None},
        {"$set": {"rating": after.model_dump()}},
        bump=False,
    )
    return False


async def _finish(movie_id: str, figures: Figures, counting: Counting) -> None:
    counted = {"stars": counting.stars, "revision": figures.revision}
    newer = {"_id": counting.review_id, "counted.revision": {"$lt": figures.revision}}
    await reviews.update(newer, {"$set": {"counted": counted}}, bump=False)
    same = {"_id": movie_id, "rating.revision": figures.revision}
    await movies.update(same, {"$set": {"rating.counting": None}}, bump=False)
