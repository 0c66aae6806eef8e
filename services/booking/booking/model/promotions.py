"""Promotions: what they discount, under which conditions, and why one does not apply. No I/O."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from contracts import currencies
from contracts.types import ChargedCurrency, Code, Id, Name, StorableMoment
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_STARTS = time(5)
"""The start of a business day where catalog has not told the showtime's."""
MINUTES = 24 * 60
MAX_USES = 100_000


def folded_code(given: object) -> object:
    """The code as it is stored: upper case, without spaces. Case and spaces make no difference."""
    if not isinstance(given, str) or len(given) > 100:
        return given
    return "".join(unicodedata.normalize("NFKC", given).split()).upper()


def folded_email(email: str) -> str:
    """The address without the part after a plus sign, so that one mailbox counts as one person."""
    local, _, domain = email.lower().rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"


def _on_the_clock(text: str) -> str:
    time.fromisoformat(text)
    return text


PromotionCode = Annotated[
    str,
    BeforeValidator(folded_code),
    StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9_-]{2,39}$"),
    Field(description="Case and spaces make no difference.", examples=["MATINEE10"]),
]
Clock = Annotated[str, StringConstraints(pattern=r"^\d\d:\d\d$"), AfterValidator(_on_the_clock)]
Count = Annotated[int, Field(ge=1, le=MAX_USES, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Money(_Part):
    amount: Annotated[int, Field(le=10_000_000, strict=True, description="Minor units of the currency.")]
    currency: ChargedCurrency

    @model_validator(mode="after")
    def _can_be_charged(self) -> Self:
        if self.amount % (step := currencies.step(self.currency)):
            raise ValueError(f"an amount in {self.currency} is a multiple of {step}")
        return self


class Percentage(_Part):
    """A share of the price of each ticket."""

    kind: Literal["percentage"]
    percent: Annotated[int, Field(ge=1, le=100, strict=True)]


class FixedAmount(_Money):
    """An amount off the sum of the tickets, at most their price."""

    kind: Literal["fixed_amount"]
    amount: Annotated[int, Field(ge=1, le=10_000_000, strict=True, description="Minor units of the currency.")]


class FixedPrice(_Money):
    """Each ticket for this all-in price. Cheaper tickets keep their price."""

    kind: Literal["fixed_price"]
    amount: Annotated[int, Field(ge=0, le=10_000_000, strict=True, description="Minor units of the currency.")]


class NForM(_Part):
    """Of each `tickets`, only the `pay` most expensive ones are paid: 3 for 2."""

    kind: Literal["n_for_m"]
    tickets: Annotated[int, Field(ge=2, le=10, strict=True)]
    pay: Annotated[int, Field(ge=1, le=9, strict=True)]

    @model_validator(mode="after")
    def _saves(self) -> Self:
        if self.pay >= self.tickets:
            raise ValueError("fewer tickets are paid than taken")
        return self


Discount = Annotated[Percentage | FixedAmount | FixedPrice | NForM, Field(discriminator="kind")]
ORDER = ("fixed_price", "n_for_m", "percentage", "fixed_amount")
"""The order in which combined promotions apply, whatever the order of the codes."""


class Conditions(_Part):
    """All of them must hold; an empty list means any.

    `weekdays` are business days: at 00:15 on Saturday it is still Friday. `starts_from` and `starts_before` are the
    theater's local time; without one, the band begins or ends with the business day. `first_uses`: only the first
    uses at each showtime.
    """

    movie_ids: Annotated[list[Id], Field(max_length=100)] = []
    theater_ids: Annotated[list[Id], Field(max_length=100)] = []
    weekdays: Annotated[list[Weekday], Field(max_length=7)] = []
    starts_from: Clock | None = None
    starts_before: Clock | None = None
    formats: Annotated[list[Annotated[Name, StringConstraints(max_length=30)]], Field(max_length=20)] = []
    ticket_types: Annotated[list[Code], Field(max_length=20)] = []
    first_uses: Count | None = None


class Terms(_Part):
    """What a promotion gives. A use is one discounted ticket; for `n_for_m` one group, for `fixed_amount` one booking.

    An exclusive promotion is not combined with others. `valid_from` and `valid_until` limit the time of the checkout.
    """

    name: Annotated[Name, StringConstraints(max_length=60)] = Field(
        description="Shown to customers.", examples=["Matinee"]
    )
    discount: Discount
    conditions: Conditions = Conditions()
    is_exclusive: bool = False
    valid_from: StorableMoment | None = None
    valid_until: StorableMoment | None = None
    max_uses: Annotated[Count | None, Field(description="In all.")] = None
    max_uses_per_person: Annotated[Count | None, Field(description="By account and by e-mail address.")] = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            raise ValueError("valid_until is after valid_from")
        return self


class Promotion(Terms):
    """A promotion. Without a `code`, it applies automatically. `version` counts its changes."""

    model_config = ConfigDict(extra="ignore")

    id: str
    version: int = 0
    code: str | None = None
    is_active: bool = True

    @property
    def is_limited(self) -> bool:
        """Whether its uses are limited."""
        return any((self.max_uses, self.max_uses_per_person, self.conditions.first_uses))


class AppliedPromotion(BaseModel):
    """A promotion as it was applied to a booking. Later changes of the promotion do not touch it.

    `seats`: the tickets that meet its conditions. `shares`: its discount in minor units by seat. `uses`: the seats of
    each use.
    """

    promotion_id: str
    version: int
    name: str
    code: str | None = None
    discount: Discount
    seats: list[str]
    uses: list[list[str]]
    shares: dict[str, int]

    @property
    def amount(self) -> int:
        """Its discount in minor units."""
        return sum(self.shares.values())


Reason = Literal[
    "unknown",
    "not_yet_valid",
    "no_longer_valid",
    "theater",
    "film",
    "weekday",
    "time",
    "format",
    "ticket_type",
    "currency",
    "too_few_tickets",
    "no_saving",
    "used_up",
    "used_by_you",
    "showtime_used_up",
    "not_combinable",
    "better_price",
]


@dataclass(frozen=True)
class Refusal:
    """Why a promotion does not apply, and the facts that say when it would."""

    reason: Reason
    sentence: str
    facts: dict[str, Any]


def refusal(reason: Reason, sentence: str, **facts: Any) -> Refusal:
    """A refusal with its facts."""
    return Refusal(reason, sentence, facts)


@dataclass(frozen=True)
class Place:
    """What the conditions of promotions compare: a showtime."""

    movie_id: str | None
    theater_id: str | None
    format: str
    currency: str
    local_start: datetime
    business_day: date


def place_of(
    *, movie_id: str | None, theater_id: str | None, screening_format: str, currency: str,
    starts_at: datetime, time_zone: str, local_date: str | None,
) -> Place:  # fmt: skip
    """The showtime with its local start and business day. `local_date` is the day that catalog has computed, if any."""
    local = starts_at.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)
    day = date.fromisoformat(local_date) if local_date else local.date() - timedelta(days=local.time() < DAY_STARTS)
    return Place(movie_id, theater_id, screening_format, currency, local, day)


def refusal_at(promotion: Promotion, place: Place, moment: datetime) -> Refusal | None:
    """Why the promotion does not apply at this showtime now, or None."""
    return next(_refusals(promotion, place, moment), None)


def _refusals(promotion: Promotion, place: Place, moment: datetime) -> Iterator[Refusal]:
    wanted, until, since = promotion.conditions, promotion.valid_until, promotion.valid_from
    if until and moment >= until:
        yield refusal("no_longer_valid", "This code is no longer valid.", valid_until=until.isoformat())
    if since and moment < since:
        sentence = f"This code is valid from {since:%Y-%m-%d %H:%M} UTC."
        yield refusal("not_yet_valid", sentence, valid_from=since.isoformat())
    if wanted.theater_ids and place.theater_id not in wanted.theater_ids:
        yield refusal("theater", "This code is not valid at this theater.", theater_ids=wanted.theater_ids)
    if wanted.movie_ids and place.movie_id not in wanted.movie_ids:
        yield refusal("film", "This code is not valid for this film.", movie_ids=wanted.movie_ids)
    if wanted.weekdays and WEEKDAYS[place.business_day.weekday()] not in wanted.weekdays:
        sentence = f"This code is valid for showtimes on {', '.join(map(str.title, wanted.weekdays))}."
        yield refusal("weekday", sentence, weekdays=wanted.weekdays)
    if not _is_in_band(wanted.starts_from, wanted.starts_before, place):
        band = {"starts_from": wanted.starts_from, "starts_before": wanted.starts_before}
        yield refusal("time", f"This code is valid for showtimes that start {_band(wanted)}.", **band)
    if wanted.formats and place.format.casefold() not in map(str.casefold, wanted.formats):
        yield refusal("format", f"This code is valid for {', '.join(wanted.formats)}.", formats=wanted.formats)
    currency = getattr(promotion.discount, "currency", place.currency)
    if currency != place.currency:
        yield refusal("currency", f"This code is valid for prices in {currency}.", currency=currency)


def _is_in_band(start: str | None, end: str | None, place: Place) -> bool:
    """Whether the showtime starts in the band. 00:15 on Saturday is 24:15 of Friday's business day."""
    midnight = datetime.combine(place.business_day, time())
    into_day = int((place.local_start - midnight) / timedelta(minutes=1))
    if start is None or end is None:
        return (start is None or into_day >= _minutes(start)) and (end is None or into_day < _minutes(end))
    clock, first, last = into_day % MINUTES, _minutes(start), _minutes(end)
    return first <= clock < last if first < last else clock >= first or clock < last


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _band(wanted: Conditions) -> str:
    since, before = wanted.starts_from, wanted.starts_before
    return " and ".join([*([f"at {since} or later"] if since else []), *([f"before {before}"] if before else [])])


def in_order(promotions: Iterable[Promotion]) -> list[Promotion]:
    """The promotions in the order in which they apply."""
    return sorted(promotions, key=lambda each: (ORDER.index(each.discount.kind), each.id))


def is_within(promotion: Conditions, theaters: Collection[str]) -> bool:
    """Whether the promotion applies only at these theaters; no theaters mean all."""
    return not theaters or (bool(promotion.theater_ids) and set(promotion.theater_ids) <= set(theaters))
