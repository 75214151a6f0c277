"""Shares of a whole, as whole numbers: exact, so that no rounding of floats decides what goes where."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate

Shares = Sequence[tuple[str, float | Decimal]]


def cumulated(shares: Shares, whole: int) -> list[int]:
    """Where each share but the last ends among ``whole``."""
    return [int(end * whole) for end in accumulate(Fraction(str(share)) for _, share in shares[:-1])]
