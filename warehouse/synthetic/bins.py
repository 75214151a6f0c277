"""How each column is counted: stated in a recipe, else fitted from the rows, which is then said of the column.

Numbers get bins of about equal mass; a value that alone has the mass of a bin gets one of its own, so spikes (0, 40
hours, 99,999) stay exact. Text gets a level for each value met ``min_count`` times or more, ``max_levels`` at most;
the rest is the level ``other``. Fitted on 200,000 rows at most, a uniform sample: memory does not grow with the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import UsageError
from warehouse.sketches import OTHER, Bins, Column, as_numbers

FIT_ROWS = 200_000
MAX_DECIMALS = 6
Stated = tuple[float, ...] | tuple[str, ...]
"""The edges of a number's bins, ascending, or the levels of a text."""
COUNTABLE = "text, booleans, whole numbers, doubles, decimals, dates, timestamps"


@dataclass(frozen=True, slots=True)
class Fineness:
    """bins: of a number at most; max_levels: of text; min_count: rows that a level of its own must have."""

    bins: int = 32
    max_levels: int = 64
    min_count: int = 10


def fit_columns(
    batches: Iterable[pa.RecordBatch],
    *,
    stated: Mapping[str, Stated] | None = None,
    fineness: Fineness | None = None,
    seed: int = 0,
) -> tuple[Column, ...]:
    """A Column for each column of the rows: its edges or levels as ``stated`` by name, else fitted.

    Raises UsageError for no row, for a stated name that is not there, and for a type that cannot be counted.
    """
    given, fine = stated or {}, fineness or Fineness()
    rows = sampled(batches, FIT_ROWS, seed=seed)
    for name in given:
        if name not in rows.column_names:
            raise UsageError(f"bins of {name!r}, which is no column", allowed=", ".join(rows.column_names))
    return tuple(_column(name, rows[name], given.get(name), fine) for name in rows.column_names)


def sampled(batches: Iterable[pa.RecordBatch], size: int, *, seed: int) -> pa.Table:
    """At most ``size`` rows, drawn uniformly by (seed, number of the row), in their order.

    Raises UsageError for none.
    """
    held: list[pa.Table] = []
    ranks: list[Any] = []
    met = count = 0
    for batch in batches:
        held.append(pa.Table.from_batches([batch]))
        ranks.append(ranks_of(met, batch.num_rows, seed=seed))
        met, count = met + batch.num_rows, count + batch.num_rows
        if count > 2 * size:
            held, ranks, count = *_least(held, ranks, size), size
    if not met:
        raise UsageError("no row to count", do="look at what the table or the SELECT gives")
    return _least(held, ranks, size)[0][0]


def _least(held: list[pa.Table], ranks: list[Any], size: int) -> tuple[list[pa.Table], list[Any]]:
    rows, drawn = pa.concat_tables(held), np.concatenate(ranks)
    if len(drawn) <= size:
        return [rows], [drawn]
    kept = np.sort(np.argpartition(drawn, size)[:size])
    return [rows.take(kept)], [drawn[kept]]


def ranks_of(start: int, count: int, *, seed: int) -> Any:
    """uint64[count]: a random number of each row ``start``, ``start + 1``..., by (seed, row) alone (splitmix64)."""
    value = np.arange(start, start + count, dtype=np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15) % (1 << 64))
    for shift, odd in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = (value ^ (value >> np.uint64(shift))) * np.uint64(odd)
    return value ^ (value >> np.uint64(31))


def _column(name: str, values: pa.ChunkedArray, given: Any, fine: Fineness) -> Column:
    kind, t = values.type, pa.types
    if t.is_dictionary(kind):
        return _column(name, values.cast(kind.value_type), given, fine)
    if t.is_boolean(kind):
        return Column(name, "bool", levels=("false", "true"))
    if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind) or t.is_null(kind):
        levels = tuple(given) if given else _levels(values, fine)
        return Column(name, "string", levels=levels, fitted=not given)
    if any(isinstance(each, str) for each in given or ()):
        raise UsageError(f"levels of {name!r}, which is {kind}", allowed="numbers, the edges of its bins")
    if t.is_integer(kind) or t.is_floating(kind) or t.is_decimal128(kind) or t.is_date32(kind) or t.is_timestamp(kind):
        return _number(Column(name, str(kind)), values, given, fine)
    raise UsageError(f"column {name!r} is {kind}", allowed=COUNTABLE, do="leave the column out or cast it")


def _levels(values: pa.ChunkedArray, fine: Fineness) -> tuple[str, ...]:
    """The levels met often enough, the most frequent first, at most ``max_levels``; in order of their text."""
    counted = pc.value_counts(pc.drop_null(values.cast(pa.string()))).to_pylist()
    often = [(-each["counts"], each["values"]) for each in counted if each["counts"] >= fine.min_count]
    return tuple(sorted(level for _, level in sorted(often)[: fine.max_levels] if level != OTHER))


def _number(column: Column, values: pa.ChunkedArray, given: Any, fine: Fineness) -> Column:
    numbers, there = as_numbers(column, values.combine_chunks())
    found = np.sort(numbers[there & np.isfinite(numbers)])
    decimals = None if column.is_whole else _decimals(found)
    bins = _between(column, given) if given else _bins(found, fine.bins)
    return Column(column.name, column.type, bins=bins or ((0, 0),), decimals=decimals, fitted=not given)


def _between(column: Column, given: Sequence[float]) -> Bins:
    """The bins between stated edges; of whole numbers each but the last ends before the next edge."""
    if not column.is_whole:
        return tuple((float(low), float(high)) for low, high in pairwise(given))
    ends = [*(int(edge) - 1 for edge in given[1:-1]), int(given[-1])]
    return tuple((int(low), high) for low, high in zip(given[:-1], ends, strict=True))


def _bins(found: Any, most: int) -> Bins:
    """Bins over sorted numbers: one for each value that alone has the mass of a bin, equal mass for the rest."""
    values, counts = np.unique(found, return_counts=True)
    if len(values) <= most:
        return tuple((low.item(), low.item()) for low in values)
    alone = counts >= len(found) / most
    width = max(1.0, counts[~alone].sum() / max(1, most - int(alone.sum())))
    return tuple((values[group[0]].item(), values[group[-1]].item()) for group in _groups(counts, alone, width))


def _groups(counts: Any, alone: Any, width: float) -> Sequence[list[int]]:
    """Runs of neighbouring values with a mass of about ``width``; a value that stands alone is its own run."""
    groups, mass = list[list[int]](), 0.0
    for at, count in enumerate(counts.tolist()):
        if not groups or alone[at] or alone[at - 1] or mass + count / 2 >= width:
            groups.append([at, at])
            mass = 0.0
        groups[-1][1] = at
        mass += count
    return groups


def _decimals(found: Any) -> int | None:
    """The fewest decimals that all numbers have, None for more than MAX_DECIMALS."""
    for decimals in range(MAX_DECIMALS + 1):
        if np.array_equal(np.round(found, decimals), found):
            return decimals
    return None
