"""Batches of a table release as numpy columns, in the same exact global order as tokens, resumable to the row.

A row is fixed-width, so a batch is one gather from the mapped files: 64 rows of 20 columns take some 60 us, checks
included. Lost: a batch reads all columns of its rows; who wants two of a thousand takes the Parquet files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.loader.delivery import check_threads, delivered
from warehouse.loader.epochs import Epochs
from warehouse.loader.shards import open_rows
from warehouse.manifest import TableManifest, read_table_manifest

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class RowBatch:
    """A rank's part of a global batch of rows.

    samples: int64[rows], numbers within the split (what ``warehouse trace`` takes); columns: name -> values [rows];
    valid: name -> bool [rows], false for null, of every column that is neither floating-point (NaN) nor a time (NaT).
    """

    samples: npt.NDArray[np.int64]
    columns: Mapping[str, Array]
    valid: Mapping[str, npt.NDArray[np.bool_]]

    @property
    def bytes(self) -> int:
        """Of its columns."""
        return sum(values.nbytes for values in self.columns.values())


class TableLoader(Epochs):
    """Iterates an epoch of a split of a table release; options and state are those of ``Loader``."""

    def _open(self, path: Path | str, split: str, *, checked: bool) -> tuple[str, int]:
        self.folder, self.manifest = Path(path), read_table_manifest(Path(path))
        self.dtype = row_dtype(self.manifest)
        self._rows = open_rows(self.folder, self.manifest, split, self.dtype, checked=checked)
        return self.manifest.id, self._rows.total

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        """This rank's rows of each remaining global batch of the epoch, as columns."""
        return (batch.columns for batch in self.batches())

    def batches(self, *, threads: int = 0, ahead: int | None = None) -> Iterator[RowBatch]:
        """As iteration, with sample numbers and which values are there; threads and ahead as ``Loader.batches``."""
        ahead = check_threads(threads, ahead)
        yield from delivered(self.course, self._made, self.counters, threads=threads, ahead=ahead)
        self.course.turn()

    def _made(self, numbers: npt.NDArray[np.int64], _: int) -> RowBatch:
        rows = np.empty(numbers.size, self.dtype)
        self._rows.gather(numbers, rows)
        return row_batch(self.manifest, numbers, rows)


def row_batch(manifest: TableManifest, numbers: npt.NDArray[np.int64], rows: npt.NDArray[np.void]) -> RowBatch:
    """The rows as columns, with which of their values are there."""
    columns = {column.name: np.ascontiguousarray(rows[column.name]) for column in manifest.columns}
    valid = {
        column.name: rows[f"valid.{column.name}"].astype(np.bool_)
        for column in manifest.columns
        if column.valid is not None
    }
    return RowBatch(numbers, columns, valid)


def row_dtype(manifest: TableManifest) -> np.dtype[np.void]:
    """The numpy type of a row: each column under its name, each validity byte under ``valid.`` and that name."""
    marks = [(f"valid.{column.name}", column.valid) for column in manifest.columns if column.valid is not None]
    return np.dtype(
        {
            "names": [*(column.name for column in manifest.columns), *(name for name, _ in marks)],
            "formats": [*(column.dtype for column in manifest.columns), *("|u1" for _ in marks)],
            "offsets": [*(column.offset for column in manifest.columns), *(offset for _, offset in marks)],
            "itemsize": manifest.row_bytes,
        }
    )
