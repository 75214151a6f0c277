"""One write to one table: the lock, what killed writers left, the staged files, the commit, in this order.

``append`` is the whole of it for tables without objects (signals, paragraphs, rejects, runs); ``ingestion`` is the
other user.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from warehouse.contracts import Receipt
from warehouse.errors import Busy, ConservationError, FormatError, UsageError, WarehouseError
from warehouse.project import refuse_misread
from warehouse.repository import delta, locks, parts
from warehouse.repository.columns import check_names, stored
from warehouse.repository.parts import Part, Stage
from warehouse.repository.stored import StoredKeys
from warehouse.repository.typed import fitting_schema, recast

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def folder_of(root: Path, table: str) -> Path:
    """The folder of a table. Raises UsageError for what is no table name, and for a root that delta-rs misreads."""
    refuse_misread(root)
    if not _NAME.fullmatch(table):
        raise UsageError(
            f"table name {table!r}", allowed="a small letter, then small letters, digits and underscores; 63 at most"
        )
    return root / "repository" / table


@contextmanager
def opened(root: Path, table: str, *, wait_s: float) -> Iterator[Path]:
    """The folder of a table whose lock is held and whose leftovers are gone. Raises Busy."""
    folder = folder_of(root, table)
    with locks.alone(root / "locks" / table, what=f"table {table}", wait_s=wait_s):
        _tidy(folder)
        yield folder


def tidy(root: Path, table: str) -> None:
    """Remove what killed writers left in a table, unless one is at work."""
    with locks.alone_if_free(root / "locks" / table) as free:
        if free:
            _tidy(folder_of(root, table))


def _tidy(folder: Path) -> None:
    parts.clear_leftovers(folder, lambda: {file.path.name for file in delta.files(folder)})


def land(stage: Stage, columns: pa.Schema, files: Sequence[Part], receipt: Receipt) -> Receipt:
    """Commit the files of a stage with its receipt; the receipt with its version. Whatever fails before, nothing stays.

    An error after the commit landed (a checkpoint that finds the disk full) undoes nothing: the commit is true.
    """
    if not receipt.balanced:
        raise ConservationError(
            f"table {receipt.table}: {receipt.rows_in} rows came in, but {receipt.rows_out} were written, "
            f"{receipt.unchanged} unchanged, {receipt.rejected} rejected and {receipt.dropped} dropped"
        )
    try:
        version = delta.commit(stage.folder, columns, files, receipt, base=stage.base)
    except WarehouseError:
        found = delta.landed(stage.folder, receipt.receipt_id)
        if found is None:
            raise
        version = found
    stage.settle()
    return replace(receipt, version=version)


def settled(stage: Stage, columns: pa.Schema) -> tuple[pa.Schema, list[Part]]:
    """The columns and the parts of a commit: every part in the types of the last batch, and where the table's own are
    narrower, its files too.
    """
    held, parts = delta.schema(stage.folder), stage.close()
    while True:
        files = delta.files(stage.folder) if held is not None and delta.widened(held, columns) else []
        live = sorted(file.path for file in files)
        stale = [part.name for part in parts if delta.widened(part.columns, columns)]
        exact = columns
        for path in (*(stage.folder / name for name in stale), *live):
            exact = fitting_schema(path, exact)
        if not delta.widened(columns, exact):
            break
        columns = exact
    return columns, stage.recast(lambda rows: recast(rows, columns), stale, live) if stale or live else parts


def append(
    root: Path,
    table: str,
    batches: Iterable[pa.RecordBatch],
    *,
    schema: pa.Schema,
    source: str,
    run_id: str,
    keys: Sequence[str] = (),
    after: int | None = None,
    wait_s: float,
) -> Receipt:
    """The receipt of one commit that adds the batches' rows; those whose keys the table has, or had earlier here, are
    unchanged.

    Makes the table if there is none; without a new row nothing is committed (version -1). A column ``receipt_id`` is
    filled in.
    """
    with opened(root, table, wait_s=wait_s) as folder:
        made = not delta.exists(folder)
        check_version(folder, after)
        check_columns(schema, delta.schema(folder), table=table)
        stage = Stage(folder, uuid.uuid4().hex, base=delta.version(folder) if keys or after is not None else None)
        try:
            rows_in = _fill(stage, batches, schema, StoredKeys(delta.files(folder), keys) if keys else None)
            receipt = Receipt(
                receipt_id=stage.receipt_id,
                table=table,
                source=source,
                run_id=run_id,
                committed_at=datetime.now(UTC),
                rows_in=rows_in,
                rows_out=stage.rows,
                unchanged=rows_in - stage.rows,
            )
            return land(stage, schema, stage.close(), receipt) if made or stage.rows else receipt
        except BaseException:
            abandon(stage)
            raise


def check_version(folder: Path, after: int | None) -> None:
    """Raise Busy where rows came to the table after the version that the new rows were made for."""
    if after is None or after == (found := delta.version(folder)):
        return
    if min(after, found) < 0 or delta.changed_since(folder, after):
        raise Busy(
            f"table {folder.name} was at version {after} when its new rows were looked for and is at {found} now",
            do="run again: another run has written it meanwhile, and what it wrote will be skipped",
        )


def abandon(stage: Stage) -> None:
    """Remove what was staged, unless its commit landed."""
    if delta.landed(stage.folder, stage.receipt_id) is None:
        stage.discard()


def check_columns(schema: pa.Schema, held: pa.Schema | None, *, table: str) -> None:
    """Raise InputError for columns that no table can hold, FormatError for one whose type differs from the table's."""
    check_names(schema.names, table=table)
    for field in schema:
        kind = stored(field.type, f"column {field.name!r} of table {table}")
        if kind != field.type and not pa.types.is_large_string(field.type):
            raise FormatError(f"column {field.name!r} for table {table} is {field.type}", allowed=str(kind))
        there = held.field(field.name).type if held is not None and field.name in held.names else kind
        if there != kind:
            raise FormatError(
                f"column {field.name!r} is {kind}, but {there} in table {table}", do="give the new column another name"
            )


def _fill(stage: Stage, batches: Iterable[pa.RecordBatch], schema: pa.Schema, held: StoredKeys | None) -> int:
    """Stage the new rows; how many came in."""
    rows_in = 0
    for batch in batches:
        rows = _named(batch, schema, stage.receipt_id)
        rows_in += rows.num_rows
        fresh = held.fresh(rows) if held else None
        stage.write(rows if fresh is None or fresh.all() else rows.filter(pa.array(fresh)))
    return rows_in


def _named(batch: pa.RecordBatch, schema: pa.Schema, receipt_id: str) -> pa.RecordBatch:
    if set(batch.schema.names) != set(schema.names):
        raise FormatError(f"a batch has columns {batch.schema.names}", allowed=", ".join(schema.names))
    rows = batch.select(schema.names).cast(schema)
    if "receipt_id" not in schema.names:
        return rows
    at = schema.get_field_index("receipt_id")
    return rows.set_column(at, schema.field(at), pa.repeat(pa.scalar(receipt_id, schema.field(at).type), len(rows)))
