"""Shards of rows and of samples: written, taken over from the version before where their rows are the same, and read.

A shard is taken over where the version before has it in the same columns and by the same code, its files have their
hashes, and its rows are those of now, bit for bit; its files are then linked as those of documents are (``reuse``).
Targets and indexes over several shards are written each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse import __version__
from warehouse.datasets import samples
from warehouse.datasets.reuse import link, whole
from warehouse.datasets.rows import encode
from warehouse.datasets.shards import write_parquet
from warehouse.manifest import SAMPLES, Column, FileEntry, TableManifest, TableShard, read_rows_manifest

_BITS = {pa.float32(): pa.int32(), pa.float64(): pa.int64()}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a release lie in its shards, as its manifest has it; code: the versions that decide the bytes."""

    kind: str
    columns: tuple[Column, ...]
    row_bytes: int
    code: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Earlier:
    """A release with the same layout, whose shards may be taken over."""

    path: Path
    manifest: TableManifest


@dataclass(frozen=True, slots=True)
class Written:
    """A shard whose files are in the folder. taken: the entries of those that are another release's too."""

    shard: TableShard
    taken: Mapping[str, FileEntry]


def code_versions() -> dict[str, str]:
    """The versions that decide the bytes."""
    return {"warehouse": __version__, "pyarrow": pa.__version__}


def earlier_in(path: Path | None, layout: Layout) -> Earlier | None:
    """The release in ``path``, if its rows lie as those of ``layout`` do."""
    if path is None:
        return None
    manifest = read_rows_manifest(path)
    then = Layout(manifest.kind, manifest.columns, manifest.row_bytes, dict(manifest.code))
    return Earlier(path, manifest) if then == layout else None


def write_shards(
    folder: Path, split: str, parts: Sequence[pa.Table], layout: Layout, earlier: Earlier | None, *, at: str
) -> Iterator[Written]:
    """The shards of a split into ``folder``, one of each part, those of ``earlier`` where they are the same."""
    then = earlier.manifest.splits[split].shards if earlier and split in earlier.manifest.splits else ()
    for number, rows in enumerate(parts):
        shard = _named(layout.kind, split, number, len(parts), rows.num_rows)
        taken = _taken(earlier, shard, rows, folder) if earlier and then[number : number + 1] == (shard,) else {}
        if not taken:
            _write(folder, shard, rows, layout, at=at)
        yield Written(shard, taken)


def _named(kind: str, split: str, number: int, shards: int, rows: int) -> TableShard:
    if kind == SAMPLES:
        return TableShard(samples.shard_name(split, number), "", rows)
    stem = f"{split}-{number:05d}-of-{shards:05d}"
    return TableShard(f"{stem}.bin", f"{stem}.parquet", rows)


def _write(folder: Path, shard: TableShard, rows: pa.Table, layout: Layout, *, at: str) -> None:
    if layout.kind == SAMPLES:
        samples.write_shard(folder / shard.data, rows, at=at)
        return
    (folder / shard.data).write_bytes(encode(rows, layout.columns, layout.row_bytes).tobytes())
    write_parquet(folder / shard.parquet, rows)


def _taken(earlier: Earlier, shard: TableShard, rows: pa.Table, folder: Path) -> dict[str, FileEntry]:
    """The entries of the shard's files, which lie in ``folder`` now; none where its rows are others, or damaged."""
    entries = {name: earlier.manifest.files[name] for name in (shard.data, shard.parquet) if name}
    if not whole(earlier.path, entries.values()) or not _holds(earlier.path, shard, rows):
        return {}
    for name in entries:
        (folder / name).parent.mkdir(exist_ok=True)
        link(earlier.path / name, folder / name)
    return entries


def _holds(path: Path, shard: TableShard, rows: pa.Table) -> bool:
    """Whether a shard that is whole has these rows in this order."""
    if not shard.parquet:
        return samples.holds(path / shard.data, rows)
    held = pq.read_table(path / shard.parquet, partitioning=None)
    return all(_bits(held[name]).equals(_bits(rows[name])) for name in rows.column_names)


def _bits(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Fractions as whole numbers of the same bits: a NaN is itself then, and 0.0 not -0.0."""
    bits = _BITS.get(column.type)
    return pa.chunked_array([chunk.view(bits) for chunk in column.chunks], bits) if bits else column


def read_rows(path: Path, manifest: TableManifest) -> pa.Table:
    """Every row of a release, in the order of splits and shards."""
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    return pa.concat_tables([read_shard(path, manifest, shard) for shard in shards])


def read_shard(path: Path, manifest: TableManifest, shard: TableShard, only: slice = slice(None)) -> pa.Table:
    """The rows of a shard, or a slice of them."""
    if manifest.kind == SAMPLES:
        return samples.read_shard(path / shard.data, manifest.columns, only)
    first, last, _ = only.indices(shard.samples)
    return pq.read_table(path / shard.parquet, partitioning=None).slice(first, last - first)


def read_columns(path: Path, manifest: TableManifest, shards: Sequence[TableShard], names: Sequence[str]) -> pa.Table:
    """Some columns of all rows of some shards, one after the other; of no shards empty ones."""
    wanted = [column for column in manifest.columns if column.name in names]
    if manifest.kind == SAMPLES:
        empty = pa.schema([(column.name, samples.TYPES[column.type]) for column in wanted])
        parts = [samples.read_shard(path / shard.data, wanted) for shard in shards]
    else:
        empty = pq.read_schema(path / next(iter(manifest.splits.values())).shards[0].parquet)
        files = [path / shard.parquet for shard in shards]
        parts = [pq.read_table(file, partitioning=None, columns=list(names)) for file in files]
    return pa.concat_tables(parts or [empty.empty_table()]).select(list(names))


def comparable(path: Path, manifest: TableManifest, shards: Sequence[TableShard], name: str) -> pa.ChunkedArray:
    """A column of some shards as what is equal in two releases where its values are the same bits."""
    if manifest.kind == SAMPLES:
        return pa.chunked_array([samples.comparable(path / shard.data, name) for shard in shards])
    return _bits(read_columns(path, manifest, shards, [name])[name])
