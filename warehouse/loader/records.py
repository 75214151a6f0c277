"""Batches of records, dictionaries of whatever a sample holds, in the same exact global order as tokens.

For releases of samples, and other projects' data sets whose samples are no fixed number of tokens: texts, features,
images, documents. A sample is decoded when its batch is made, and not before. Lost against ``Loader``: Python touches
every value, some 5 to 20 us a sample, where tokens are gathered at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warehouse.errors import UsageError
from warehouse.loader.course import Numbers
from warehouse.loader.delivery import check_threads, delivered
from warehouse.loader.epochs import Epochs
from warehouse.loader.foreign import Record, is_foreign, open_foreign
from warehouse.loader.foreign.samples import Value
from warehouse.loader.shards import refuse_unknown_split
from warehouse.manifest import SAMPLES, Manifest, check_file, read_any, refuse_part


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """A rank's part of a global batch of records.

    samples: int64[rows], numbers within the split; records: one dictionary a row. A value is bytes (files and images as
    they were written), str, bool, int, float, Decimal, None, a numpy array (numbers; it may be a view of the file that
    cannot be written to), or a list or dictionary of values.
    """

    samples: Numbers
    records: tuple[Record, ...]

    @property
    def bytes(self) -> int:
        """Of all values: of texts as many as characters, of numbers 8."""
        return sum(_size(value) for record in self.records for value in record.values())


class RecordLoader(Epochs):
    """Iterates an epoch of a release of samples, or another project's data set, as records; options as of ``Loader``.

    path: the folder of the release, or as ``warehouse.loader.foreign`` says, ``webdataset:FOLDER`` and so on.
    """

    def _open(self, path: Path | str, split: str, *, checked: bool) -> tuple[str, int]:
        dataset = "" if is_foreign(path) else _samples(Path(path), split)
        self.opened = open_foreign(f"mds:{path}" if dataset else path, split, checked=checked)
        return dataset or self.opened.identity, self.opened.records.total

    def __iter__(self) -> Iterator[tuple[Record, ...]]:
        """This rank's records of each remaining global batch of the epoch."""
        return (batch.records for batch in self.batches())

    def batches(self, *, threads: int = 0, ahead: int | None = None) -> Iterator[RecordBatch]:
        """As iteration, with sample numbers; threads and ahead as ``Loader.batches``."""
        ahead = check_threads(threads, ahead)
        yield from delivered(self.course, self._made, self.counters, threads=threads, ahead=ahead)
        self.course.turn()

    def _made(self, numbers: Numbers, _: int) -> RecordBatch:
        return RecordBatch(numbers, tuple(self.opened.records.read(numbers)))


def _samples(folder: Path, split: str) -> str:
    """The id of a release of samples, whose shards are MDS, after comparing the index of the split with its hash."""
    manifest = read_any(folder)
    if isinstance(manifest, Manifest) or manifest.kind != SAMPLES:
        raise UsageError(
            f"{folder} as records",
            allowed="a release of samples; mds:, litdata:, megatron:, webdataset:, parquet:",
            do="open tokens with Loader, rows of a table with TableLoader",
        )
    refuse_part(folder)
    refuse_unknown_split(folder, manifest, split)
    check_file(folder, manifest.files[f"{split}/index.json"])
    return manifest.id


def _size(value: Value) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, bytes | str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) else 8
