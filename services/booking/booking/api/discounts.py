"""The discounts of a quote or a checkout: the promotions of the caller's codes, and automatic ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from chassis.clock import now
from chassis.http.network import client_network
from contracts.types import Amount
from fastapi import Depends, Request
from pydantic import AfterValidator, BaseModel, Field

from booking import model, store
from booking.model import AppliedPromotion, BookingBusy, OrderLine, Priced, Promotion, PromotionCode, ShowtimeOffer

ATTEMPTS = 5
PromotionCodes = Annotated[
    list[PromotionCode],
    Field(max_length=5, description="The order of the codes makes no difference."),
    AfterValidator(lambda codes: sorted(set(codes))),
]


class AppliedPromotionResponse(BaseModel):
    """A promotion and its discount in minor units. An automatic one has no `code`."""

    name: str
    code: str | None
    amount: Amount


def shown(promotions: Sequence[AppliedPromotion]) -> list[AppliedPromotionResponse]:
    """The promotions of a quote or a booking."""
    return [AppliedPromotionResponse(name=each.name, code=each.code, amount=each.amount) for each in promotions]


@dataclass(frozen=True)
class Discounts:
    """Applies promotions to one request. `network`: the client's, which limits the guessing of codes."""

    promotions: store.Promotions
    network: str

    async def price(
        self, lines: list[OrderLine], offer: ShowtimeOffer, codes: Sequence[str], person: store.Person
    ) -> Priced:
        """Price the lines with the promotions that apply now. Raises PromotionRefused and TooManyCodes."""
        return (await self._priced(lines, offer, await self._found(offer, codes), person))[0]

    async def reserve(self, checkout: model.Checkout, offer: ShowtimeOffer) -> model.Checkout:
        """Apply the promotions to the checkout and reserve their uses, unless the hold has been checked out.

        Raises PromotionRefused, TooManyCodes, and BookingBusy when others take the last uses at each attempt.
        """
        found = await self._found(offer, checkout.order.promotion_codes)
        if not (found.codes or found.automatic) or await store.is_booked(checkout.hold.hold_id):
            return checkout
        person = store.person_of(checkout.hold.holder, checkout.order.email)
        for _ in range(ATTEMPTS):
            priced, free = await self._priced(checkout.lines, offer, found, person)
            if not priced.promotions:
                return checkout
            if uses_id := await store.reserve(checkout.hold.hold_id, priced.promotions, free, now()):
                return replace(checkout, lines=priced.lines, promotions=priced.promotions, uses_id=uses_id)
        raise BookingBusy(retry_after=1)

    async def _found(self, offer: ShowtimeOffer, codes: Sequence[str]) -> "_Found":
        automatic = await self.promotions.automatic()
        if automatic:
            place, moment = offer.place, now()
            automatic = [each for each in automatic if model.refusal_at(each, place, moment) is None]
        by_code = await store.promotions_of(codes, self.network, now()) if codes else {}
        return _Found(by_code, automatic)

    async def _priced(
        self, lines: list[OrderLine], offer: ShowtimeOffer, found: "_Found", person: store.Person
    ) -> tuple[Priced, dict[str, list[list[str]]]]:
        if not found.codes and not found.automatic:
            return Priced(lines, []), {}
        limited = [each for each in (*found.codes.values(), *found.automatic) if each and each.is_limited]
        allowances, free = await store.allowances_of(limited, offer.screening.showtime_id, person)
        priced = model.best_price(
            lines, offer.place, now(), codes=found.codes, automatic=found.automatic, allowances=allowances
        )
        return priced, free


@dataclass(frozen=True)
class _Found:
    codes: dict[str, Promotion | None]
    automatic: list[Promotion]


def _discounts(request: Request) -> Discounts:
    return Discounts(request.app.state.promotions, client_network(request))


CurrentDiscounts = Annotated[Discounts, Depends(_discounts)]
