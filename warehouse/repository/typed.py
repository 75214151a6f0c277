"""Rows of a source's own table: its columns as they are, and six that say where and when a row comes from.

A column's type is the join (``widening``) of all that its objects had, so that it does not depend on their order: where
a batch has a wider one, the files that were written before, of this commit and of the table, are written again under
it when the commit lands. A column without a value is left for a batch that has some. What the source's contract does
not let in makes its rows rejects, or is left out; each difference is noted (``changes``). An object ends at a column
that no table can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import TIMESTAMP, Contract, ObjectFact, Reject
from warehouse.repository.changes import Changes
from warehouse.repository.columns import as_stored, check_names, decided, fit
from warehouse.repository.keys import Mask
from warehouse.repository.origin import Origin, Shaped
from warehouse.repository.parts import row_groups
from warehouse.repository.widening import converted, fitting, joined

SYSTEM = pa.schema(
    [
        ("_source", pa.string()),
        ("_uri", pa.string()),
        ("_record", pa.string()),  # the reader's, else the 0-based number of the record in its object
        ("_object_sha256", pa.string()),
        ("_known_at", TIMESTAMP),
        ("_receipt_id", pa.string()),
    ]
)

Record = tuple[str, str, datetime]
RECORD = ("_uri", "_record", "_known_at")
"""What names a row among those of one object."""


def stamped(batch: pa.RecordBatch, origin: Origin, met: int, *, table: str) -> pa.RecordBatch:
    """The batch in stored types with the system columns after its own; ``_uri``, ``_record``, ``_known_at`` of a
    reader stay.
    """
    own = as_stored(batch, table=table)
    same: dict[str, Any] = {
        "_source": origin.source,
        "_uri": origin.uri,
        "_object_sha256": origin.sha256,
        "_known_at": origin.known_at,
        "_receipt_id": origin.receipt_id,
    }
    made = {name: pa.repeat(pa.scalar(value, SYSTEM.field(name).type), len(own)) for name, value in same.items()}
    for name in set(own.schema.names) & {"_uri", "_record", "_known_at"}:
        stated = own[name].cast(SYSTEM.field(name).type)
        if stated.null_count:
            stated = pc.coalesce(stated, _counted(met, len(own)) if name == "_record" else made[name])
        made[name] = stated
    if "_record" not in made:
        made["_record"] = _counted(met, len(own))
    # as_stored drops what the columns are called where they come from
    came = [field.with_type(kind) for field, kind in zip(batch.schema, own.schema.types, strict=True)]
    kept = [(field, array) for field, array in zip(came, own.columns, strict=True) if field.name not in made]
    arrays = [array for _, array in kept] + [made[name] for name in SYSTEM.names]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([*(field for field, _ in kept), *SYSTEM]))


def _counted(met: int, size: int) -> pa.Array:
    """The numbers of so many records, of which ``met`` came before, as text."""
    return pa.array(np.arange(met, met + size)).cast(pa.string())


class Typed:
    """The shape of a source's own table. held: its columns, None where it is to be made; brought: those of them that
    the source had before; system: columns that are the warehouse's own; barred: leaves out rows that were taken down.
    """

    def __init__(
        self,
        table: str,
        held: pa.Schema | None,
        contract: Contract,
        changes: Changes,
        brought: Iterable[str] = (),
        *,
        system: pa.Schema = SYSTEM,
        barred: Callable[[Shaped, Origin], Shaped] | None = None,
    ) -> None:
        self.table, self._contract, self._changes, self._system = table, contract, changes, system
        self._made, self._barred = held is None, barred
        self._fields = {field.name: field for field in (held if held is not None else system)}
        self._columns: pa.Schema | None = None
        self._brought = dict.fromkeys(brought)
        self._settled = len(self._brought)
        self._first: Origin | None = None
        """The object that decides what a contract freezes: the first that has columns."""
        self._names: dict[str, None] = {}
        self.had: frozenset[Record] = frozenset()
        """Rows of an object that is read again: they are unchanged."""

    @property
    def columns(self) -> pa.Schema:
        """The table's columns, those met so far among them: the system's last in a table that is being made."""
        if self._columns is None:
            fields = self._fields.values()
            own = [field for field in fields if field.name not in self._system.names]
            self._columns = pa.schema([*own, *self._system] if self._made else fields)
        return self._columns

    def shape(self, batch: pa.RecordBatch, origin: Origin, met: int) -> Shaped:
        """The rows that fit the table, and rejects of the others. Raises Unstorable."""
        rows = stamped(batch, origin, met, table=self.table)
        names = dict.fromkeys(field.name for field in rows.schema if not pa.types.is_null(field.type))
        self._names |= names
        refused = self._admit(rows, origin)
        shaped = fitted(rows, self.columns, refused, strict=self._contract.types)
        for name, count in shaped.misfits.items():
            kinds = (str(self._fields[name].type), str(rows[name].type))
            self._changes.note(name, "misfit", *kinds, origin, rows=count)
        shaped = self._barred(shaped, origin) if self._barred else shaped
        return self._without_held(shaped) if self.had else shaped

    def _without_held(self, shaped: Shaped) -> Shaped:
        names = zip(*(shaped.rows[name].to_pylist() for name in RECORD), strict=True)
        fresh = np.array([record not in self.had for record in names], bool)
        return replace(shaped, rows=shaped.rows.filter(pa.array(fresh)), unchanged=int((~fresh).sum()))

    def ended(self, origin: Origin) -> None:
        """Note what the object lacks of the columns that the source had before; nothing of one whose rest was read."""
        if not self._names:
            return
        if origin.grown_since is not None:
            self._names |= self._brought
        own = [name for name in self._names if name not in self._system.names]
        for name in self._brought.keys() - self._names.keys():
            if field := self._fields.get(name):
                self._changes.note(name, "missing", str(field.type), None, origin)
        self._brought |= dict.fromkeys(name for name in own if name in self._fields)
        self._names = {}

    def settled(self, columns: pa.Schema, origin: Origin) -> None:
        """Note the columns that files of before made wider than the batches did."""
        for field in columns:
            held = self._fields[field.name]
            if field.type != held.type and not self._made:
                self._changes.note(field.name, "widened", str(held.type), str(field.type), origin)

    def landed(self, columns: pa.Schema) -> None:
        """Take the columns of a commit for the table's."""
        self._fields, self._columns, self._made = {field.name: field for field in columns}, columns, False
        self._settled = len(self._brought)

    @property
    def types(self) -> dict[str, pa.DataType]:
        """By the name as it came, the types of the table's columns, but for the warehouse's own."""
        own = [field for field in self.columns if field.name not in self._system.names]
        return {name: field.type for field in own if (name := original(field))}

    @property
    def first_brought(self) -> tuple[str, ...]:
        """Columns that the source brought since the last commit, and never before."""
        return tuple(self._brought)[self._settled :]

    def _admit(self, rows: pa.RecordBatch, origin: Origin) -> dict[int, str]:
        """Take up the columns and types that the contract lets in; the rows that it refuses, and why."""
        bad: dict[int, str] = {}
        fresh: dict[str, pa.Field] = {}
        if self._fields.keys() <= set(self._system.names):
            self._first = origin
        free = self._first == origin
        for field, array in zip(rows.schema, rows.columns, strict=True):
            held = self._fields.get(field.name)
            if held is None and pa.types.is_null(field.type):
                self._changes.note(field.name, "empty", None, None, origin)
            elif held is None and (free or self._contract.columns == "evolve"):
                fresh[field.name] = field.with_type(decided(field.type))
            elif held is None:
                bad |= self._kept_out(field, array, origin)
            elif held.type != field.type:
                self._widen(held, array, origin, free=free)
            if held is not None:
                self._note_name(held, field, origin)
        self._add(fresh, origin)
        return bad

    def _add(self, fresh: dict[str, pa.Field], origin: Origin) -> None:
        if not fresh:
            return
        check_names([*self._fields, *fresh], table=self.table)
        self._fields |= fresh
        self._columns = None
        for field in fresh.values() if not self._made else ():
            self._changes.note(field.name, "added", None, str(field.type), origin)

    def _widen(self, held: pa.Field, array: pa.Array, origin: Origin, *, free: bool) -> None:
        wider = fitting(array, joined(held.type, array.type))
        if wider == held.type or not (free or self._contract.types == "evolve"):
            return
        self._fields[held.name] = held.with_type(wider)
        self._columns = None
        if not self._made:
            self._changes.note(held.name, "widened", str(held.type), str(wider), origin)

    def _kept_out(self, field: pa.Field, array: pa.Array, origin: Origin) -> dict[int, str]:
        """Note a new column that the contract does not let in; the rows with a value in it, if they are refused."""
        filled = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False)).tolist()
        frozen = self._contract.columns == "freeze"
        word = "refused" if frozen else "discarded"
        self._changes.note(field.name, word, None, str(field.type), origin, rows=len(filled))
        return dict.fromkeys(filled, field.name) if frozen else {}

    def _note_name(self, held: pa.Field, field: pa.Field, origin: Origin) -> None:
        before, now = original(held), original(field)
        if before and now and before != now:
            self._changes.note(field.name, "renamed", before, now, origin)


