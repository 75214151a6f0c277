"""Epoch AI's model of the world's public text as published: inputs, and the results to hold ours against.

Villalobos et al., "Will we run out of data? Limits of LLM scaling based on human-generated data", arXiv 2211.04325v2
(June 2024), section 2 and appendices, and the constants of the accompanying notebooks. Numbers only: those notebooks
state no licence, so no code and no input file of theirs is here.
"""

from __future__ import annotations

from typing import Final

from warehouse.runway.distributions import Interval

ORIGIN: Final = "Epoch AI, arXiv 2211.04325v2"
BASE_YEAR: Final = 2024.0

PAGES: Final = Interval(75e9, 1e12, 0.95)
"""Unique indexed web pages in 2024."""
PAGE_BYTES: Final = Interval(6_100, 8_200, 0.95)
"""Bytes of plain text on a page."""
BYTES_BELOW_SIX: Final = Interval(1, 4, 0.95)
"""A token has 6 bytes less this: median 4, 95 % [2, 5]. One draw in a thousand falls below 0: see world.stocks."""
PAGE_BYTES_GROWTH: Final = Interval(1.02, 1.04, 0.95)
PAGES_GROWTH: Final = Interval(1.00, 1.10, 0.95)
QUALITY: Final = Interval(0.10, 0.40, 0.95)
"""Share of the deduplicated web that is worth training on."""
REPETITION: Final = Interval(2, 5, 0.95)
"""What several epochs are worth in unique text."""

LARGEST_DATASET: Final = Interval(3e12, 13e12)
"""Tokens of the largest training set at 2024.0."""
DATASET_GROWTH: Final = Interval(0.27, 0.48, 0.95)
"""Orders of magnitude a year, published as 0.38 [0.27, 0.48]."""

LARGEST_COMPUTE: Final = Interval(1e25, 1e26)
"""FLOP of the largest training run at 2024.0."""
COMPUTE_GROWTH: Final = Interval(0.45, 0.70)
"""Orders of magnitude a year. A stand-in: the published model reads a projection of compute that was not published."""

CI: Final = (0.1, 0.5, 0.9)
"""The chances at which a date is read off: an 80 % interval and its median."""
FULL_USE: Final = (2026.0, 2028.0, 2032.0)
"""Full use of the stock if trends continue, published: 80 % interval and median."""
RAW_TOKENS: Final = (130e12, 510e12, 2100e12)
QUALITY_TOKENS: Final = (22e12, 100e12, 490e12)
EFFECTIVE_TOKENS: Final = (65e12, 320e12, 1700e12)
"""Stocks of 2024 in tokens, published: 95 % interval and median."""
