"""Parquet files of one commit, written before it: row groups of 16 MB of Arrow memory, files of about 128 MB, zstd.

A part is named after its commit, ``part-<receipt_id>-00000.parquet``, and a marker ``_staging/<receipt_id>`` is made
before the first; whatever a marker names and the log does not is a leftover (``clear_leftovers``). Row groups are
sized by bytes because rows of text differ by a factor of 10^5: peak memory is a few row groups whatever the input.
Dictionaries only where the first row group repeats values: on text they cost time and are thrown away at 1 MB.
Statistics: none for text in large_string, binary, nested and floating columns (a file's minimum and maximum would
hide its NaN).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from warehouse import mirror
from warehouse.contracts import BATCH_BYTES
from warehouse.repository.storage import room

FILE_BYTES = 128 << 20
MANY_BATCHES = 16
"""A row group of more batches than this is copied into one piece first (5,000 small ones: 0.6 s to write, 0.2 s so)."""
MAX_STATISTIC = 256
"""Characters of a string kept as a column's minimum or maximum; a longer one is left out, which is always right."""

Cast = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Part:
    """A closed file: its name in the table's folder, bytes, rows, Delta statistics and columns.

    fresh: whether its rows are new in the table; those of a file that was written again under wider types are not.
    """

    name: str
    size: int
    rows: int
    stats: dict[str, Any]
    columns: pa.Schema
    fresh: bool = True


class Stage:
    """Files of a commit in the making. Not visible to anyone until the log names them; ``discard`` removes them.

    base: the table's version (-1: none) that its rows are made for, None where they stand on none.
    """

    def __init__(self, folder: Path, receipt_id: str, *, base: int | None = None, file_bytes: int = FILE_BYTES) -> None:
        self.folder, self.receipt_id, self.base = folder, receipt_id, base
        self.rows = self.bytes = 0
        self._file_bytes = file_bytes
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._open: _Open | None = None
        self._parts: list[Part] = []
        self._begun = 0
        self._fresh = True

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch; a change of schema begins a new file. Raises StorageFull."""
        self._take(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def _take(self, batch: pa.RecordBatch) -> None:
        if self._pending and self._pending[0].schema != batch.schema:
            self._flush()
        size = batch.nbytes
        for piece in _pieces(batch, size):
            share = size * piece.num_rows // batch.num_rows
            if self._pending_bytes + share > BATCH_BYTES:
                self._flush()
            self._pending.append(piece)
            self._pending_bytes += share

    def close(self) -> list[Part]:
        """The parts, complete on disk. Raises StorageFull."""
        self._flush()
        self._rotate()
        return self._parts

    def recast(self, cast: Cast, stale: Collection[str], live: Iterable[Path]) -> list[Part]:
        """The parts, of which those named in ``stale`` are written again as ``cast`` gives their rows, and after them
        the table's files ``live``, so written too; a row group in memory at a time. Raises StorageFull.
        """
        replaced = [part for part in self.close() if part.name in stale]
        self._parts = [part for part in self._parts if part.name not in stale]
        self._copy(cast, (self.folder / part.name for part in replaced))
        self._fresh = False
        self._copy(cast, live)
        for part in replaced:
            (self.folder / part.name).unlink()
        return self._parts

    def _copy(self, cast: Cast, paths: Iterable[Path]) -> None:
        for path in paths:
            for batch in row_groups(path):
                self._take(cast(batch))
        self.close()

    def settle(self) -> None:
        """Forget the marker: the commit is in the log."""
        _clear_marker(self.folder, self.receipt_id)

    def discard(self) -> None:
        """Remove everything that was staged."""
        if self._open:
            self._open.abandon()
        self._open, self._pending = None, []
        for path in self.folder.glob(f"part-{self.receipt_id}-*"):
            mirror.remove(path)
        _clear_marker(self.folder, self.receipt_id)

    def mark(self) -> Path:
        """Put down the marker, which must stand before anything is staged; its path."""
        marker = self.folder / "_staging" / self.receipt_id
        with room("a staging marker", self.folder):
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
        return marker

    def _flush(self) -> None:
        if not self._pending:
            return
        table = pa.Table.from_batches(self._pending)
        if len(self._pending) > MANY_BATCHES:
            table = table.combine_chunks()
        self._pending, self._pending_bytes = [], 0
        if self._open and self._open.schema != table.schema:
            self._rotate()
        with room(f"table {self.folder.name}", self.folder):
            self._open = self._open or self._begin(table)
            if self._open.write(table) >= self._file_bytes:
                self._rotate()

    def _begin(self, table: pa.Table) -> _Open:
        self.mark()
        self._begun += 1
        return _Open(self.folder / f"part-{self.receipt_id}-{self._begun - 1:05d}.parquet", table)

    def _rotate(self) -> None:
        if self._open:
            with room(f"table {self.folder.name}", self.folder):
                self._parts.append(replace(self._open.close(), fresh=self._fresh))
        self._open = None


class _Open:
    """A Parquet file that is being written, one row group per call."""

    def __init__(self, path: Path, first: pa.Table) -> None:
        self.path, self.schema = path, first.schema
        self._footer: list[pq.FileMetaData] = []
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pq.ParquetWriter(
            self._sink,
            first.schema,
            compression="zstd",
            use_dictionary=_repeating(first),
            write_statistics=[field.name for field in first.schema if _has_statistics(field.type)],
            metadata_collector=self._footer,
        )

    def write(self, table: pa.Table) -> int:
        """Write one row group; the file's size so far."""
        self._writer.write_table(table, row_group_size=table.num_rows)
        return int(self._sink.tell())

    def close(self) -> Part:
        self._writer.close()
        self._sink.close()
        footer = self._footer[0]
        return Part(
            self.path.name, self.path.stat().st_size, footer.num_rows, statistics(footer, self.schema), self.schema
        )

    def abandon(self) -> None:
        """Close without a care for the content: a full disk fails the footer as well."""
        for end in (self._writer.close, self._sink.close):
            with suppress(OSError, RuntimeError, pa.ArrowException):
                end()


