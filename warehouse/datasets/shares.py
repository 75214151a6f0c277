"""Shares of a whole, as whole numbers: exact, so that no rounding of floats decides what goes where."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

Shares = Sequence[tuple[str, float | Decimal]]


def cumulated(shares: Shares, whole: int) -> list[int]:
    """Where each share but the last ends among ``whole``."""
    parts = [Fraction(str(share)) for _, share in shares[:-1]]
    return [int(sum(parts[: count + 1]) * whole) for count in range(len(parts))]
