"""What seats cost."""

from collections.abc import Iterable, Mapping, Sequence

from contracts.catalog import Price

from catalog.model.problems import PriceMissing

PriceList = Mapping[str, Mapping[str, int]]
"""Category to ticket type to amount: minor units, taxes and fees included."""


def price_table(prices: PriceList, categories: Iterable[str]) -> list[Price]:
    """What the seats of an auditorium cost. Raises PriceMissing for a category without a price for adults."""
    table: list[Price] = []
    for category in categories:
        amounts = prices.get(category, {})
        if "adult" not in amounts:
            raise PriceMissing(f"The price list has no adult price for {category}.", category=category)
        table += [Price(category=category, ticket_type=kind, amount=amount) for kind, amount in amounts.items()]
    return table


def price_from(table: Sequence[Price]) -> int:
    """The lowest price of a ticket that anyone can buy, in minor units: an adult's, on a seat not kept for someone."""
    adult = [price for price in table if price.ticket_type == "adult"]
    for_anyone = [price for price in adult if price.category not in {"wheelchair", "companion"}]
    return min(price.amount for price in for_anyone or adult)
