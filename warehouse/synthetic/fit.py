"""A sketch with its network in two rounds over the rows: pairs first, then the tables that the network needs.

Sites that share no rows go the same way: each counts pairs under the same columns, the sum chooses the network (a pure
function of the pairs), each counts its tables, and their sum is the sketch of all rows, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from warehouse.sketches import Column, TableSketch, fingerprint, sketch
from warehouse.synthetic.network import MAX_PARENTS, VERSION, choose

Again = Callable[[], Iterable[pa.RecordBatch]]
"""A table that can be read more than once."""


def fit(batches: Again, columns: Sequence[Column], *, max_parents: int = MAX_PARENTS) -> TableSketch:
    """The sketch of round two: counts of columns, pairs, and the families of a network of at most ``max_parents``."""
    parents = choose(sketch(batches(), columns), max_parents=max_parents)
    return sketch(batches(), columns, parents)


def marked(drawn: pa.Table, made: TableSketch, *, seed: int) -> pa.Table:
    """Drawn rows with what every synthetic row says of itself: that it is one, and what it was drawn from."""
    rows = drawn.num_rows
    same = {
        "synthetic": pa.scalar(True),
        "generation": pa.scalar(1, pa.int32()),
        "seed": pa.scalar(seed, pa.int64()),
        "sketch": pa.scalar(fingerprint(made.columns, made.parents)),
        "model": pa.scalar(VERSION),
    }
    for name, value in same.items():
        drawn = drawn.append_column(name, pa.repeat(value, rows))
    return drawn
