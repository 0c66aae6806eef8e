"""Sums that are split to the minor unit. No I/O."""

from collections.abc import Sequence


def split(total: int, weights: Sequence[int], step: int = 1) -> list[int]:
    """Split a total by the weights into multiples of `step`, by the largest remainder. No share exceeds its weight.

    `total` is a multiple of `step` and at most the sum of the weights.
    """
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    shares = [total * weight // whole // step * step for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: shares[i] * whole - total * weights[i])
    for i in by_remainder[: (total - sum(shares)) // step]:
        shares[i] += step
    return shares
