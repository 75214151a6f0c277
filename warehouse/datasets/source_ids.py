"""Which source each piece of a shard is of: numbers beside the Megatron index, in the order of its lengths.

``<shard>.sources`` is uint16, little-endian, one number a piece, NO_SOURCE for padding; ``sources`` of the manifest has
the names in order of their numbers. Won: a training job counts tokens or loss by source without the table of documents,
for 2 bytes a piece. Lost: a new name may give others another number, so the file is made anew where a shard is reused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.datasets.indexes import with_padding
from warehouse.errors import RecipeError
from warehouse.manifest import NO_SOURCE

ENDING = ".sources"
"""Of the file, after the stem of its shard."""
UNKNOWN = "unknown"
"""The name for rows that state no source."""


def source_names(documents: pa.Table, *, at: str) -> tuple[str, ...]:
    """The sources of documents in order. Raises RecipeError, which names ``at``, for more than numbers can tell."""
    found = sorted(set(_named(documents).unique().to_pylist()))
    if len(found) > NO_SOURCE:
        raise RecipeError(f"{at}: the select gives documents of {len(found):,} sources", allowed=f"{NO_SOURCE:,}")
    return tuple(found)


def write_sources(
    path: Path, segments: pa.Table, documents: pa.Table, names: Sequence[str], *, sequence_length: int
) -> None:
    """Write the file of a shard of which ``segments`` are the pieces and ``documents`` those it is of, in order."""
    numbers = pc.index_in(_named(documents), value_set=pa.array(names, pa.string())).to_numpy().astype("<u2")
    sample, length, document = (segments[name].to_numpy() for name in ("sample", "length", "document"))
    left = sequence_length - np.bincount(sample, length).astype(np.int64)
    padding = np.full(np.count_nonzero(left), NO_SOURCE, "<u2")
    path.write_bytes(with_padding(sample, numbers[document], left, padding).tobytes())


def _named(documents: pa.Table) -> pa.ChunkedArray:
    return pc.fill_null(documents["source"], UNKNOWN)
