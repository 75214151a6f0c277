"""Arrow arrays in the types that a Delta table has, at every depth of structs, lists and maps.

Unsigned integers become int64, half floats float, times of day text, durations int64 in their unit, decimals of more
than 38 digits text; large and view types plain ones; dictionaries and run-end encoded arrays are decoded; timestamps
are microseconds in UTC (UTC where they name no zone), finer digits cut toward the past, before 1970 as after it. A
row with a value that does not survive that, at any depth, is told to the caller: a time outside the years 1 to 9999,
an unsigned integer beyond int64. Types that have no place (intervals, unions) are left for the repository to refuse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import TIMESTAMP
from warehouse.sources.columns import cast_where_possible, microseconds, within_years

Mask = npt.NDArray[np.bool_]
DIGITS = 38  # of a Delta decimal


def simple(array: pa.Array) -> pa.Array:
    """The array in ``simple_type`` of its type, null where a value of the row cannot be that.

    ``array`` must be decoded: then a null more than it has is such a row.
    """
    if not _changes(array.type):
        return array
    made, lost = _made(array)
    return made.take(pa.array(np.arange(len(made)), pa.int64(), mask=lost)) if lost.any() else made


def decoded(array: pa.Array) -> pa.Array:
    """The values themselves of an extension, dictionary or run-end encoded array, whose nulls can be counted so."""
    while True:
        if isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        elif pa.types.is_dictionary(array.type):
            words = array.dictionary
            if pa.types.is_string_view(words.type) or pa.types.is_binary_view(
                words.type
            ):  # which Arrow cannot take from
                words = words.cast(simple_type(words.type))
            array = pa.DictionaryArray.from_arrays(array.indices, words).dictionary_decode()
        elif pa.types.is_run_end_encoded(array.type):
            array = pc.run_end_decode(array)
        else:
            return array


def simple_type(kind: pa.DataType) -> pa.DataType:
    """The type of a Delta table that holds the values of ``kind``."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return simple_type(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind) or _is_list(kind):
        inner = simple_type(kind.value_type)
        return pa.list_(inner) if _is_list(kind) else inner
    if types.is_struct(kind):
        return pa.struct([pa.field(item.name, simple_type(item.type)) for item in kind])
    if types.is_map(kind):
        return pa.map_(simple_type(kind.key_type), simple_type(kind.item_type))
    if types.is_decimal(kind):
        return _decimal(kind.precision, kind.scale)
    return next((wide for test, wide in WIDENED if test(kind)), kind)


def _decimal(precision: int, scale: int) -> pa.DataType:
    """The decimal that holds every value of another, with a scale of 0 to its precision; else text."""
    digits = max(precision - min(scale, 0), scale)
    return pa.decimal128(digits, max(scale, 0)) if digits <= DIGITS else pa.string()


def _changes(kind: pa.DataType) -> bool:
    """Whether a value of the type may have to be changed: the type is another in a table, or holds times."""
    inner = [kind.field(at).type for at in range(kind.num_fields)]
    timed = pa.types.is_timestamp(kind) or pa.types.is_date32(kind)
    return timed or kind != simple_type(kind) or any(map(_changes, inner))


def _made(array: pa.Array) -> tuple[pa.Array, Mask]:
    """The array in its simple type, and bool (rows,): true where a value of the row was lost."""
    array = decoded(array)
    types, kind = pa.types, array.type
    if not _changes(kind):
        return array, np.zeros(len(array), bool)
    if _is_list(kind):
        return _list(array)
    if types.is_map(kind):
        return _map(array)
    if types.is_struct(kind):
        return _struct(array)
    if types.is_timestamp(kind):
        made = microseconds(array)
    else:
        target = simple_type(kind)
        made = within_years(cast_where_possible(array, lambda values: pc.cast(values, target)))
    return made, _flags(pc.and_(pc.is_null(made), pc.is_valid(array)))


def _list(array: pa.Array) -> tuple[pa.Array, Mask]:
    values, lost = _made(pc.list_flatten(array))
    sizes = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(sizes)]), pa.int32())
    rows = np.zeros(len(array), bool)
    rows[np.repeat(np.arange(len(array)), sizes)[lost]] = True
    return pa.ListArray.from_arrays(offsets, values, mask=pc.is_null(array)), rows


def _map(array: pa.Array) -> tuple[pa.Array, Mask]:
    ends = array.offsets.to_numpy()
    (keys, lost_keys), (items, lost_items) = (
        _made(part.slice(ends[0], ends[-1] - ends[0])) for part in (array.keys, array.items)
    )
    rows = np.zeros(len(array), bool)
    rows[np.repeat(np.arange(len(array)), np.diff(ends))[lost_keys | lost_items]] = True
    offsets = pa.array(ends - ends[0], pa.int32())
    made = pa.MapArray.from_arrays(offsets, keys, items, mask=pc.is_null(array))
    return made, rows & _flags(pc.is_valid(array))


def _struct(array: pa.Array) -> tuple[pa.Array, Mask]:
    parts = [_made(part) for part in array.flatten()]
    fields = [pa.field(item.name, part.type) for item, (part, _) in zip(array.type, parts, strict=True)]
    made = pa.StructArray.from_arrays([part for part, _ in parts], fields=fields, mask=pc.is_null(array))
    return made, np.logical_or.reduce([lost for _, lost in parts])


def _flags(array: pa.Array) -> Mask:
    flags: Mask = array.to_numpy(zero_copy_only=False)
    return flags


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    plain = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(plain or types.is_list_view(kind) or types.is_large_list_view(kind))


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_large_string(kind) or types.is_string_view(kind) or types.is_time(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_large_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind))


WIDENED: tuple[tuple[Any, pa.DataType], ...] = (
    (pa.types.is_unsigned_integer, pa.int64()),
    (pa.types.is_duration, pa.int64()),
    (pa.types.is_timestamp, TIMESTAMP),
    (pa.types.is_float16, pa.float32()),
    (pa.types.is_date64, pa.date32()),
    (pa.types.is_null, pa.string()),
    (_is_text, pa.string()),
    (_is_bytes, pa.binary()),
)
