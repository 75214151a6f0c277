"""How many examples a property takes of which one costs a tenth of a second or more."""

from __future__ import annotations

from hypothesis import settings


def dear(most: int) -> int:
    """``most`` in ``make explore``, four in ten of them in ``make test``, which takes the same ones each time."""
    return max(3, most * 2 // 5) if settings.get_current_profile_name() == "settled" else most
