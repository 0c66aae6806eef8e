"""Prices: price lists, and the price table of a showtime."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from typing import Annotated, Literal, Self, TypeVar

from contracts import currencies
from contracts.catalog import Price, RefundPolicy
from contracts.types import Name, Shape
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from catalog.model.days import DAY_STARTS, business_day, minutes_into_day
from catalog.model.problems import PriceMissing, PriceNotChargeable

Category = Literal["standard", "vip", "recliner", "love_seat", "wheelchair", "companion"]
TicketType = Literal["adult", "child", "senior", "student", "companion"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RESERVED = {"wheelchair", "companion"}
"""Reserved categories, which "from" prices ignore."""
MAX_TICKETS = 10
"""Tickets of one booking."""


def _on_the_calendar(text: str) -> str:
    if not 2000 <= date.fromisoformat(text).year <= 2200:
        raise ValueError("a day is from 2000 to 2200")
    return text


def _on_the_clock(text: str) -> str:
    time.fromisoformat(text)
    return text


# Dates and times of day are stored as text, which sorts correctly: MongoDB has only timestamps.
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(_on_the_calendar)]
Clock = Annotated[str, StringConstraints(pattern=r"^\d\d:\d\d$"), AfterValidator(_on_the_clock)]
Format = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z](?:[0-9A-Za-z +.-]{0,28}[0-9A-Za-z+])?$")]
"""How a film is shown: `2D`, `3D`, `IMAX 3D`, `70 mm`."""
Label = Annotated[Name, StringConstraints(max_length=60)]
BasePrice = Annotated[int, Field(ge=0, le=10_000_000)]


class Surcharge(Shape):
    """An amount in minor units, added to each price (negative: a discount) of showtimes that match all conditions.

    `weekdays` are business days: Friday's ends at 05:00 on Saturday, or when the theater's day starts. `starts_from`
    and `starts_before` are local time; without one, the band begins or ends with the business day.
    """

    name: Label
    amount: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
    formats: Annotated[list[Format], Field(max_length=20)] = []
    weekdays: Annotated[list[Weekday], Field(max_length=7)] = []
    starts_from: Clock | None = None
    starts_before: Clock | None = None

    def applies(self, screening_format: str, local_start: datetime, day_starts: str = DAY_STARTS) -> bool:
        """Whether it applies to a showtime in this format with this local start."""
        if self.formats and screening_format not in self.formats:
            return False
        if self.weekdays and WEEKDAYS[business_day(local_start, day_starts).weekday()] not in self.weekdays:
            return False
        clock = minutes_into_day(f"{local_start:%H:%M}", day_starts)
        start = minutes_into_day(self.starts_from or day_starts, day_starts)
        end = minutes_into_day(self.starts_before or day_starts, day_starts)
        return start <= clock < end if start < end else clock >= start or clock < end


class Tariff(BaseModel):
    """The content of a price list: the price of each ticket type in each category, with its first and last day.

    Prices are minor units including tax; the booking fee is added to each ticket that is not free. Of several lists
    that are valid on a business day, the one that began last is used: a summer list precedes the list of the year.
    `tax_basis_points`: 700 is 7 %.
    """

    prices: dict[Category, dict[TicketType, BasePrice]] = Field(
        examples=[{"standard": {"adult": 1190, "child": 750}, "companion": {"adult": 1190, "companion": 0}}]
    )
    surcharges: Annotated[list[Surcharge], Field(max_length=50)] = []
    booking_fee: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    tax_basis_points: Annotated[int, Field(ge=0, le=10_000)] = 0
    refund_policy: RefundPolicy = RefundPolicy()
    valid_from: Day
    valid_until: Day | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not any("adult" in amounts for amounts in self.prices.values()):
            raise ValueError("a price list has a price for adults")
        if self.valid_until and self.valid_until < self.valid_from:
            raise ValueError("a price list ends no earlier than it begins")
        return self

    def table(
        self, categories: Iterable[str], screening_format: str, local_start: datetime, day_starts: str = DAY_STARTS
    ) -> list[Price]:
        """All-in prices of a showtime. Raises PriceMissing for a category without a price for adults."""
        due = sum(each.amount for each in self.surcharges if each.applies(screening_format, local_start, day_starts))
        table: list[Price] = []
        for category in categories:
            amounts = next((amounts for name, amounts in self.prices.items() if name == category), {})
            if "adult" not in amounts:
                raise PriceMissing(f"The price list has no adult price for {category}.", category=category)
            table += [self._price(category, kind, amount, due) for kind, amount in amounts.items()]
        return table

    def amounts(self) -> set[int]:
        """The all-in prices without surcharges and with each of them. With several, only a showtime has a price."""
        dues = [0, *(each.amount for each in self.surcharges)]
        return {
            self._price("any", "any", amount, due).amount
            for amounts in self.prices.values()
            for amount in amounts.values()
            for due in dues
        }

    def _price(self, category: str, kind: str, amount: int, due: int) -> Price:
        """The all-in price. Free tickets stay free: no surcharge and no fee is added."""
        price = max(amount + due, 0) if amount else 0
        fee = self.booking_fee if price else 0
        all_in = price + fee
        return Price(
            category=category,
            ticket_type=kind,
            amount=all_in,
            fee=fee,
            tax=self._tax_in(all_in),
            tax_basis_points=self.tax_basis_points,
        )

    def _tax_in(self, amount: int) -> int:
        """The tax included in an amount; half a minor unit is rounded up."""
        whole = 10_000 + self.tax_basis_points
        return (2 * amount * self.tax_basis_points + whole) // (2 * whole)


def check_chargeable(amounts: Iterable[int], currency: str) -> None:
    """Raises PriceNotChargeable unless each ticket is free, or can be charged alone and MAX_TICKETS times."""
    least, step = currencies.minimum(currency), currencies.step(currency)
    most = currencies.maximum(currency) // MAX_TICKETS
    refused = sorted({amount for amount in amounts if amount and (not least <= amount <= most or amount % step)})
    if not refused:
        return
    shown = [str(currencies.decimal(amount, currency)) for amount in (*refused[:3], least, most, step)]
    multiples = f", in multiples of {shown[-1]}" if step > 1 else ""
    raise PriceNotChargeable(
        f"A ticket cannot cost {' or '.join(shown[:-3])} {currency}: "
        f"a price is 0, or {shown[-3]} to {shown[-2]} {currency}{multiples}.",
        amounts=refused,
        minimum=least,
        maximum=most,
        step=step,
    )


def check_fees(policy: RefundPolicy, currency: str) -> None:
    """Raises PriceNotChargeable unless what is left of a refund or exchange after its fee can be moved."""
    step = currencies.step(currency)
    if refused := sorted({fee for fee in (policy.fee, policy.exchange.fee) if fee % step}):
        shown = [str(currencies.decimal(amount, currency)) for amount in (*refused, step)]
        raise PriceNotChargeable(
            f"A fee cannot be {' or '.join(shown[:-1])} {currency}: it is a multiple of {shown[-1]}.",
            amounts=refused,
            step=step,
        )


T = TypeVar("T", bound=Tariff)


def valid_on(day: date, tariffs: Iterable[T]) -> T:
    """The price list that is used on a business day. Raises PriceMissing when none is valid."""
    today = day.isoformat()
    valid = [each for each in tariffs if each.valid_from <= today <= (each.valid_until or today)]
    if not valid:
        raise PriceMissing(f"No price list is valid on {today}.", day=today)
    return max(valid, key=lambda each: each.valid_from)


def price_from(table: Sequence[Price]) -> int:
    """The lowest adult price in minor units, without reserved categories."""
    adult = [price for price in table if price.ticket_type == "adult"]
    for_anyone = [price for price in adult if price.category not in RESERVED]
    return min(price.amount for price in for_anyone or adult)
