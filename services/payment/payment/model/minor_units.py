"""Amounts as Stripe counts them, where that differs from ISO 4217 (https://docs.stripe.com/currencies#special-cases).

Stripe counts ISK and UGX in hundredths, always whole ones, and MGA in whole ariary. Amounts of currencies with three
decimals end in 0: see `contracts.currencies.step`.
"""

_HUNDREDTHS = frozenset({"ISK", "UGX"})
_WHOLE = frozenset({"MGA"})


def to_stripe(amount: int, currency: str) -> int:
    """Return our amount in Stripe's units. Raises ValueError when Stripe cannot express it."""
    if currency in _HUNDREDTHS:
        return amount * 100
    if currency in _WHOLE:
        return _hundredth(amount, currency)
    return amount


def from_stripe(amount: int, currency: str) -> int:
    """Return Stripe's amount in our units. Raises ValueError when it is not a whole number of them."""
    if currency in _HUNDREDTHS:
        return _hundredth(amount, currency)
    return amount * 100 if currency in _WHOLE else amount


def _hundredth(amount: int, currency: str) -> int:
    whole, rest = divmod(amount, 100)
    if rest:
        raise ValueError(f"{amount} is not a multiple of 100, as amounts in {currency} are")
    return whole
