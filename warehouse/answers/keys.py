"""Rows of two tables brought together by their keys: which are in both, and which in one alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import RecipeError

Numbers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Matched:
    """Numbers of rows in the order of the keys: in both (left, right, side by side), in the left or right one alone."""

    left: Numbers
    right: Numbers
    only_left: Numbers
    only_right: Numbers


def matched(left: pa.Table, right: pa.Table) -> Matched:
    """The rows of two tables of keys, joined; a key is in each of them once at most."""
    names = [f"k{at}" for at in range(left.num_columns)]
    sides = [
        keys.rename_columns(names).append_column(side, pa.array(np.arange(keys.num_rows)))
        for keys, side in ((left, "left"), (right, "right"))
    ]
    joined = sides[0].join(sides[1], keys=names, join_type="full outer")
    joined = joined.sort_by([(name, "ascending") for name in names])
    one, other = (pc.fill_null(joined[side], -1).to_numpy() for side in ("left", "right"))
    both = (one >= 0) & (other >= 0)
    return Matched(one[both], other[both], one[other < 0], other[one < 0])


def held(keys: pa.Table, given: pa.Table) -> Truths:
    """Which of these keys are among the given ones. Raises RecipeError where those are of other types."""
    types = [str(table.schema.types) for table in (keys, given)]
    if types[0] != types[1]:
        raise RecipeError(f"the select gives a key of {types[1]}", allowed=types[0])
    found = np.zeros(keys.num_rows, np.bool_)
    found[matched(keys, given.group_by(given.column_names).aggregate([])).left] = True
    return found
