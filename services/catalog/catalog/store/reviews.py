"""Reviews: one per person and film, and the writes that change them."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from chassis.clock import now
from chassis.mongo.collection import Collection, Row
from chassis.mongo.outbox import Aggregate
from contracts.catalog import ReviewChanged
from contracts.types import Moment, Shape
from pymongo import IndexModel

from catalog.model.problems import NotFound, ReviewExists
from catalog.model.reviews import MAX_REPORTS, Complaint, ReviewText
from catalog.store.reading import page

NOBODY = "deleted-person"
"""The author of reviews and reports of a deleted person."""


class Counted(Shape):
    """What the film's rating includes of the review (`store.ratings`)."""

    stars: int | None = None
    revision: int = -1


class Report(Shape):
    """A complaint about a review."""

    user_id: str
    complaint: Complaint
    note: str
    at: Moment


class Verdict(Shape):
    """A moderator's last decision, with the reason."""

    hidden: bool
    reason: str
    by: str
    at: Moment


class Review(Aggregate, ReviewText):
    """A review. `shown` is `not (hidden or deleted)`, one field for the indexes. A deleted review has no text but
    stays hidden if it was hidden, so that writing it again does not bypass a moderator.
    """

    movie_id: str
    user_id: str
    byline: str
    written_at: Moment
    edited_at: Moment | None = None
    shown: bool = True
    hidden: bool = False
    deleted: bool = False
    counted: Counted = Counted()
    reports: list[Report] = []
    open_reports: int = 0
    verdict: Verdict | None = None

    class Settings:
        name = "reviews"
        indexes = [
            IndexModel([("movie_id", 1), ("user_id", 1)], unique=True),
            IndexModel([("movie_id", 1), ("shown", 1), ("written_at", -1), ("_id", -1)]),
            IndexModel([("movie_id", 1), ("shown", 1), ("stars", -1), ("_id", -1)]),
            IndexModel([("user_id", 1), ("written_at", -1), ("_id", -1)]),
            IndexModel(
                [("open_reports", -1), ("_id", -1)],
                partialFilterExpression={"open_reports": {"$gt": 0}},
            ),
            IndexModel("reports.user_id", sparse=True),
        ]


reviews = Collection(Review)
_OPEN, _ENDED = {"deleted": False}, {"deleted": True, "shown": False, "headline": None, "text": "", "byline": ""}


async def write_review(movie_id: str, user_id: str, byline: str, text: ReviewText) -> Review:
    """Store a person's review of a film, possibly in place of a deleted one. Raises ReviewExists."""
    fresh = text.model_dump() | {"byline": byline, "written_at": now(), "edited_at": None, "deleted": False}
    review = Review(movie_id=movie_id, user_id=user_id, **fresh)
    if await add_review(review):
        return review
    gone = await reviews.find_one({"movie_id": movie_id, "user_id": user_id})
    if gone and (again := await _change(gone, {"deleted": True}, fresh | {"shown": not gone.hidden})):
        return again
    raise ReviewExists


async def add_review(review: Review) -> bool:
    """Insert a given review with its event; False when it already exists."""
    return await reviews.insert(review, events=[_changed(review)])


async def edit_review(review_id: str, user_id: str, text: ReviewText) -> Review:
    """Change the person's own review. Raises NotFound."""
    review = await live_review(review_id)
    own = _OPEN | {"user_id": user_id}
    if edited := await _change(review, own, text.model_dump() | {"edited_at": now()}):
        return edited
    raise NotFound(f"There is no review {review_id} of yours.")


async def delete_review(review_id: str, user_id: str | None) -> None:
    """Delete a review; without `user_id`, any person's. Raises NotFound."""
    review = await live_review(review_id)
    own = _OPEN | ({"user_id": user_id} if user_id else {})
    if not await _change(review, own, _ENDED | {"open_reports": 0}):
        raise NotFound(f"There is no review {review_id} of yours.")


async def review_of(movie_id: str, user_id: str) -> Review | None:
    """A person's review of a film, shown or hidden."""
    return await reviews.find_one({"movie_id": movie_id, "user_id": user_id, **_OPEN})


async def live_review(review_id: str) -> Review:
    """A review, shown or hidden. Raises NotFound."""
    if review := await reviews.find_one({"_id": review_id, **_OPEN}):
        return review
    raise NotFound(f"There is no review {review_id}.")


async def report_review(review_id: str, user_id: str, complaint: Complaint, note: str) -> None:
    """Record a complaint; repeating it changes nothing. Raises NotFound."""
    entry = Report(user_id=user_id, complaint=complaint, note=note, at=now()).model_dump()
    new = {"reports.user_id": {"$ne": user_id}, f"reports.{MAX_REPORTS - 1}": {"$exists": False}}
    change = {"$push": {"reports": entry}, "$inc": {"open_reports": 1}}
    if not await reviews.update({"_id": review_id, "shown": True, **new}, change):
        await live_review(review_id)


async def judge_review(review_id: str, *, hidden: bool, reason: str, by: str) -> Review:
    """Hide a review or show it again, and close its reports. Raises NotFound."""
    review = await live_review(review_id)
    verdict = Verdict(hidden=hidden, reason=reason, by=by, at=now()).model_dump()
    fields = {"hidden": hidden, "shown": not hidden, "verdict": verdict, "open_reports": 0}
    if judged := await _change(review, _OPEN, fields):
        return judged
    raise NotFound(f"There is no review {review_id}.")


async def erase_reviews(user_id: str) -> None:
    """Delete a person's reviews and anonymize their reports."""
    async for review in reviews.find({"user_id": user_id}):
        await _change(review, {}, _ENDED | {"user_id": f"{NOBODY}-{review.id}"})
    is_own = {"$eq": ["$$report.user_id", {"$literal": user_id}]}
    anonymous = {"$cond": [is_own, {"$mergeObjects": ["$$report", {"user_id": NOBODY}]}, "$$report"]}
    reports = {"$map": {"input": "$reports", "as": "report", "in": anonymous}}
    await reviews.update_many({"reports.user_id": user_id}, [{"$set": {"reports": reports}}])


_EXPORTED = ("movie_id", "stars", "headline", "text", "byline", "written_at", "edited_at", "hidden", "verdict")


async def reviews_of(user_id: str) -> AsyncIterator[Row]:
    """The person's reviews, without the moderators' ids."""
    async for review in reviews.find({"user_id": user_id, **_OPEN}, sort=[("written_at", 1), ("_id", 1)]):
        yield {"review_id": review.id} | review.model_dump(include=set(_EXPORTED), exclude={"verdict": {"by"}})


async def complaints_of(user_id: str) -> AsyncIterator[Row]:
    """The person's reports about other reviews."""
    async for review in reviews.find({"reports.user_id": user_id}, sort=[("_id", 1)]):
        for report in review.reports:
            if report.user_id == user_id:
                yield {"review_id": review.id} | report.model_dump()


async def reviews_page(
    where: Mapping[str, Any], *, by: str, after: tuple[Any, str] | None, limit: int, descending: bool = True
) -> list[Row]:
    """Up to `limit` reviews in the order of `by` and id, starting after that position."""
    return await page(reviews, where, by=by, after=after, limit=limit, descending=descending)


def _changed(review: Review) -> ReviewChanged:
    return ReviewChanged(review_id=review.id, movie_id=review.movie_id)


async def _change(review: Review, guard: Mapping[str, Any], fields: Mapping[str, Any]) -> Review | None:
    return await reviews.update_and_get({"_id": review.id, **guard}, {"$set": fields}, events=[_changed(review)])
