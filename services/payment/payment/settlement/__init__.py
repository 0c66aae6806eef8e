"""Keeps accounts in agreement with Stripe's intents and with the ledgers of gift cards and credit."""

from payment.settlement.gift_cards import GiftCards
from payment.settlement.intents import Settlement, UnknownBooking

__all__ = ["GiftCards", "Settlement", "UnknownBooking"]
