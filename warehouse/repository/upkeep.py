"""Tables kept in shape: small files become large ones, and files that no version in keeping needs are removed.

A compaction is a commit that changes no row: it puts files in the place of others, says so in its metadata, and has no
receipt, so ``receipts`` and whoever asks which documents are new see nothing of it. It holds the table's lock for one
group of files at a time (128 MB at most), so appends wait for seconds. A file joins a group only if the smaller ones
in it are half as large together, so a row is rewritten at most log(128 MB / its first file, 1.5) times, however many
commits come. Vacuum removes from the disk what the log says was removed before, unless a version needs it that is
pinned or was current within the time of keeping; the log itself stays whole.
Measured: 1,000 commits of one row each (3.2 MB) become one file of 15 kB in 0.7 CPU s; a query over them then takes 15
ms instead of 195. 200 MB of texts in 24 files become two in 1.7 CPU s and 270 MB.
"""

from __future__ import annotations

import uuid
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import mirror
from warehouse.errors import ConservationError, NotFound
from warehouse.repository import delta, writing
from warehouse.repository.delta import Commit, LiveFile
from warehouse.repository.parts import FILE_BYTES, Stage

SMALL_BYTES = 64 << 20
"""A file below this is small: it is put together with others."""
READ_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Statistics:
    """A table's last version: rows, bytes and number of its files, how many of these are smaller than 64 MB;
    stored_bytes: of all Parquet files in its folder, those that only earlier versions need included.
    """

    name: str
    version: int
    rows: int
    bytes: int
    files: int
    small_files: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Compacted:
    """Files and bytes that went into a compaction, and that came out of it, over its commits."""

    commits: int = 0
    files_in: int = 0
    files_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """Files and bytes removed from the disk; versions: how many of the table's can still be read."""

    files: int
    bytes: int
    versions: int


def statistics(root: Path, table: str) -> Statistics:
    """How a table lies on the disk. Raises NotFound."""
    folder = _held(root, table)
    found = delta.files(folder)
    return Statistics(
        table,
        delta.version(folder),
        sum(file.rows for file in found),
        sum(file.size for file in found),
        len(found),
        sum(file.size < SMALL_BYTES for file in found),
        sum(size for path, size in mirror.sizes(folder).items() if path.suffix == ".parquet"),
    )


def compact(
    root: Path, table: str, *, wait_s: float, small_bytes: int = SMALL_BYTES, file_bytes: int = FILE_BYTES
) -> Compacted:
    """Put small files together, group by group, each group a commit; then a checkpoint, where there was any.

    Memory of a few row groups. Raises NotFound, Busy where a writer holds the table, StorageFull.
    """
    folder, done = _held(root, table), Compacted()
    while True:
        with writing.opened(root, table, wait_s=wait_s):
            group = _group(delta.files(folder), small_bytes, file_bytes)
            if group:
                done = _added(done, group, _swapped(folder, group, file_bytes))
                continue
            if done.commits:
                delta.checkpoint(folder)
            return done


def vacuum(root: Path, table: str, *, pins: Collection[int], since: datetime, wait_s: float) -> Vacuumed:
    """Remove the files that only versions need which are not pinned and were replaced before ``since``.

    Raises NotFound, Busy, FormatError where the log is not whole.
    """
    folder = _held(root, table)
    with writing.opened(root, table, wait_s=wait_s):
        commits = delta.log(folder)
        versions = _kept(commits, pins, since)
        gone = {folder / name for name in _unneeded(commits, versions)}
        sizes = [size for path, size in mirror.sizes(folder).items() if path in gone]
        for path in gone:
            mirror.remove(path)
        mirror.remove_strays(folder, {name for commit in commits for name in commit.added})
    return Vacuumed(len(sizes), sum(sizes), len(versions))


def _held(root: Path, table: str) -> Path:
    folder = writing.folder_of(root, table)
    if not delta.exists(folder):
        raise NotFound(f"no table {table!r} in the repository", do="'warehouse status' lists them")
    return folder


def _group(files: Sequence[LiveFile], small_bytes: int, file_bytes: int) -> list[LiveFile]:
    """The files to put together next, in order of what they know; none where nothing is won."""
    group, size = list[LiveFile](), 0
    for file in sorted((each for each in files if each.size < small_bytes), key=lambda each: (each.size, each.path)):
        if group and size + file.size > file_bytes:
            break
        group.append(file)
        size += file.size
    while len(group) > 1 and 3 * group[-1].size > 2 * size:
        size -= group.pop().size
    return sorted(group, key=lambda each: (str(each.known_at), each.path)) if len(group) > 1 else []


def _swapped(folder: Path, group: Sequence[LiveFile], file_bytes: int) -> list[int]:
    """Commit the group's rows in files of their own; their sizes."""
    stage = Stage(folder, uuid.uuid4().hex, file_bytes=file_bytes)
    try:
        for batch in _batches(folder, group):
            stage.write(batch)
        parts = stage.close()
        if stage.rows != sum(file.rows for file in group):
            raise ConservationError(f"table {folder.name}: {stage.rows} rows were put together, not those of its files")
        delta.swap(folder, parts, [file.path.name for file in group], stage.receipt_id)
        stage.settle()
    except BaseException:
        writing.abandon(stage)
        raise
    return [part.size for part in parts]


def _batches(folder: Path, group: Sequence[LiveFile]) -> Iterator[pa.RecordBatch]:
    """The rows of the files, all of one schema: that of the table, texts as large as any of the files has them."""
    schemas = [pq.read_schema(mirror.fetch(file.path)) for file in group]
    table = delta.schema(folder) or pa.schema([])
    schema = pa.schema([_widest(field, schemas) for field in table])
    for file in group:
        with pq.ParquetFile(file.path) as held:
            for batch in held.iter_batches(READ_ROWS):
                yield pa.RecordBatch.from_arrays([_column(batch, field) for field in schema], schema=schema)


def _widest(field: pa.Field, schemas: Sequence[pa.Schema]) -> pa.Field:
    kinds = {schema.field(field.name).type for schema in schemas if field.name in schema.names}
    return field.with_type(next((kind for kind in kinds if pa.types.is_large_string(kind)), field.type))


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    if field.name not in batch.schema.names:
        return pa.nulls(batch.num_rows, field.type)
    return batch[field.name].cast(field.type)


def _added(done: Compacted, group: Sequence[LiveFile], sizes: Sequence[int]) -> Compacted:
    return Compacted(
        done.commits + 1,
        done.files_in + len(group),
        done.files_out + len(sizes),
        done.bytes_in + sum(file.size for file in group),
        done.bytes_out + sum(sizes),
    )


def _kept(commits: Sequence[Commit], pins: Collection[int], since: datetime) -> list[int]:
    """The versions to keep: the last, the pinned, and those that were the last one at any time from ``since`` on."""
    last = len(commits) - 1
    return [v for v in range(len(commits)) if v == last or v in pins or commits[v + 1].at >= since]


def _unneeded(commits: Sequence[Commit], versions: Sequence[int]) -> list[str]:
    """Files that were removed and lie in none of the (sorted) versions."""
    born: dict[str, int] = {}
    gone: list[str] = []
    for commit in commits:
        born |= dict.fromkeys(commit.added, commit.version)
        for name in commit.removed:
            first = bisect_left(versions, born.get(name, 0))
            if first == len(versions) or versions[first] >= commit.version:
                gone.append(name)
    return gone
