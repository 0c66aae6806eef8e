"""Personal data in catalog: erasure and export."""

from collections.abc import AsyncIterator
from typing import Any

from chassis.privacy import Privacy
from contracts.catalog import CatalogDataExported

from catalog.store import attendance, reviews


async def erase(user_id: str) -> None:
    """Erase the person's reviews, attendance and complaints."""
    await reviews.forget_reviewer(user_id)
    await attendance.forget_attendances(user_id)


async def gather(user_id: str) -> AsyncIterator[dict[str, Any]]:
    """The person's reviews, complaints about others' and showtimes."""
    async for review in reviews.reviews_by(user_id):
        yield {"kind": "review"} | review
    async for complaint in reviews.complaints_by(user_id):
        yield {"kind": "complaint"} | complaint
    async for visit in attendance.attendances_of(user_id):
        yield {"kind": "attendance"} | visit


PRIVACY = Privacy(erase=erase, gather=gather, exported=CatalogDataExported)
