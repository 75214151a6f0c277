"""Record batches of a typed table from JSON objects, with columns that never change their type within an object.

A column exists from the batch in which it first has a value that is not null, {} or []; its type is the declared one,
else that of its first values (bool, int64, double, string, struct, list). Later values fit if they are null, of that
type, integers in a column of doubles, or structs with fields more: anything else is a Reject ``type_mismatch`` for
the row, never a silent null. So is a value of a type that no table holds (contracts.misshapen): nested too deep, or
with a field that differs from another of its struct in case only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from warehouse.contracts import TIMESTAMP, Reject, misshapen
from warehouse.sources.columns import ARROW, cast_text, commented, named, opening, record_names
from warehouse.sources.recipe import Column, Source
from warehouse.sources.records import moments

Row = dict[str, Any]
EMPTY = {pa.struct([]).id: pa.struct([]), pa.list_(pa.null()).id: pa.list_(pa.null())}


@dataclass(slots=True)
class Rows:
    """Builds the batches of one member; ``types`` (by original name) grows with the columns met."""

    source: Source
    uri: str
    prefix: str = ""
    types: dict[str, pa.DataType] = field(default_factory=dict)

    def batch(self, numbers: Sequence[int], rows: list[Row]) -> Iterator[pa.RecordBatch | Reject]:
        """The rows as one batch, and a Reject for each that does not fit."""
        bad: dict[int, str] = {}
        arrays = {key: self._column(key, [row.get(key) for row in rows], bad) for key in _keys(rows)}
        known = self._known_at(rows, bad)
        for at in sorted(bad):
            yield self._reject(numbers[at], rows[at], bad[at])
        good = pa.array([at not in bad for at in range(len(rows))])
        if len(bad) < len(rows):
            record = record_names(self.prefix, numbers)
            yield self._assembled(arrays, record, known, good)

    def _assembled(
        self, arrays: dict[str, pa.Array | None], record: pa.Array, known: pa.Array, good: pa.Array
    ) -> pa.RecordBatch:
        size = len(record)
        columns = [_or_nulls(arrays.get(key), size, kind) for key, kind in self.types.items()]
        names = named(list(self.types), self.source.columns)
        fields = [commented(name, col.type, key) for name, col, key in zip(names, columns, self.types, strict=True)]
        fields += [pa.field("_record", pa.string()), pa.field("_known_at", TIMESTAMP)]
        return pa.RecordBatch.from_arrays([*columns, record, known], schema=pa.schema(fields)).filter(good)

    def _column(self, key: str, values: list[Any], bad: dict[int, str]) -> pa.Array | None:
        """The column's values in its type; the rows that do not fit are added to ``bad`` under their index."""
        if key in self.source.columns:
            array, odd = declared(values, self.source.columns[key])
            self.types.setdefault(key, array.type)
            bad.update(dict.fromkeys(odd, f"{key!r} is not {self.source.columns[key].type}"))
            return array
        kind = _merged_all(self.types.get(key), values)
        if kind is None:
            kind, unfit = _merged_each(self.types.get(key), values)
            bad.update((at, f"{key!r} {_why(values[at], kind)}") for at in unfit)
            values = [None if at in unfit else value for at, value in enumerate(values)]
        kind = _settled(kind) if kind is not None else None
        if kind is None:
            return None
        self.types[key] = kind
        array, inexact = exact(values, kind)
        bad.update(dict.fromkeys(inexact, f"{key!r} is more exact than {kind}"))
        return array

    def _known_at(self, rows: list[Row], bad: dict[int, str]) -> pa.Array:
        key = self.source.known_at.column
        if key is None:
            return pa.nulls(len(rows), TIMESTAMP)
        values = [row.get(key) for row in rows]
        column = self.source.columns.get(key, Column("timestamp"))
        array, odd = declared(values, Column("timestamp", column.format))
        bad.update(dict.fromkeys(odd, f"known_at {key!r} is not a time"))
        return array

    def _reject(self, number: int, row: Row, message: str) -> Reject:
        return Reject(self.uri, str(number), "type_mismatch", message, number, None, opening(row))


def exact(values: list[Any], kind: pa.DataType) -> tuple[pa.Array, list[int]]:
    """The values in the type, and the indices of those that it would round (null there): 2**63 - 1 among doubles."""
    try:
        return pa.array(values, kind), []
    except pa.ArrowInvalid:
        if len(values) == 1:
            return pa.nulls(1, kind), [0]
    half = len(values) // 2
    (first, odd), (second, more) = exact(values[:half], kind), exact(values[half:], kind)
    return pa.concat_arrays([first, second]), [*odd, *(half + at for at in more)]


