"""Reviews: written by those who were there, read by all, watched over by moderators."""

from typing import Annotated, Literal

from chassis.auth import Principal, require, verified
from chassis.clock import now
from chassis.paging import Page
from chassis.problems import documented
from contracts.types import Id, Moment
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, StringConstraints

from catalog import store
from catalog.api.http import (
    BY_COUNT,
    BY_TIME,
    NOT_FOUND,
    REFUSED,
    UNCHANGED,
    UNKEPT,
    CachedRoute,
    Cursor,
    Limit,
    Stored,
    page_of,
    position,
)
from catalog.model.movies import Line, Prose
from catalog.model.problems import NotAttended, ReviewExists
from catalog.model.reviews import Complaint, ReviewText, byline
from catalog.store import Review

router = APIRouter(prefix="/api", tags=["reviews"], route_class=CachedRoute, responses=UNCHANGED)
own = APIRouter(prefix="/api", tags=["reviews"], dependencies=[UNKEPT], responses=REFUSED)
Person = Annotated[Principal, Depends(verified)]
Moderator = Annotated[Principal, Depends(require("reviews:moderate"))]
ORDERS = {"newest": ("written_at", True), "highest": ("stars", True), "lowest": ("stars", False)}


class PublicReview(Stored, ReviewText):
    """A review as everybody reads it; the name is shortened."""

    movie_id: Id
    byline: str
    written_at: Moment
    edited_at: Moment | None


class OwnReview(PublicReview):
    """A review as its writer sees it: a moderator may have hidden it."""

    hidden: bool


class MyReview(BaseModel):
    """What I wrote about a film, and whether I could: I have been to a showtime of it that is over."""

    review: OwnReview | None
    may_review: bool


class Report(BaseModel):
    """What is wrong with a review."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"complaint": "spoiler", "note": "Tells the end."}]})

    complaint: Complaint
    note: Annotated[Prose, StringConstraints(max_length=500)] = ""


class Complained(Report):
    user_id: str
    at: Moment


class Decision(BaseModel):
    """What is to become of a review, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"hidden": True, "reason": "It tells the end."}]})

    hidden: bool
    reason: Line


class Decided(Decision):
    by: str
    at: Moment


class ReportedReview(OwnReview):
    """A review as moderators see it."""

    user_id: str
    open_reports: int
    reports: list[Complained]
    verdict: Decided | None


@router.get("/movies/{movie_id}/reviews", responses=NOT_FOUND)
async def list_reviews(
    movie_id: Id, sort: Literal["newest", "highest", "lowest"] = "newest", cursor: Cursor = None, limit: Limit = 20
) -> Page[PublicReview]:
    """A film's reviews."""
    await store.live_movie(movie_id)
    by, descending = ORDERS[sort]
    where, after = {"movie_id": movie_id, "shown": True}, position(cursor, BY_TIME if by == "written_at" else BY_COUNT)
    found = await store.page(Review, where, by=by, after=after, limit=limit + 1, descending=descending)
    return page_of(found, limit, lambda last: _spelled(last[by]), PublicReview.model_validate)


@own.get("/movies/{movie_id}/reviews/mine", responses=NOT_FOUND)
async def get_my_review(movie_id: Id, person: Person) -> MyReview:
    """My review of a film, if there is one, and whether I may write it."""
    await store.live_movie(movie_id)
    review = await store.review_of(movie_id, person.user_id)
    return MyReview(
        review=OwnReview.model_validate(review) if review else None,
        may_review=await store.has_attended(person.user_id, movie_id, now()),
    )


@own.post("/movies/{movie_id}/reviews", status_code=201, responses=NOT_FOUND | documented(NotAttended, ReviewExists))
async def post_review(movie_id: Id, text: ReviewText, person: Person) -> OwnReview:
    """Review a film. One person has one review of it, and has had a ticket for a showtime that is over."""
    await store.live_movie(movie_id)
    if not await store.has_attended(person.user_id, movie_id, now()):
        raise NotAttended
    return OwnReview.model_validate(await store.write_review(movie_id, person.user_id, byline(person.name), text))


@own.get("/reviews/mine")
async def list_my_reviews(person: Person, cursor: Cursor = None, limit: Limit = 20) -> Page[OwnReview]:
    """What I have written, the latest first."""
    where, after = {"user_id": person.user_id, "deleted": False}, position(cursor, BY_TIME)
    found = await store.page(Review, where, by="written_at", after=after, limit=limit + 1, descending=True)
    return page_of(found, limit, lambda last: last["written_at"].isoformat(), OwnReview.model_validate)


@own.put("/reviews/{review_id}", responses=NOT_FOUND)
async def put_review(review_id: Id, text: ReviewText, person: Person) -> OwnReview:
    """Say it differently. Only one's own."""
    return OwnReview.model_validate(await store.edit_review(review_id, person.user_id, text))


@own.delete("/reviews/{review_id}", status_code=204, responses=NOT_FOUND)
async def delete_review(review_id: Id, person: Person) -> None:
    """Take it back. Only one's own."""
    await store.delete_review(review_id, person.user_id)


@own.post("/reviews/{review_id}/reports", status_code=204, responses=NOT_FOUND)
async def post_report(review_id: Id, report: Report, person: Person) -> None:
    """Tell the moderators that a review should not be there. A second time changes nothing."""
    await store.report_review(review_id, person.user_id, report.complaint, report.note)


@own.get("/reviews")
async def list_reported_reviews(_: Moderator, cursor: Cursor = None, limit: Limit = 20) -> Page[ReportedReview]:
    """Reviews that people complained about and nobody has judged, those with the most complaints first."""
    where, after = {"open_reports": {"$gt": 0}}, position(cursor, BY_COUNT)
    found = await store.page(Review, where, by="open_reports", after=after, limit=limit + 1, descending=True)
    return page_of(found, limit, lambda last: last["open_reports"], ReportedReview.model_validate)


@own.put("/reviews/{review_id}/verdict", responses=NOT_FOUND)
async def put_verdict(review_id: Id, decision: Decision, moderator: Moderator) -> ReportedReview:
    """Hide a review or show it again. A hidden one counts for nothing."""
    judged = await store.judge_review(review_id, hidden=decision.hidden, reason=decision.reason, by=moderator.user_id)
    return ReportedReview.model_validate(judged)


def _spelled(key: int | Moment) -> int | str:
    return key if isinstance(key, int) else key.isoformat()
