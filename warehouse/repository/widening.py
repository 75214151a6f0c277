"""The type that two types have in common, and the values of one in the other.

``joined`` is a join in a lattice (commutative, associative, idempotent), and ``converted`` gives the same value by
every way up: so a column's type and values do not depend on the order in which its objects came.

    null < any                     bool < text
    int8 < int16 < int32 < int64 < double < text        an integer beyond 2^53 beside a double: text
    float < double                 int < decimal < text, of 38 digits at most; a decimal beside a double: text
    date < time < time in UTC < text                     a date is midnight, a time without a zone is UTC
    list, map: of their items      struct: the fields of both      anything else of these: text, as JSON
    text < binary

Text of a number is its shortest decimal without zeros at the end (1, not 1.0), of a time at midnight UTC its date, of
what is nested JSON with sorted names, without nulls and with numbers bare, whether they came as numbers or as text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import misshapen

TEXT, BINARY, DOUBLE = pa.string(), pa.binary(), pa.float64()
UTC, NAIVE = pa.timestamp("us", "UTC"), pa.timestamp("us")
EXACT = 1 << 53
"""The integers up to which every one is a double."""
_DIGITS = {pa.int8(): 3, pa.int16(): 5, pa.int32(): 10, pa.int64(): 19}
_TIMES = (pa.date32(), NAIVE, UTC)
_MAX_DIGITS = 38
_BARE = re.compile(r"-?(0|[1-9]\d*)(\.\d*[1-9])?(e[+-]\d+)?|true|false")


def joined(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The narrowest type that holds the values of both; both as a table stores them (columns.stored)."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if one in _TIMES and other in _TIMES:
        return max(one, other, key=_TIMES.index)
    if _is_number(one) and _is_number(other):
        return _numbers(one, other)
    return BINARY if BINARY in (one, other) else _nested(one, other)


def _nested(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    t = pa.types
    if t.is_struct(one) and t.is_struct(other):
        return _structs(one, other)
    if t.is_list(one) and t.is_list(other):
        return pa.list_(joined(one.value_type, other.value_type))
    if t.is_map(one) and t.is_map(other):
        return pa.map_(*(joined(*pair) for pair in zip(_sides(one), _sides(other), strict=True)))
    return TEXT


def _structs(one: pa.StructType, other: pa.StructType) -> pa.DataType:
    fields = {field.name: field.type for field in one}
    for field in other:
        fields[field.name] = joined(fields.get(field.name, pa.null()), field.type)
    both = pa.struct(fields.items())
    return TEXT if misshapen(both) else both


def _is_number(kind: pa.DataType) -> bool:
    return bool(kind in _DIGITS or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _numbers(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    pair = (one, other)
    if all(kind in _DIGITS for kind in pair):
        return max(pair, key=_DIGITS.__getitem__)
    if not any(map(pa.types.is_decimal, pair)):
        return DOUBLE
    if any(map(pa.types.is_floating, pair)):
        return TEXT
    scale = max(getattr(kind, "scale", 0) for kind in pair)
    whole = max(_DIGITS[kind] if kind in _DIGITS else kind.precision - kind.scale for kind in pair)
    return pa.decimal128(whole + scale, scale) if whole + scale <= _MAX_DIGITS else TEXT


def fitting(array: pa.Array, target: pa.DataType) -> pa.DataType:
    """``target``, with text in place of each double that integers of the array, beyond 2^53, would not survive.

    ``target`` is a join of the array's type with others.
    """
    kind, t = array.type, pa.types
    if kind == target or target in (TEXT, BINARY) or t.is_null(kind):
        return target
    if t.is_struct(kind):
        inner = {field.name: part for field, part in zip(kind, array.flatten(), strict=True)}
        return pa.struct([(f.name, fitting(inner[f.name], f.type) if f.name in inner else f.type) for f in target])
    if t.is_list(kind):
        return pa.list_(fitting(pc.list_flatten(array), target.value_type))
    if t.is_map(kind):
        return pa.map_(*(fitting(part, side) for part, side in zip(_parts(array), _sides(target), strict=True)))
    if kind in _DIGITS and target == DOUBLE:
        ends = pc.min_max(array).as_py()
        exact = ends["max"] is None or max(-ends["min"], ends["max"]) <= EXACT
        return DOUBLE if exact else TEXT
    return target


def converted(array: pa.Array, target: pa.DataType) -> pa.Array:
    """The values in a type that ``joined`` and ``fitting`` gave."""
    kind, t = array.type, pa.types
    if kind == target:
        return array
    if array.null_count == len(array):
        return pa.nulls(len(array), target)
    if target in (TEXT, BINARY):
        return texts(array).cast(target)
    if t.is_struct(kind):
        inner = {field.name: part for field, part in zip(kind, array.flatten(), strict=True)}
        made = [converted(inner[f.name], f.type) if f.name in inner else pa.nulls(len(array), f.type) for f in target]
        return pa.StructArray.from_arrays(made, fields=list(target), mask=pc.is_null(array))
    if t.is_list(kind) or t.is_map(kind):
        return _repeated(array, target)
    return array.cast(NAIVE).cast(target) if kind == pa.date32() else array.cast(target)


def _repeated(array: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_list(array.type):
        sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
        values = converted(pc.list_flatten(array), target.value_type)
        return pa.ListArray.from_arrays(offsets, values, mask=pc.is_null(array))
    keys, items = (converted(part, side) for part, side in zip(_parts(array), _sides(target), strict=True))
    offsets = pa.array(array.offsets.to_numpy() - array.offsets[0].as_py(), pa.int32())
    return pa.MapArray.from_arrays(offsets, keys, items, mask=pc.is_null(array))


def texts(array: pa.Array) -> pa.StringArray:
    """The values as text, the same whatever wider type they went through."""
    kind, t = array.type, pa.types
    if t.is_floating(kind):
        return _floats(array.cast(DOUBLE))
    if t.is_decimal(kind):
        return pa.array([None if value is None else _plain(value) for value in array.to_pylist()], TEXT)
    if t.is_timestamp(kind):
        return _moments(array.cast(UTC))
    if t.is_nested(kind):
        return pa.array([None if v is None else _json(v) for v in converted(array, _of_text(kind)).to_pylist()], TEXT)
    if t.is_binary(kind):
        return pa.array([None if v is None else v.decode("utf-8", "backslashreplace") for v in array.to_pylist()], TEXT)
    return array.cast(TEXT)


def _floats(array: pa.Array) -> pa.Array:
    values = array.fill_null(0.5).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        whole = (np.abs(values) <= EXACT) & (values == np.floor(values))
    integers = pa.array(np.where(whole, values, 0).astype(np.int64), mask=~whole)
    return pc.coalesce(integers.cast(TEXT), array.cast(TEXT))


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _moments(array: pa.Array) -> pa.Array:
    days = array.cast(pa.date32(), safe=False)
    midnight = pc.equal(days.cast(NAIVE).cast(UTC), array)
    return pc.if_else(midnight, days.cast(TEXT), array.cast(TEXT))


def _of_text(kind: pa.DataType) -> pa.DataType:
    """The type with text, or binary, in place of each value in it."""
    t = pa.types
    if t.is_struct(kind):
        return pa.struct([(field.name, _of_text(field.type)) for field in kind])
    if t.is_list(kind):
        return pa.list_(_of_text(kind.value_type))
    if t.is_map(kind):
        return pa.map_(*map(_of_text, _sides(kind)))
    return TEXT


def _json(value: Any) -> str:
    """JSON of structs (dict), maps (pairs) and lists whose values are text."""
    if isinstance(value, dict):
        return _object(value.items())
    if isinstance(value, list) and value and all(isinstance(each, tuple) for each in value):
        return _object(value)
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if value is None:
        return "null"
    return value if _BARE.fullmatch(value) else orjson.dumps(value).decode()


def _object(pairs: Any) -> str:
    shown = (f"{orjson.dumps(str(name)).decode()}:{_json(value)}" for name, value in sorted(pairs) if value is not None)
    return f"{{{','.join(shown)}}}"


def _sides(kind: pa.MapType) -> tuple[pa.DataType, pa.DataType]:
    return kind.key_type, kind.item_type


def _parts(array: pa.MapArray) -> tuple[pa.Array, pa.Array]:
    """Keys and items of the entries of the array alone: of a slice, not of the whole."""
    begin, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
    return array.keys.slice(begin, end - begin), array.items.slice(begin, end - begin)
