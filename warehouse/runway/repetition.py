"""What repeated data is worth: Muennighoff et al. 2023, "Scaling data-constrained language models", section 3.1.

    D' = U + U R (1 - exp(-(epochs - 1) / R)),  R = 15.387756

Four epochs are worth 3.73 times the data, sixteen 10.6, and no number of them more than 16.4.
"""

from __future__ import annotations

import math
from typing import Final

R: Final = 15.387756
"""R*_D, fitted by the paper: repeats after which a further one is worth 1/e of a new token."""


def effective_tokens(unique: float, epochs: float) -> float:
    """Tokens of new data that ``epochs`` passes (1 or more) over ``unique`` tokens are worth."""
    return unique * (1 + R * -math.expm1(-(epochs - 1) / R))


def epochs_for(unique: float, wanted: float) -> float | None:
    """Epochs over ``unique`` tokens that are worth ``wanted`` of new data, at least 1; None where no number is."""
    short = (wanted / unique - 1) / R if unique else math.inf
    return None if short >= 1 else max(1.0, 1 - R * math.log1p(-short))