def declared(values: list[Any], column: Column) -> tuple[pa.Array, list[int]]:
    """The values in the declared type, and the indices of those that cannot be that (null there)."""
    texts = pa.array([value if type(value) is str else None for value in values], pa.string())
    array = cast_text(texts, column)
    if any(value is not None and type(value) is not str for value in values):
        mixed = array.to_pylist()
        for at, value in enumerate(values):
            if value is not None and type(value) is not str:
                mixed[at] = _plain(value, column.type)
        array = pa.array(mixed, ARROW[column.type])
    return array, [at for at, valid in enumerate(array.is_valid().to_pylist()) if not valid and values[at] is not None]


def _plain(value: Any, kind: str) -> Any:
    """A JSON number or boolean as a value of the type, or None."""
    if type(value) is bool:
        return value if kind == "bool" else None
    if type(value) not in (int, float):
        return None
    if kind == "timestamp":
        return moments(pa.array([float(value)]))[0].as_py()
    if kind == "decimal":
        return cast_text(pa.array([str(value)]), Column("decimal"))[0].as_py()
    if kind == "int64":
        return int(value) if value == int(value) and abs(value) < 1 << 63 else None
    return float(value) if kind == "double" and float(value) == value else None


def _or_nulls(array: pa.Array | None, size: int, kind: pa.DataType) -> pa.Array:
    return pa.nulls(size, kind) if array is None else array


def _keys(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _merged_all(kind: pa.DataType | None, values: list[Any]) -> pa.DataType | None:
    """The column's type with these values in it, or None where one of them does not fit."""
    return _widened(kind, values, grow=False)


def _merged_each(kind: pa.DataType | None, values: list[Any]) -> tuple[pa.DataType | None, set[int]]:
    """As above, value by value in order: the type that most follow, and the indices of those that do not fit it."""
    odd: set[int] = set()
    grow = kind is None
    for at, value in enumerate(values):
        wider = _widened(kind, [value], grow=grow)
        if wider is None:
            odd.add(at)
        else:
            kind = wider
    return kind, odd


def _widened(kind: pa.DataType | None, values: list[Any], *, grow: bool) -> pa.DataType | None:
    fresh = _inferred(values)
    if fresh is None or misshapen(fresh):
        return None
    wider = merged(kind, fresh, grow=grow)
    return None if wider is None or misshapen(wider) else wider


def common_type(values: list[Any]) -> pa.DataType | None:
    """The type of a column that holds the values; None where there is none, or they show none (null, {}, [])."""
    kind = _merged_all(None, values)
    return None if kind is None else _settled(kind)


def _inferred(values: list[Any]) -> pa.DataType | None:
    """The Arrow type of the values, or None where they have none in common."""
    try:
        return pa.array(values).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None


def _why(value: Any, kind: pa.DataType | None) -> str:
    """Why a value has no place in a column of the type."""
    fresh = _inferred([value])
    if fresh is None:
        return "holds numbers beyond 64 bits, or values that no one type holds"
    return misshapen(fresh) or f"does not fit {kind}"


def merged(known: pa.DataType | None, fresh: pa.DataType, *, grow: bool) -> pa.DataType | None:
    """The type that holds both, or None. ``grow``: integers may become doubles, as nothing has been written yet."""
    if known is None or pa.types.is_null(known):
        known = EMPTY.get(fresh.id, pa.null())
    if pa.types.is_struct(fresh) and pa.types.is_struct(known):
        return _merged_structs(known, fresh, grow=grow)
    if pa.types.is_list(fresh) and pa.types.is_list(known):
        inner = merged(known.value_type, fresh.value_type, grow=grow)
        return None if inner is None else pa.list_(inner)
    return _merged_scalars(known, fresh, grow=grow)


def _merged_scalars(known: pa.DataType, fresh: pa.DataType, *, grow: bool) -> pa.DataType | None:
    if pa.types.is_uint64(fresh):
        return None
    if pa.types.is_null(known) or known == fresh:
        return fresh
    if pa.types.is_null(fresh):
        return known
    numbers = {known, fresh} == {pa.int64(), pa.float64()}
    return pa.float64() if numbers and (grow or known == pa.float64()) else None


def _merged_structs(known: Iterable[pa.Field], fresh: pa.StructType, *, grow: bool) -> pa.DataType | None:
    fields = {item.name: item.type for item in known}
    for item in fresh:
        kind = merged(fields.get(item.name), item.type, grow=grow)
        if kind is None:
            return None
        fields[item.name] = kind
    return pa.struct(fields.items())


def _settled(kind: pa.DataType) -> pa.DataType | None:
    """The type without parts that no value has shown yet (null, {}, [] of null); None if nothing is left."""
    if pa.types.is_null(kind):
        return None
    if pa.types.is_struct(kind):
        fields = [(item.name, _settled(item.type)) for item in kind]
        shown = [(name, inner) for name, inner in fields if inner is not None]
        return pa.struct(shown) if shown else None
    if pa.types.is_list(kind):
        inner = _settled(kind.value_type)
        return None if inner is None else pa.list_(inner)
    return kind
