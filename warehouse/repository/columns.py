"""Types of a table's columns: which Arrow types a table can hold, what two types have in common, and what fits
without loss.

Won: no value is changed or emptied to fit. A value that a column cannot hold is reported by its row. Lost: times are
held to the microsecond (Delta's own unit; finer digits are cut), and a time of day is held as text, because Delta has
no such type. delta-rs would take uint8 as int8 and uint64 as int64: unsigned types go one size up here, uint64 to
decimal(20, 0).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import misshapen
from warehouse.errors import InputError
from warehouse.repository.keys import Mask


class Unstorable(InputError):
    """A column whose name or type no table can hold: not a fault of the run, but of the object that has it."""


FORBIDDEN = " ,;{}()\n\t="
_WIDER = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
}


def check_names(names: Iterable[str], *, table: str) -> None:
    """Raise Unstorable for column names that Delta cannot hold (characters ``,;{}()=``, white space) or that differ
    in case only.
    """
    listed = list(names)
    for name in listed:
        if not name or any(sign in FORBIDDEN for sign in name):
            raise _refused(table, name, "letters, digits and underscores; never ,;{}()= or white space")
    for name, count in Counter(name.casefold() for name in listed).items():
        if count > 1:
            raise _refused(table, name, "names that differ in more than case")


def _refused(table: str, name: str, allowed: str) -> Unstorable:
    return Unstorable(
        f"table {table} cannot hold a column named {name!r}", allowed=allowed, do="rename it in the source", column=name
    )


def stored_schema(schema: pa.Schema, *, table: str) -> pa.Schema:
    """The schema as a table holds it; null stays null (undecided). Raises Unstorable for a type that has no place."""
    check_names(schema.names, table=table)
    return pa.schema([pa.field(f.name, stored(f.type, f"column {f.name!r} of table {table}")) for f in schema])


def stored(kind: pa.DataType, what: str) -> pa.DataType:
    """The type under which a table holds a type. Raises Unstorable."""
    if reason := misshapen(kind):
        raise Unstorable(f"{what} {reason}", do="rename or flatten its fields in the source")
    t = pa.types
    if t.is_dictionary(kind) or t.is_run_end_encoded(kind):
        return stored(kind.value_type, what)
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        return pa.list_(stored(kind.value_type, what))
    if t.is_struct(kind) and kind.num_fields:
        return pa.struct([pa.field(f.name, stored(f.type, what)) for f in kind])
    if t.is_map(kind):
        return pa.map_(stored(kind.key_type, what), stored(kind.item_type, what))
    return _flat(kind, what)


def _flat(kind: pa.DataType, what: str) -> pa.DataType:
    t = pa.types
    if t.is_large_string(kind) or t.is_string_view(kind) or t.is_time(kind):
        return pa.string()
    if t.is_large_binary(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind):
        return pa.binary()
    if t.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    if t.is_date64(kind):
        return pa.date32()
    kind = _WIDER.get(kind, kind)
    plain = t.is_signed_integer(kind) or t.is_floating(kind) or t.is_boolean(kind) or t.is_null(kind)
    if plain or t.is_string(kind) or t.is_binary(kind) or t.is_date32(kind) or t.is_decimal128(kind):
        return kind
    raise Unstorable(
        f"{what} has type {kind}, which a table cannot hold", do="turn it into a number or text in the source"
    )


def as_stored(batch: pa.RecordBatch, *, table: str) -> pa.RecordBatch:
    """A batch in the types that a table holds; times finer than a microsecond are cut toward the past."""
    schema = stored_schema(batch.schema, table=table)
    arrays = [
        column if column.type == field.type else _cut(column).cast(field.type, safe=False)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cut(column: pa.Array) -> pa.Array:
    """Nanoseconds in UTC at the last microsecond before them; any other column as it is."""
    fine = pa.types.is_timestamp(column.type) and column.type.unit == "ns"
    return pc.floor_temporal(column.cast(pa.timestamp("ns")), unit="microsecond") if fine else column


def decided(kind: pa.DataType) -> pa.DataType:
    """A type with every null in it (no value seen) made text, for a table that is being made."""
    t = pa.types
    if t.is_null(kind):
        return pa.string()
    if t.is_list(kind):
        return pa.list_(decided(kind.value_type))
    if t.is_struct(kind):
        return pa.struct([pa.field(f.name, decided(f.type)) for f in kind])
    return kind


def fit(column: pa.Array, target: pa.DataType) -> tuple[pa.Array, Mask]:
    """The column as ``target``, and bool (rows,): true where the value cannot be ``target`` without loss (null
    there).
    """
    whole = _lossless(column, target)
    if whole is not None:
        return whole, np.zeros(len(column), bool)
    if len(column) == 1:
        return pa.nulls(1, target), np.ones(1, bool)
    middle = len(column) // 2
    left, right = fit(column.slice(0, middle), target), fit(column.slice(middle), target)
    return pa.concat_arrays([left[0], right[0]]), np.concatenate([left[1], right[1]])


def _lossless(column: pa.Array, target: pa.DataType) -> pa.Array | None:
    if column.type == target:
        return column
    if column.null_count == len(column):
        return pa.nulls(len(column), target)
    if pa.types.is_nested(column.type) and pa.types.is_string(target):
        return pa.array(
            [None if v is None else orjson.dumps(v, default=str).decode() for v in column.to_pylist()], target
        )
    try:
        made = column.cast(target)
        return made if _reads_back(column, made) else None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None


def _reads_back(column: pa.Array, made: pa.Array) -> bool:
    """Whether the values survive the way back. Text of a number may be spelt in many ways: there a parse is enough."""
    t, kind = pa.types, made.type
    if t.is_string(column.type) and (t.is_floating(kind) or t.is_decimal(kind) or t.is_temporal(kind)):
        return True
    if t.is_nested(kind):
        return _agrees(column.to_pylist(), made.to_pylist())
    back = made.cast(column.type, safe=False)
    if t.is_floating(column.type):
        missing = pc.is_nan(column)
        if pc.any(missing).as_py() and not (t.is_floating(kind) or t.is_string(kind)):
            return False  # a cast to bool takes NaN for true
        back, column = (pc.if_else(missing, 0.0, side) for side in (back, column))
    return bool(back.equals(column))


def _agrees(one: Any, other: Any) -> bool:
    """Whether every value of ``one`` is in ``other``; a field more that is null is no difference, NaN is NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_agrees(value, other.get(name)) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_agrees, one, other))
    return bool(one == other) or (isinstance(one, float) and math.isnan(one))
