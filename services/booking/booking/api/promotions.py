"""Promotions, for staff with `promotions:write`. Staff who are limited to theaters have only those of them."""

from typing import Annotated

from chassis.http.paging import CursorInvalid, Page, decode_cursor, encode_cursor
from chassis.http.problems import Forbidden, Unauthenticated, documented
from chassis.ids import new_id
from chassis.security.auth import Principal, require
from contracts.types import Id
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from booking import model, store
from booking.model import (
    Promotion,
    PromotionChanged,
    PromotionCode,
    PromotionCodeTaken,
    PromotionUnknown,
    Terms,
)

router = APIRouter(prefix="/api/promotions", tags=["promotions"])
Staff = Annotated[Principal, Depends(require("promotions:write"))]


class PromotionRequest(Terms):
    """A promotion. Without a code, it applies automatically wherever its conditions hold."""

    code: PromotionCode | None = None

    def terms(self) -> Terms:
        """The terms without the code."""
        return Terms.model_validate(self.model_dump(include=set(Terms.model_fields)))


class PromotionUpdateRequest(PromotionRequest):
    """The new content, and the version of the promotion that it is based on."""

    version: Annotated[int, Field(ge=1)]


class UseCounts(BaseModel):
    """The number of uses: reserved by unpaid bookings, taken by paid ones, released by ended ones."""

    reserved: int
    taken: int
    released: int


class PromotionResponse(Terms):
    """A promotion. A change must send back its `version`. Bookings keep the discount of their checkout."""

    id: Id
    version: int
    code: str | None
    is_active: bool


class PromotionDetailResponse(PromotionResponse):
    """A promotion with its uses."""

    uses: UseCounts


class PromotionSearch(BaseModel):
    """The position in the list."""

    cursor: Annotated[str | None, Field(max_length=200)] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


def _promotions(request: Request) -> store.Promotions:
    return request.app.state.promotions


Promotions = Annotated[store.Promotions, Depends(_promotions)]
REFUSALS = documented(Unauthenticated, Forbidden, PromotionUnknown)


def _check_own(staff: Principal, terms: Terms) -> None:
    """Raises Forbidden unless the promotion is limited to theaters of the person."""
    if not model.is_within(terms.conditions, staff.theaters):
        raise Forbidden("Limit the promotion to your theaters in conditions.theater_ids.")


async def _own(staff: Principal, promotion_id: str) -> Promotion:
    """The promotion. Raises PromotionUnknown, also for one that applies at another theater."""
    promotion = await store.find_promotion(promotion_id)
    if not model.is_within(promotion.conditions, staff.theaters):
        raise PromotionUnknown
    return promotion


def _shown(promotion: Promotion) -> PromotionResponse:
    return PromotionResponse.model_validate(promotion.model_dump())


@router.get("", responses=documented(Unauthenticated, Forbidden, CursorInvalid))
async def list_promotions(staff: Staff, search: Annotated[PromotionSearch, Query()]) -> Page[PromotionResponse]:
    """List the promotions, newest first, also ended ones."""
    position = decode_cursor(search.cursor, str)
    found = await store.promotions_page(staff.theaters, position[0] if position else None, search.limit + 1)
    last = encode_cursor(found[search.limit - 1].id) if len(found) > search.limit else None
    return Page(items=[_shown(each) for each in found[: search.limit]], next_cursor=last)


@router.post("", status_code=201, responses=documented(Unauthenticated, Forbidden, PromotionCodeTaken))
async def add_promotion(
    body: PromotionRequest, staff: Staff, promotions: Promotions, response: Response
) -> PromotionResponse:
    """Add a promotion. An automatic one applies everywhere within ten seconds."""
    _check_own(staff, body)
    added = await promotions.add(Promotion(id=new_id(), **body.model_dump()))
    response.headers["Location"] = f"/api/promotions/{added.id}"
    return _shown(added)


@router.get("/{promotion_id}", responses=REFUSALS)
async def get_promotion(promotion_id: Id, staff: Staff) -> PromotionDetailResponse:
    """Get one promotion with its uses."""
    promotion = await _own(staff, promotion_id)
    uses = UseCounts(**await store.count_uses(promotion_id))
    return PromotionDetailResponse.model_validate(promotion.model_dump() | {"uses": uses})


@router.put("/{promotion_id}", responses=REFUSALS | documented(PromotionCodeTaken, PromotionChanged))
async def change_promotion(
    promotion_id: Id, body: PromotionUpdateRequest, staff: Staff, promotions: Promotions
) -> PromotionResponse:
    """Replace the content of an active promotion. Bookings that were checked out before keep their discounts."""
    await _own(staff, promotion_id)
    _check_own(staff, body)
    return _shown(await promotions.change(promotion_id, body.code, body.terms(), body.version))


@router.delete("/{promotion_id}", status_code=204, responses=REFUSALS)
async def end_promotion(promotion_id: Id, staff: Staff, promotions: Promotions) -> None:
    """End a promotion. It stays in the list, its bookings keep their discounts, and its code can be used again."""
    await _own(staff, promotion_id)
    await promotions.end(promotion_id)
