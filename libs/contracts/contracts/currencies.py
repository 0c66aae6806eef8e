"""Currencies: how many digits an amount has, and which amounts can be charged.

Everywhere an amount is an integer in the minor units of ISO 4217. Only payment's adapter of Stripe uses other ones.
"""

from decimal import Decimal

_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS = {code: digits for digits, codes in _EXPONENTS.items() for code in codes.split()}
"""Digits after the decimal point (ISO 4217), for currencies that do not have two."""

_CHARGED = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CLP CNY
COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR
ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK
MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD
SHP SLE SOS SRD SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER
ZAR ZMW
"""
CHARGED = frozenset(_CHARGED.split())
"""Currencies that the payment provider charges (https://docs.stripe.com/currencies)."""

_STEPS = {"MGA": 100, "BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10}
_MINIMA = {
    "AED": 200, "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "EUR": 50, "GBP": 30, "HKD": 400,
    "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50, "PLN": 200, "RON": 200,
    "SEK": 300, "SGD": 50, "THB": 1000, "USD": 50,
}  # fmt: skip
_MAXIMA = {"ISK": 999_999, "UGX": 999_999}


def step(currency: str) -> int:
    """Return the number that every charged or refunded amount is a multiple of."""
    return _STEPS.get(currency, 1)


def minimum(currency: str) -> int:
    """Return the smallest amount that can be charged. The provider names one for its settlement currencies only."""
    return _MINIMA.get(currency, step(currency))


def maximum(currency: str) -> int:
    """Return the largest amount that can be charged."""
    return _MAXIMA.get(currency, 99_999_999)


def decimal(amount: int, currency: str) -> Decimal:
    """Return an amount in minor units as a decimal number of the currency."""
    return Decimal(amount).scaleb(-EXPONENTS.get(currency, 2))