def records_of(files: Iterable[Path], fact: ObjectFact) -> frozenset[Record]:
    """The rows that the files have of an object, by name."""
    found: set[Record] = set()
    for path in files:
        for batch in row_groups(path, (*RECORD, "_object_sha256")):
            rows = batch.filter(pc.equal(batch["_object_sha256"], fact.sha256))
            found.update(zip(*(rows[name].to_pylist() for name in RECORD), strict=True))
    return frozenset(found)


def original(field: pa.Field) -> str | None:
    """The column's name as it came, where the reader told it: the first line of its comment."""
    said = (field.metadata or {}).get(b"comment")
    return said.decode().partition("\n")[0] if said else None


def fitted(
    rows: pa.RecordBatch, columns: pa.Schema, refused: dict[int, str] | None = None, *, strict: str = "evolve"
) -> Shaped:
    """The rows in the table's types; rejects for those ``refused`` (row -> new column), and, unless ``strict`` is
    evolve, for those that hold what does not fit without loss: freeze; discard leaves such a value out.
    """
    arrays: list[pa.Array] = []
    misfits: dict[int, pa.Field] = {}
    given = dict(zip(rows.schema.names, rows.columns, strict=True))
    lost: dict[str, int] = {}
    for field in columns:
        array = given.get(field.name)
        if array is None:
            arrays.append(pa.nulls(len(rows), field.type))
        elif joined(field.type, array.type) == field.type and fitting(array, field.type) == field.type:
            arrays.append(converted(array, field.type))
        else:
            made, bad = fit(array, field.type)
            arrays.append(made)
            if bad.any():
                lost[field.name] = int(bad.sum())
                _misfits(misfits, bad, field, strict)
    made = pa.RecordBatch.from_arrays(arrays, schema=columns)
    refused = refused or {}
    if not misfits and not refused:
        return Shaped(made, [], misfits=lost)
    out = sorted(misfits.keys() | refused.keys())
    keep = np.ones(len(rows), bool)
    keep[out] = False
    rejects = [_frozen(rows, at, refused[at]) if at in refused else _misfit(rows, at, misfits[at]) for at in out]
    return Shaped(made.filter(pa.array(keep)), rejects, misfits=lost)


