"""HTTP routes of payment."""

from payment.api import gift_card_staff, gift_cards, payments

ROUTERS = [payments.router, gift_card_staff.router, gift_cards.router]
