"""Reviews: written by people who attended, read by all, moderated by staff."""

from typing import Annotated, Literal

from chassis.clock import now
from chassis.http.paging import Page
from chassis.http.problems import documented
from chassis.security.auth import Principal, require_everywhere, verified
from contracts.types import Id, Moment, Name
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
from catalog.model.movies import Prose
from catalog.model.problems import NotAttended, ReviewExists
from catalog.model.reviews import Complaint, ReviewText, byline

router = APIRouter(prefix="/api", tags=["reviews"], route_class=CachedRoute, responses=UNCHANGED)
own = APIRouter(prefix="/api", tags=["reviews"], dependencies=[UNKEPT], responses=REFUSED)
Person = Annotated[Principal, Depends(verified)]
Moderator = Annotated[Principal, Depends(require_everywhere("reviews:moderate"))]
ORDERS = {"newest": ("written_at", True), "highest": ("stars", True), "lowest": ("stars", False)}


class PublicReviewResponse(Stored, ReviewText):
    """A public review; the author's name is shortened."""

    movie_id: Id
    byline: str
    written_at: Moment
    edited_at: Moment | None


class OwnReviewResponse(PublicReviewResponse):
    """A review for its author; a moderator may have hidden it."""

    hidden: bool


class MyReviewResponse(BaseModel):
    """The caller's review of a film, and whether they may write one: they attended a past showtime of it."""

    review: OwnReviewResponse | None
    may_review: bool


class ReportRequest(BaseModel):
    """The reason of a complaint."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"complaint": "spoiler", "note": "Tells the end."}]})

    complaint: Complaint
    note: Annotated[Prose, StringConstraints(max_length=500)] = ""


class ReviewReport(ReportRequest):
    model_config = ConfigDict(from_attributes=True)

    user_id: str
    at: Moment


class VerdictRequest(BaseModel):
    """A moderator's decision, with the reason."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"hidden": True, "reason": "It tells the end."}]})

    hidden: bool
    reason: Name


class VerdictResponse(VerdictRequest):
    model_config = ConfigDict(from_attributes=True)

    by: str
    at: Moment


class ReportedReviewResponse(OwnReviewResponse):
    """A review for moderators."""

    user_id: str
    open_reports: int
    reports: list[ReviewReport]
    verdict: VerdictResponse | None


@router.get("/movies/{movie_id}/reviews", responses=NOT_FOUND)
async def list_reviews(
    movie_id: Id, sort: Literal["newest", "highest", "lowest"] = "newest", cursor: Cursor = None, limit: Limit = 20
) -> Page[PublicReviewResponse]:
    """A film's reviews."""
    await store.check_movie(movie_id)
    by, descending = ORDERS[sort]
    where, after = {"movie_id": movie_id, "shown": True}, position(cursor, BY_TIME if by == "written_at" else BY_COUNT)
    found = await store.reviews_page(where, by=by, after=after, limit=limit + 1, descending=descending)
    return page_of(found, limit, lambda last: _spelled(last[by]), PublicReviewResponse.model_validate)


@own.get("/movies/{movie_id}/reviews/mine", responses=NOT_FOUND)
async def get_my_review(movie_id: Id, person: Person) -> MyReviewResponse:
    """The caller's review of a film, if there is one, and whether they may write one."""
    await store.check_movie(movie_id)
    review = await store.review_of(movie_id, person.user_id)
    return MyReviewResponse(
        review=OwnReviewResponse.model_validate(review) if review else None,
        may_review=await store.has_attended(person.user_id, movie_id, now()),
    )


@own.post("/movies/{movie_id}/reviews", status_code=201, responses=NOT_FOUND | documented(NotAttended, ReviewExists))
async def post_review(movie_id: Id, text: ReviewText, person: Person) -> OwnReviewResponse:
    """Review a film. A person has one review per film, and must have had a ticket for a past showtime."""
    await store.check_movie(movie_id)
    if not await store.has_attended(person.user_id, movie_id, now()):
        raise NotAttended
    return OwnReviewResponse.model_validate(
        await store.write_review(movie_id, person.user_id, byline(person.name), text)
    )


@own.get("/reviews/mine")
async def list_my_reviews(person: Person, cursor: Cursor = None, limit: Limit = 20) -> Page[OwnReviewResponse]:
    """The caller's reviews, the newest first."""
    where, after = {"user_id": person.user_id, "deleted": False}, position(cursor, BY_TIME)
    found = await store.reviews_page(where, by="written_at", after=after, limit=limit + 1)
    return page_of(found, limit, lambda last: last["written_at"].isoformat(), OwnReviewResponse.model_validate)


@own.put("/reviews/{review_id}", responses=NOT_FOUND)
async def put_review(review_id: Id, text: ReviewText, person: Person) -> OwnReviewResponse:
    """Change the caller's own review."""
    return OwnReviewResponse.model_validate(await store.edit_review(review_id, person.user_id, text))


@own.delete("/reviews/{review_id}", status_code=204, responses=NOT_FOUND)
async def delete_review(review_id: Id, person: Person) -> None:
    """Delete the caller's own review."""
    await store.delete_review(review_id, person.user_id)


@own.post("/reviews/{review_id}/reports", status_code=204, responses=NOT_FOUND)
async def post_report(review_id: Id, report: ReportRequest, person: Person) -> None:
    """Report a review to the moderators. Repeating it changes nothing."""
    await store.report_review(review_id, person.user_id, report.complaint, report.note)


@own.get("/reviews")
async def list_reported_reviews(_: Moderator, cursor: Cursor = None, limit: Limit = 20) -> Page[ReportedReviewResponse]:
    """Reported reviews without a decision, those with the most reports first."""
    where, after = {"open_reports": {"$gt": 0}}, position(cursor, BY_COUNT)
    found = await store.reviews_page(where, by="open_reports", after=after, limit=limit + 1)
    return page_of(found, limit, lambda last: last["open_reports"], ReportedReviewResponse.model_validate)


@own.put("/reviews/{review_id}/verdict", responses=NOT_FOUND)
async def put_verdict(review_id: Id, decision: VerdictRequest, moderator: Moderator) -> ReportedReviewResponse:
    """Hide a review or show it again. A hidden review does not count for the rating."""
    judged = await store.judge_review(review_id, hidden=decision.hidden, reason=decision.reason, by=moderator.user_id)
    return ReportedReviewResponse.model_validate(judged)


def _spelled(key: int | Moment) -> int | str:
    return key if isinstance(key, int) else key.isoformat()
