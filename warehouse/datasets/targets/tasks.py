"""A shard of a release as an export target reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.contracts import Snapshot
from warehouse.datasets.samples import BATCH, read_shard
from warehouse.datasets.vocabulary import Ids
from warehouse.errors import RecipeError
from warehouse.manifest import Column, TableShard

FOLDER = "targets"
PART_BYTES = 1 << 26
"""Tokens in a file, at most, of the formats that cut theirs: what mosaicml-streaming and litdata take by default."""

Entry = dict[str, Any]
"""What the index of a format says of one of its files."""


@dataclass(frozen=True, slots=True)
class TargetTask:
    """A shard of tokens. Picklable.

    folder: of the release; number: of the shard among ``shards`` of the split; data: its .bin; first: number in the
    split of its first sample; wanted: doc_id, content_hash, masks and facts of its documents, in order.
    """

    folder: Path
    split: str
    number: int
    shards: int
    data: str
    first: int
    sequence_length: int
    dtype: str
    wanted: pa.Table
    documents: Snapshot
    batch_rows: int

    def place(self, target: str, name: str = "") -> Path:
        """A file of a target, its folder made."""
        return placed(self.folder / FOLDER / target / name)

    @property
    def stem(self) -> str:
        return f"{self.split}-{self.number:05d}-of-{self.shards:05d}"

    def samples(self) -> Ids:
        """All samples of the shard, [samples, sequence_length] of dtype, mapped from the .bin."""
        path, dtype = self.folder / self.data, np.dtype(self.dtype)
        if not path.stat().st_size:
            return np.empty((0, self.sequence_length), dtype)
        return np.memmap(path, dtype, mode="r").reshape(-1, self.sequence_length)

    def parts(self, part_bytes: int = PART_BYTES) -> Iterator[Ids]:
        """The samples in parts of at most ``part_bytes``, but one sample at least; none for an empty shard."""
        samples = self.samples()
        rows = max(1, part_bytes // (self.sequence_length * samples.itemsize))
        for start in range(0, len(samples), rows):
            yield samples[start : start + rows]


@dataclass(frozen=True, slots=True)
class RowTask:
    """A shard of rows: ``data`` is its Parquet file, first the number in the split of its first row; at: place of the
    select, for messages.
    """

    folder: Path
    split: str
    data: str
    first: int
    at: str

    def place(self, target: str, suffix: str) -> Path:
        """The file of a target under the shard's stem, its folder made."""
        return placed(self.folder / FOLDER / target / Path(self.data).with_suffix(suffix))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each row as values that JSON has: times as ISO 8601 text, NaN as null. Raises RecipeError for infinity."""
        with pq.ParquetFile(self.folder / self.data) as held:
            for batch in held.iter_batches(4096):
                for row in batch.to_pylist():
                    yield {name: _plain(value, self.at) for name, value in row.items()}


@dataclass(frozen=True, slots=True)
class SampleTask:
    """A shard of samples of any columns: ``number`` of ``shards`` of its split; first: number in the split of its first
    sample; at: place of the select, for messages.
    """

    folder: Path
    split: str
    number: int
    shards: int
    shard: TableShard
    first: int
    columns: tuple[Column, ...]
    at: str

    def place(self, target: str, name: str) -> Path:
        """A file of a target, its folder made."""
        return placed(self.folder / FOLDER / target / name)

    @property
    def stem(self) -> str:
        return f"{self.split}-{self.number:05d}-of-{self.shards:05d}"

    @property
    def binary(self) -> tuple[str, ...]:
        """The columns of bytes."""
        return tuple(column.name for column in self.columns if column.dtype == "bytes")

    def batches(self) -> Iterator[pa.Table]:
        """The samples in order, some at once."""
        for start in range(0, self.shard.samples, BATCH):
            yield read_shard(self.folder / self.shard.data, self.columns, slice(start, start + BATCH))

    def samples(self) -> Iterator[tuple[dict[str, Any], dict[str, bytes]]]:
        """Of each sample the values that JSON has, as ``RowTask.rows`` gives them, and those of columns of bytes."""
        for batch in self.batches():
            for row in batch.to_pylist():
                values = {name: _plain(value, self.at) for name, value in row.items() if name not in self.binary}
                yield values, {name: row[name] for name in self.binary}


def placed(path: Path) -> Path:
    """The path, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _plain(value: Any, at: str) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, float) and math.isinf(value):
        raise RecipeError(f"{at}: a row holds {value}", allowed="numbers that JSON has", do="give NULL in the select")
    if isinstance(value, list):
        return [_plain(each, at) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
