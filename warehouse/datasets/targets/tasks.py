"""A shard of a release as an export target reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.contracts import Snapshot
from warehouse.datasets.samples import BATCH, read_shard
from warehouse.datasets.vocabulary import Ids
from warehouse.errors import RecipeError
from warehouse.manifest import Column, TableShard

FOLDER = "targets"
PART_BYTES = 1 << 26
"""Values in a file, at most, of the formats that cut theirs: what mosaicml-streaming and litdata take by default."""

TOKENS, LOSS_MASK = "tokens", "loss_mask"

Columns = Mapping[str, npt.NDArray[Any]]
"""Some samples: TOKENS, [samples, sequence_length] of dtype, and of conversations LOSS_MASK, uint8 of the same shape, 1
where the token is learnt.
"""
Entry = dict[str, Any]
"""What the index of a format says of one of its files."""


@dataclass(frozen=True, slots=True)
class TargetTask:
    """A shard of tokens. Picklable.

    folder: of the release; number: of the shard among ``shards`` of the split; data: its .bin; first: number in the
    split of its first sample; wanted: doc_id, content_hash, masks and facts of its documents, in order, or its
    conversations that go out, which need no ``documents``; mask: the .mask of conversations.
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
    documents: Snapshot | None
    batch_rows: int
    mask: str = ""

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

    def parts(self, part_bytes: int = PART_BYTES) -> Iterator[Columns]:
        """The samples in parts of at most ``part_bytes``, but one sample at least; none for an empty shard."""
        samples, width = self.samples(), np.dtype(self.dtype).itemsize + bool(self.mask)
        rows = max(1, part_bytes // (self.sequence_length * width))
        for start in range(0, len(samples), rows):
            part = {TOKENS: samples[start : start + rows]}
            yield part | {LOSS_MASK: self._learnt(start, len(part[TOKENS]))} if self.mask else part

    def _learnt(self, start: int, count: int) -> npt.NDArray[np.uint8]:
        """The mask of ``count`` samples, a bit a token in the file, a sample in whole bytes."""
        width = -(-self.sequence_length // 8)
        bits = np.fromfile(self.folder / self.mask, np.uint8, count * width, offset=start * width)
        rows = bits.reshape(count, width)
        return np.unpackbits(rows, axis=1, count=self.sequence_length, bitorder="little")


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


def row_bytes(part: Columns, names: Sequence[str]) -> npt.NDArray[np.uint8]:
    """The samples as rows of bytes, uint8[samples, bytes], their columns in this order."""
    rows = [np.ascontiguousarray(part[name]).view(np.uint8) for name in names]
    return np.concatenate(rows, axis=1) if len(rows) > 1 else rows[0]


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
