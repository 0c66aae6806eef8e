"""What several routes need: the settings, the caller, and the objects of the composition root."""

from typing import Annotated

from chassis.clock import now
from chassis.http.network import client_network
from chassis.security.auth import Caller, caller
from fastapi import Depends, Request

from payment import store
from payment.model import GiftCard, GiftCardUnknown
from payment.settings import Settings
from payment.settlement import GiftCards, Settlement


def _config(request: Request) -> Settings:
    return request.app.state.config


def _settlement(request: Request) -> Settlement:
    return request.app.state.settlement


def _gift_cards(request: Request) -> GiftCards:
    return request.app.state.gift_cards


Config = Annotated[Settings, Depends(_config)]
CurrentSettlement = Annotated[Settlement, Depends(_settlement)]
CurrentGiftCards = Annotated[GiftCards, Depends(_gift_cards)]
CurrentCaller = Annotated[Caller, Depends(caller)]


class Codes:
    """Finds gift cards by their codes, and limits wrong codes by network and by account."""

    def __init__(self, request: Request, who: CurrentCaller, gift_cards: CurrentGiftCards) -> None:
        self._gift_cards = gift_cards
        account = [f"codes of {who.principal.user_id}"] if who.principal else []
        self._callers = [f"codes from {client_network(request)}", *account]

    async def find(self, code: str) -> GiftCard:
        """Return the gift card with this code. Raises GiftCardUnknown, and TooManyAttempts after many wrong ones."""
        await store.check_attempts(self._callers, now())
        try:
            return await self._gift_cards.find(code)
        except GiftCardUnknown:
            await store.count_failure(self._callers, now())
            raise


CurrentCodes = Annotated[Codes, Depends()]
