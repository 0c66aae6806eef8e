"""Price lists without I/O."""

from datetime import date, datetime

import pytest
from catalog.model.prices import Surcharge, Tariff, check_chargeable, check_fees, price_from, valid_on
from catalog.model.problems import PriceMissing, PriceNotChargeable
from contracts.catalog import ExchangeRules, RefundPolicy
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

FRIDAY = datetime(2027, 3, 26, 20, 15)  # noqa: DTZ001 - what the theater's clocks show
LIST = {
    "prices": {
        "standard": {"adult": 1200, "child": 800},
        "vip": {"adult": 1600},
        "companion": {"adult": 1200, "companion": 0},
    },
    "surcharges": [
        {"name": "3D", "amount": 300, "formats": ["3D", "IMAX 3D"]},
        {"name": "weekend", "amount": 150, "weekdays": ["fri", "sat", "sun"], "starts_from": "17:00"},
        {"name": "late", "amount": -250, "starts_from": "23:00", "starts_before": "03:00"},
    ],
    "booking_fee": 90,
    "tax_basis_points": 700,
    "valid_from": "2027-01-01",
}


def tariff(**changes):
    return Tariff.model_validate(LIST | changes)


def table(local_start=FRIDAY, screening_format="2D", categories=("standard", "companion"), **changes):
    found = tariff(**changes).table(categories, screening_format, local_start)
    return {(price.category, price.ticket_type): price.amount for price in found}


def test_prices_are_all_in_and_free_tickets_stay_free():
    assert table() == {
        ("standard", "adult"): 1200 + 150 + 90,
        ("standard", "child"): 800 + 150 + 90,
        ("companion", "adult"): 1200 + 150 + 90,
        ("companion", "companion"): 0,
    }


@pytest.mark.parametrize(
    ("local_start", "screening_format", "extra"),
    [
        (FRIDAY, "2D", 150),
        (FRIDAY, "IMAX 3D", 450),
        (FRIDAY.replace(hour=16, minute=55), "2D", 0),
        (FRIDAY.replace(hour=17, minute=0), "2D", 150),
        (FRIDAY.replace(day=25), "3D", 300),
        (FRIDAY.replace(hour=23, minute=0), "2D", 150 - 250),
        (FRIDAY.replace(hour=2, minute=55), "2D", -250),
        (FRIDAY.replace(hour=3, minute=0), "2D", 0),
    ],
)
def test_surcharges_depend_on_format_weekday_and_time(local_start, screening_format, extra):
    assert table(local_start, screening_format)["standard", "adult"] == 1200 + extra + 90


def test_fee_and_tax_are_parts_of_the_price():
    adult, _ = tariff().table(["standard"], "2D", FRIDAY)
    assert (adult.amount, adult.fee, adult.tax) == (1440, 90, 94), "1440 × 7 / 107 = 94.2"
    assert adult.tax_basis_points == 700
    free = tariff().table(["companion"], "2D", FRIDAY)[1]
    assert (free.amount, free.fee, free.tax) == (0, 0, 0)


@given(
    st.integers(0, 10_000_000), st.integers(-1_000_000, 1_000_000), st.integers(0, 1_000_000), st.integers(0, 10_000)
)
def test_no_price_falls_below_zero_and_tax_is_a_part_of_it(base, amount, fee, tax):
    prices = {"standard": {"adult": base}}
    surcharges = [{"name": "x", "amount": amount}]
    found = tariff(prices=prices, surcharges=surcharges, booking_fee=fee, tax_basis_points=tax)
    price = found.table(["standard"], "2D", FRIDAY)[0]
    assert price.amount == (max(base + amount, 0) + fee if base and base + amount > 0 else 0)
    assert price.tax is not None
    assert abs(price.tax * (10_000 + tax) - price.amount * tax) * 2 <= 10_000 + tax, "to the nearest minor unit"


def test_a_category_without_a_price_for_adults_is_named():
    with pytest.raises(PriceMissing, match="no adult price for recliner"):
        tariff().table(["standard", "recliner"], "2D", FRIDAY)


