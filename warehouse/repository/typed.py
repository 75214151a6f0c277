"""Rows of a source's own table: its columns as they are, and six that say where and when a row comes from.

The first commit decides the schema: its batches are spooled (Arrow IPC, on disk, beside the staged files) and written
when all types were seen, integers with decimals as double, anything with text as text. Later batches are fitted to
the table: a new column is added, a missing one is null, and a value that does not fit without loss makes its row a
reject ``type_mismatch``. An object ends at a column that no table can hold. Cost of the spool: the first commit of a
table writes its bytes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from warehouse.contracts import TIMESTAMP, Reject
from warehouse.repository.columns import as_stored, check_names, decided, fit, union
from warehouse.repository.origin import Origin, Shaped
from warehouse.repository.storage import room

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
    kept = [(field, array) for field, array in zip(own.schema, own.columns, strict=True) if field.name not in made]
    fields = [field for field, _ in kept]
    arrays = [array for _, array in kept] + [made[name] for name in SYSTEM.names]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([*fields, *SYSTEM]))


def _counted(met: int, size: int) -> pa.Array:
    """The numbers of so many records, of which ``met`` came before, as text."""
    return pa.array(np.arange(met, met + size)).cast(pa.string())


class Typed:
    """The shape of a source's own table; ``columns`` is its schema, growing, or None until the first commit decides
    it.
    """

    def __init__(self, table: str, columns: pa.Schema | None, spool: Path) -> None:
        self.table, self.columns = table, columns
        self._spool = Spool(spool)
        self._names: dict[str, None] = {}

    @property
    def waiting(self) -> int:
        """Bytes that wait for the schema."""
        return self._spool.bytes

    def shape(self, batch: pa.RecordBatch, origin: Origin, met: int) -> Shaped:
        """The rows that fit the table; none while the schema is undecided. Raises Unstorable."""
        rows = stamped(batch, origin, met, table=self.table)
        if self.columns is None:
            names = self._names | dict.fromkeys(rows.schema.names)
            check_names(names, table=self.table)
            self._names = names
            self._spool.write(rows, origin.ordinal)
            return Shaped(rows.slice(0, 0), [])
        self.columns = grown(self.columns, rows.schema, table=self.table)
        return fitted(rows, self.columns)

    def deferred(self) -> Iterator[tuple[int, Shaped]]:
        """Decide the schema and give what waited for it, each with the ordinal of its object."""
        if self.columns is None:
            self.columns = decided_schema(self._spool.schemas)
            for rows, ordinal in self._spool.read():
                yield ordinal, fitted(rows, self.columns)
            self._spool.remove()


class Spool:
    """Record batches of any schemas on disk, in order: one Arrow IPC stream for each run of equal schemas."""

    def __init__(self, path: Path) -> None:
        self.path, self.bytes = path, 0
        self.schemas: list[pa.Schema] = []
        self._ordinals: list[list[int]] = []
        self._writer: pa.RecordBatchStreamWriter | None = None

    def write(self, batch: pa.RecordBatch, ordinal: int) -> None:
        """Append a batch, with the ordinal of its object. Raises StorageFull."""
        with room("the spool of a new table", self.path.parent):
            self._stream(batch.schema).write_batch(batch)
        self._ordinals[-1].append(ordinal)
        self.bytes += batch.nbytes

    def read(self) -> Iterator[tuple[pa.RecordBatch, int]]:
        """The batches and ordinals as they came."""
        self._end()
        for at, ordinals in enumerate(self._ordinals):
            with pa.ipc.open_stream(pa.OSFile(str(self._file(at)))) as stream:
                yield from zip(stream, ordinals, strict=True)

    def remove(self) -> None:
        """Delete the files."""
        self._end()
        for at in range(len(self.schemas)):
            self._file(at).unlink(missing_ok=True)

    def _stream(self, schema: pa.Schema) -> pa.RecordBatchStreamWriter:
        if self._writer is not None and self.schemas[-1] == schema:
            return self._writer
        self._end()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.schemas.append(schema)
        self._ordinals.append([])
        self._writer = pa.ipc.new_stream(str(self._file(len(self.schemas) - 1)), schema)
        return self._writer

    def _end(self) -> None:
        if self._writer is not None:
            with room("the spool of a new table", self.path.parent):
                self._writer.close()
        self._writer = None

    def _file(self, at: int) -> Path:
        return self.path.with_name(f"{self.path.name}.spool{at}")


def decided_schema(schemas: list[pa.Schema]) -> pa.Schema:
    """The schema of a new table from those of its first batches: its own columns, then the system's."""
    fields = [pa.field(field.name, decided(field.type)) for field in union(schemas)]
    return pa.schema([*(field for field in fields if field.name not in SYSTEM.names), *SYSTEM])


def grown(columns: pa.Schema, batch: pa.Schema, *, table: str) -> pa.Schema:
    """The table's schema and, after it, the batch's new columns; one without any value is left for a batch that has
    some. Raises Unstorable.
    """
    held = set(columns.names)
    new = [f for f in batch if f.name not in held and not pa.types.is_null(f.type)]
    if not new:
        return columns
    check_names([*columns.names, *(field.name for field in new)], table=table)
    return pa.schema([*columns, *(pa.field(field.name, decided(field.type)) for field in new)])


def fitted(rows: pa.RecordBatch, columns: pa.Schema) -> Shaped:
    """The rows in the table's types; those that do not fit without loss are rejects."""
    arrays: list[pa.Array] = []
    misfits: dict[int, pa.Field] = {}
    given = dict(zip(rows.schema.names, rows.columns, strict=True))
    for field in columns:
        if field.name not in given:
            arrays.append(pa.nulls(len(rows), field.type))
            continue
        array, bad = fit(given[field.name], field.type)
        arrays.append(array)
        for at in np.flatnonzero(bad).tolist():
            misfits.setdefault(at, field)
    made = pa.RecordBatch.from_arrays(arrays, schema=columns)
    if not misfits:
        return Shaped(made, [])
    keep = np.ones(len(rows), bool)
    keep[list(misfits)] = False
    return Shaped(made.filter(pa.array(keep)), [_misfit(rows, at, misfits[at]) for at in sorted(misfits)])


def _misfit(rows: pa.RecordBatch, at: int, field: pa.Field) -> Reject:
    value = rows[field.name][at].as_py()
    return Reject(
        rows["_uri"][at].as_py(),
        rows["_record"][at].as_py(),
        "type_mismatch",
        f"column {field.name} is {field.type} in the table, and {rows[field.name].type} here does not fit without loss",
        first_bytes=str(value).encode("utf-8", "surrogatepass")[:200],
    )
