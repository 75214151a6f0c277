"""Arrow columns as fixed-width little-endian rows, and the layout that says how to read them.

::

    byte 0                                                        row_bytes
    | column 0 | column 1 | ... | column n-1 | valid 0 | valid 1 | ...   packed, in the order of the select

    int8..int64, uint8..uint64, bool   as they are; null is 0 with a validity byte of 0
    string                             UTF-8, NUL-padded to the least of 8, 16, ... 1,024 bytes that holds all of the
                                       release; null is empty with a validity byte of 0
    float, double                      null is NaN, and so is a NaN that was a value (the Parquet file tells them apart)
    date, timestamp                    int64 days or microseconds since 1970 UTC; null is NaT, the least int64

Won: row i of a shard is one slice at i * row_bytes, whatever the types. Lost: a string takes the width of the longest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.errors import RecipeError
from warehouse.manifest import Column

MOST_TEXT = 1024
ALLOWED = "BOOLEAN, whole numbers up to 64 bits, FLOAT, DOUBLE, DATE, TIMESTAMP, TIMESTAMPTZ, VARCHAR"


def releasable(table: pa.Table, *, at: str) -> pa.Table:
    """The table in types that a row can hold. Raises RecipeError, naming the column, for any other."""
    fields = [pa.field(field.name, _plain(field, at)) for field in table.schema]
    return table.cast(pa.schema(fields))


def _plain(field: pa.Field, at: str) -> pa.DataType:
    kind = field.type
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if _width(kind) is None and not pa.types.is_string(kind):
        raise RecipeError(f"{at}: column {field.name} is {kind}", allowed=ALLOWED, do="CAST it in the select")
    return kind


def _width(kind: pa.DataType) -> str | None:
    """The numpy type of a fixed-width column."""
    if pa.types.is_date32(kind):
        return "<M8[D]"
    if pa.types.is_timestamp(kind):
        return "<M8[us]"
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind):
        return str(np.dtype(kind.to_pandas_dtype()).newbyteorder("<").str)
    return None


def layout(table: pa.Table, *, at: str) -> tuple[tuple[Column, ...], int]:
    """The columns' places in a row, and its width in bytes."""
    dtypes = [_width(field.type) or _text(table[field.name], field.name, at) for field in table.schema]
    ends = np.cumsum([0, *(np.dtype(dtype).itemsize for dtype in dtypes)]).tolist()
    marked = [np.dtype(dtype).kind not in "fM" for dtype in dtypes]
    marks = (ends[-1] + np.cumsum([0, *marked])).tolist()
    columns = tuple(
        Column(field.name, str(field.type), dtype, start, mark if is_marked else None)
        for field, dtype, start, mark, is_marked in zip(table.schema, dtypes, ends, marks, marked, strict=False)
    )
    return columns, int(marks[-1])


def _text(column: pa.ChunkedArray, name: str, at: str) -> str:
    """The bytes type that holds every text of a column."""
    longest = int(pc.max(pc.binary_length(column)).as_py() or 0)
    if longest > MOST_TEXT:
        raise RecipeError(
            f"{at}: column {name} has a text of {longest:,} bytes",
            allowed=f"{MOST_TEXT:,} bytes of UTF-8",
            do="leave it out of the select, shorten it, or give its hash",
        )
    if pc.any(pc.ends_with(column, "\0")).as_py():
        raise RecipeError(f"{at}: column {name} has a text that ends with NUL", allowed="texts without")
    return f"|S{max(8, 1 << max(longest - 1, 0).bit_length())}"


def encode(table: pa.Table, columns: tuple[Column, ...], row_bytes: int) -> npt.NDArray[np.uint8]:
    """The rows of a table: uint8[rows, row_bytes]."""
    rows = np.zeros((table.num_rows, row_bytes), dtype=np.uint8)
    for column in columns:
        values, valid = _values(table[column.name].combine_chunks(), column)
        width = values.dtype.itemsize
        raw = np.ascontiguousarray(values).view(np.uint8).reshape(table.num_rows, width)
        rows[:, column.offset : column.offset + width] = raw
        if column.valid is not None:
            rows[:, column.valid] = valid
    return rows


def _values(array: Any, column: Column) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Values of the column's numpy type, and which of them are there."""
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    dtype = np.dtype(column.dtype)
    if dtype.kind == "S":
        texts = pc.cast(array, pa.binary()).fill_null(b"")
        return np.array(texts.to_pylist(), dtype=dtype), valid
    if dtype.kind == "M":
        plain = array.cast(pa.int32()).cast(pa.int64()) if column.type == "date32[day]" else array.cast(pa.int64())
        least = np.iinfo(np.int64).min
        return plain.fill_null(least).to_numpy(zero_copy_only=False).astype("<i8").view(dtype), valid
    empty = {"f": float("nan"), "b": False}.get(dtype.kind, 0)
    filled = array.fill_null(pa.scalar(empty, array.type)).to_numpy(zero_copy_only=False)
    return filled.astype(dtype, copy=False), valid