def _misfits(misfits: dict[int, pa.Field], bad: Mask, field: pa.Field, strict: str) -> None:
    for at in np.flatnonzero(bad).tolist() if strict != "discard" else ():
        misfits.setdefault(at, field)


def _misfit(rows: pa.RecordBatch, at: int, field: pa.Field) -> Reject:
    came = rows[field.name].type
    message = f"column {field.name} is {field.type} in the table, and {came} here does not fit without loss"
    return _reject(rows, at, "type_mismatch", message, rows[field.name][at].as_py())


def _frozen(rows: pa.RecordBatch, at: int, name: str) -> Reject:
    message = f"column {name} is new, and the source's contract freezes the columns of its table"
    return _reject(rows, at, "new_column", message, rows[name][at].as_py())


def _reject(rows: pa.RecordBatch, at: int, reason: str, message: str, value: Any) -> Reject:
    first = str(value).encode("utf-8", "surrogatepass")[:200]
    return Reject(rows["_uri"][at].as_py(), rows["_record"][at].as_py(), reason, message, first_bytes=first)


def recast(rows: pa.RecordBatch, columns: pa.Schema) -> pa.RecordBatch:
    """Rows that the table or this commit has, under its present columns."""
    given = dict(zip(rows.schema.names, rows.columns, strict=True))
    arrays = [converted(given[f.name], f.type) if f.name in given else pa.nulls(len(rows), f.type) for f in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=columns)


def fitting_schema(path: Path, columns: pa.Schema) -> pa.Schema:
    """The columns, with text in place of a double that integers of a file would not survive."""
    fields = {field.name: field for field in columns}
    doubles = [field.name for field in columns if _has_double(field.type)]
    for batch in row_groups(path, doubles) if doubles else ():
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            fields[name] = fields[name].with_type(fitting(array, fields[name].type))
    return pa.schema(fields.values())


def _has_double(kind: pa.DataType) -> bool:
    return kind == pa.float64() or any(_has_double(kind.field(at).type) for at in range(kind.num_fields))