def row_groups(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file, a row group at a time; ``columns`` alone, those that it has."""
    with pq.ParquetFile(mirror.fetch(path)) as file:
        wanted = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group, columns=wanted).to_batches()


def clear_leftovers(folder: Path, live: Callable[[], set[str]]) -> None:
    """Remove what killed writers left; the caller holds the table's lock, ``live`` gives the file names in its log."""
    for stray in (folder / "_delta_log").glob("*"):
        if "#" in stray.name or stray.name.endswith(".tmp"):
            stray.unlink()
    marks = [path.name for path in (folder / "_staging").glob("*")]
    kept = live() if marks else set()
    for mark in marks:
        for path in folder.glob(f"part-{mark}-*"):
            if path.name not in kept:
                mirror.remove(path)
        _clear_marker(folder, mark)


def _clear_marker(folder: Path, receipt_id: str) -> None:
    for path in (folder / "_staging").glob(f"{receipt_id}*"):
        path.unlink()
    with suppress(OSError):
        (folder / "_staging").rmdir()


def _pieces(batch: pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """A batch of ``size`` bytes in slices of about BATCH_BYTES; small ones as they are."""
    count = max(1, round(size / BATCH_BYTES))
    step = math.ceil(batch.num_rows / count)
    for start in range(0, batch.num_rows, step or 1):
        yield batch.slice(start, step)


def _repeating(table: pa.Table) -> list[str]:
    small = [f.name for f in table.schema if not (pa.types.is_nested(f.type) or _is_large(f.type))]
    return [name for name in small if pc.count_distinct(table[name]).as_py() <= table.num_rows // 2]


def _is_large(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_string(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary(kind))


def _has_statistics(kind: pa.DataType) -> bool:
    t = pa.types
    return bool(t.is_integer(kind) or t.is_string(kind) or t.is_date32(kind) or t.is_timestamp(kind))


def statistics(footer: pq.FileMetaData, schema: pa.Schema) -> dict[str, Any]:
    """A file's Delta statistics (Delta protocol, "Per-file Statistics") from the statistics of its row groups."""
    stats: dict[str, Any] = {"numRecords": footer.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    kinds = dict(zip(schema.names, schema.types, strict=True))
    columns = footer.schema
    groups = [footer.row_group(group) for group in range(footer.num_row_groups)]
    for at in range(footer.num_columns):
        name = columns.column(at).path
        if name in kinds and _has_statistics(kinds[name]):
            _column(stats, name, [group.column(at) for group in groups])
    return stats


def _column(stats: dict[str, Any], name: str, chunks: list[pq.ColumnChunkMetaData]) -> None:
    found = [chunk.statistics for chunk in chunks]
    if any(item is None or not item.has_null_count for item in found):
        return
    stats["nullCount"][name] = sum(item.null_count for item in found)
    filled = [item for item, chunk in zip(found, chunks, strict=True) if item.null_count < chunk.num_values]
    if filled and all(item.has_min_max for item in filled):
        low, high = min(item.min for item in filled), max(item.max for item in filled)
        if not isinstance(high, str) or max(len(low), len(high)) <= MAX_STATISTIC:
            stats["minValues"][name], stats["maxValues"][name] = _json(low), _json(high)


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value
