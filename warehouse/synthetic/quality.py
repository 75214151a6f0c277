"""How near synthetic rows are to real ones that the sketch never saw, and whether they are copies of those it saw.

Shapes and pair trends as in SDMetrics (Kolmogorov-Smirnov and total variation complements; Pearson correlation, and
contingency of ten bins where a column is no number), DCR share as in its privacy metrics. Utility (a model trained on
one, tested on the other) is measured in ``benchmarks/synthetic.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.sketches import Column, as_numbers

NEAR_ROWS = 1_000
"""Rows compared with each other for the DCR share."""
PARTS = 10


@dataclass(frozen=True, slots=True)
class Quality:
    """0 to 1, 1 the best: shapes, pairs and their mean. dcr_share: synthetic rows nearer to a row that was counted than
    to one held out, of as many of both (0.5 where nothing is copied); copies: rows equal to a counted row.
    """

    shapes: float
    pairs: float
    dcr_share: float
    copies: int

    @property
    def mean(self) -> float:
        """What SDMetrics calls the quality score."""
        return (self.shapes + self.pairs) / 2


@dataclass(frozen=True, slots=True)
class _Seen:
    """A column of a table: its numbers or codes, and which are there."""

    is_number: bool
    values: Any
    there: Any


def quality(columns: Sequence[Column], made: pa.Table, held_out: pa.Table, counted: pa.Table) -> Quality:
    """Synthetic rows against rows held out; ``counted``: rows of the sketch, or a sample of them."""
    shown, real = _seen(columns, made, held_out)
    shapes = [_shape(one, two) for one, two in zip(shown, real, strict=True)]
    pairs = [_trend(shown, real, *pair) for pair in combinations(range(len(columns)), 2)]
    return Quality(
        round(float(np.mean(shapes)), 4),
        round(float(np.mean(pairs or [1.0])), 4),
        round(dcr_share(columns, made, held_out, counted), 4),
        copies(made, counted),
    )


def _seen(columns: Sequence[Column], *tables: pa.Table) -> list[list[_Seen]]:
    """The tables' columns as numbers; text of all tables under one set of codes."""
    made: list[list[_Seen]] = [[] for _ in tables]
    for column in columns:
        arrays = [table[column.name].combine_chunks() for table in tables]
        if column.levels or column.is_text:
            texts = [array.cast(pa.string()) for array in arrays]
            known = pc.unique(pc.drop_null(pa.concat_arrays(texts)))
            for held, text in zip(made, texts, strict=True):
                codes = pc.fill_null(pc.index_in(text, value_set=known), -1).to_numpy(zero_copy_only=False)
                held.append(_Seen(False, codes, codes >= 0))
        else:
            for held, array in zip(made, arrays, strict=True):
                numbers, there = as_numbers(column, array)
                held.append(_Seen(True, numbers.astype(np.float64), there))
    return made


def _shape(made: _Seen, real: _Seen) -> float:
    """1 - the greatest distance of the distribution functions, or half the sum over levels; missing is a level."""
    if not made.is_number:
        return 1 - _variation(made.values + 1, real.values + 1)
    one, two = np.sort(made.values[made.there]), np.sort(real.values[real.there])
    missing = abs((~made.there).mean() - (~real.there).mean())
    if not len(one) or not len(two):
        return float(1 - missing)
    at = np.concatenate([one, two])
    apart = np.searchsorted(one, at, "right") / len(one) - np.searchsorted(two, at, "right") / len(two)
    return float((1 - np.abs(apart).max()) * (1 - missing))


def _variation(one: Any, two: Any) -> float:
    size = int(max(one.max(initial=0), two.max(initial=0))) + 1
    shares = [np.bincount(codes, minlength=size) / max(len(codes), 1) for codes in (one, two)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _trend(made: Sequence[_Seen], real: Sequence[_Seen], one: int, two: int) -> float:
    if real[one].is_number and real[two].is_number:
        return 1 - abs(_correlation(made[one], made[two]) - _correlation(real[one], real[two])) / 2
    parts = [_parts(made[at], real[at]) for at in (one, two)]
    joint = [
        parts[0][side].astype(np.int64) * (parts[1][0].max() + parts[1][1].max() + 1) + parts[1][side]
        for side in (0, 1)
    ]
    return 1 - _variation(*joint)


def _correlation(one: _Seen, two: _Seen) -> float:
    both = one.there & two.there
    a, b = one.values[both], two.values[both]
    if len(a) < 2 or not a.std() or not b.std():
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _parts(made: _Seen, real: _Seen) -> tuple[Any, Any]:
    """Codes of both sides: levels as they are, numbers in ten equal parts of the real range; missing is 0."""
    if not real.is_number:
        return made.values + 1, real.values + 1
    known = real.values[real.there]
    ends = np.linspace(known.min(), known.max(), PARTS + 1)[1:-1] if len(known) else np.zeros(0)
    coded = [np.where(side.there, np.searchsorted(ends, side.values, "right") + 1, 0) for side in (made, real)]
    return coded[0], coded[1]


def copies(made: pa.Table, counted: pa.Table) -> int:
    """How many synthetic rows equal a counted row in every column."""
    held = set(zip(*(counted[name].to_pylist() for name in made.column_names), strict=True))
    return sum(row in held for row in zip(*(column.to_pylist() for column in made.columns), strict=True))


def dcr_share(columns: Sequence[Column], made: pa.Table, held_out: pa.Table, counted: pa.Table) -> float:
    """The share of synthetic rows whose closest record is a counted one, a tie for half; 0.5 for no rows."""
    size = min(NEAR_ROWS, held_out.num_rows, counted.num_rows)
    seen = _seen(columns, made.slice(0, NEAR_ROWS), held_out.slice(0, size), counted.slice(0, size))
    near = [_nearest(seen[0], side, [*seen[1], *seen[2]]) for side in seen[1:]]
    return float(((near[1] < near[0]) + (near[1] == near[0]) / 2).mean()) if size and made.num_rows else 0.5


def _nearest(made: Sequence[_Seen], real: Sequence[_Seen], both: Sequence[_Seen]) -> Any:
    """The distance of each made row to its nearest real one: differing levels, and numbers as shares of the range."""
    apart = np.zeros((len(made[0].values), len(real[0].values)), np.float32)
    for at, (one, two) in enumerate(zip(made, real, strict=True)):
        if not two.is_number:
            apart += one.values[:, None] != two.values[None]
            continue
        known = np.concatenate([each.values[each.there] for each in both[at :: len(made)]])
        width = float(np.ptp(known)) if len(known) else 0.0
        gap = np.abs(one.values[:, None] - two.values[None]) / (width or 1.0)
        apart += np.where(
            one.there[:, None] & two.there[None], np.minimum(gap, 1), one.there[:, None] != two.there[None]
        )
    return apart.min(axis=1)