def test_the_valid_list_that_began_last_is_used():
    year = tariff(valid_from="2027-01-01")
    summer = tariff(valid_from="2027-06-01", valid_until="2027-08-31")
    next_year = tariff(valid_from="2028-01-01")
    lists = [next_year, summer, year]
    for day, expected in [
        ("2027-01-01", year), ("2027-05-31", year), ("2027-06-01", summer), ("2027-08-31", summer),
        ("2027-09-01", year), ("2027-12-31", year), ("2028-01-01", next_year),
    ]:  # fmt: skip
        assert valid_on(date.fromisoformat(day), lists) is expected, day
    with pytest.raises(PriceMissing, match="No price list is valid on 2026-12-31"):
        valid_on(date(2026, 12, 31), lists)


def test_the_from_price_is_the_lowest_adult_price():
    assert price_from(tariff().table(["standard", "vip", "companion"], "2D", FRIDAY)) == 1440
    cheap = {"prices": {"vip": {"adult": 1600}, "wheelchair": {"adult": 900}}}
    assert price_from(tariff(**cheap).table(["vip", "wheelchair"], "2D", FRIDAY)) == 1840


@pytest.mark.parametrize(
    "changes",
    [
        {"prices": {}},
        {"prices": {"standard": {"child": 800}}},
        {"prices": {"balcony": {"adult": 800}}},
        {"prices": {"standard": {"adult": -1}}},
        {"prices": {"standard": {"adult": 10_000_001}}},
        {"prices": {"standard": {"adult": 12.5}}},
        {"prices": {"standard": {"grown-up": 1200}}},
        {"valid_until": "2026-12-31"},
        {"valid_from": "2027-13-01"},
        {"booking_fee": -1},
        {"tax_basis_points": 10_001},
        {"surcharges": [{"name": "x", "amount": 1, "weekdays": ["friday"]}]},
        {"surcharges": [{"name": "x", "amount": 1, "starts_from": "24:00"}]},
        {"surcharges": [{"name": "", "amount": 1}]},
    ],
)
def test_an_invalid_price_list_is_refused(changes):
    with pytest.raises(ValidationError):
        tariff(**changes)


def test_a_surcharge_without_conditions_always_applies():
    assert Surcharge(name="x", amount=1).applies("2D", FRIDAY)


@pytest.mark.parametrize(
    ("currency", "fine", "refused"),
    [
        ("EUR", [0, 50, 1290, 9_999_999], [1, 49, 10_000_000]),
        ("JPY", [0, 50, 1900], [49]),
        ("KWD", [0, 10, 5120], [1, 5124, 5125]),
        ("MGA", [0, 100, 20_000_00], [1, 150]),
        ("ISK", [0, 1, 2190], [100_000]),
    ],
)
def test_a_ticket_is_free_or_can_be_charged(currency, fine, refused):
    check_chargeable(fine, currency)
    for amount in refused:
        with pytest.raises(PriceNotChargeable, match=currency) as problem:
            check_chargeable([*fine, amount], currency)
        assert problem.value.members["amounts"] == [amount]


@pytest.mark.parametrize(("currency", "fee", "refused"), [("EUR", 155, False), ("KWD", 150, False), ("KWD", 155, True)])
def test_a_fee_leaves_a_refund_that_can_be_moved(currency, fee, refused):
    for policy in (RefundPolicy(fee=fee), RefundPolicy(exchange=ExchangeRules(fee=fee))):
        if not refused:
            check_fees(policy, currency)
            continue
        with pytest.raises(PriceNotChargeable, match=r"0\.155 KWD: it is a multiple of 0\.010") as problem:
            check_fees(policy, currency)
        assert problem.value.members["amounts"] == [fee]


def test_the_amounts_of_a_list_are_those_without_and_with_each_surcharge():
    few = tariff(prices={"standard": {"adult": 200, "companion": 0}})
    assert few.amounts() == {0, 200 + 90, 200 + 300 + 90, 200 + 150 + 90}, "a discount of 250 makes a ticket free"
