"""A column of strings as addresses: whatever Arrow calls it, sliced or not, with or without nulls.

string, large_string and string_view (and dictionaries of them) become large_string, whose offsets are 64 bits wide; the
cast copies offsets only, but for string_view. A null is measured as the empty text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from warehouse.errors import UsageError

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Texts:
    """``count`` texts: text i lies at data + offset[i] .. data + offset[i + 1], offsets int64 at ``offsets``.

    ``bytes`` is the size of all, ``longest`` that of the longest; ``keep`` holds what the addresses point into.
    """

    offsets: int
    data: int
    count: int
    bytes: int
    longest: int
    keep: Any


def texts(column: pa.Array) -> Texts:
    """The texts of an Arrow array. Raises UsageError for an array of anything but strings."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise UsageError(f"a column of {column.type}", allowed="string, large_string or string_view")
    wide = column.cast(pa.large_string())
    if wide.null_count:
        wide = wide.fill_null("")
    _, offsets, data = wide.buffers()
    if not len(wide) or offsets is None:
        return Texts(0, 0, 0, 0, 0, None)
    view = np.frombuffer(offsets, np.int64)[wide.offset : wide.offset + len(wide) + 1]
    total, longest = int(view[-1] - view[0]), int(np.diff(view).max())
    return Texts(view.ctypes.data, data.address if data else 0, len(wide), total, longest, (view, wide))


def parts(batch: pa.RecordBatch, *, max_bytes: int) -> Iterator[pa.RecordBatch]:
    """Slices of a batch with some ``max_bytes`` of its memory each, in order."""
    rows = max(1, batch.num_rows * max_bytes // max(batch.nbytes, 1))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)
