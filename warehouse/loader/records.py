"""Batches of records, dictionaries of whatever a sample holds, in the same exact global order as tokens.

For other projects' data sets whose samples are no fixed number of tokens: texts, features, images, documents. A sample
is decoded when its batch is made, and not before. Lost against ``Loader``: Python touches every value, some 5 to 20 us
a sample, where tokens are gathered at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warehouse.errors import UsageError
from warehouse.loader.course import Course, Numbers, State, check_shape, unlike
from warehouse.loader.delivery import Counters, check_threads, delivered
from warehouse.loader.foreign import Record, is_foreign, open_foreign
from warehouse.loader.foreign.samples import Value


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


class RecordLoader:
    """Iterates an epoch of another project's data set as records; options and state are those of ``Loader``.

    path: as ``warehouse.loader.foreign`` says, ``webdataset:FOLDER`` and so on.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        split: str = "train",
        batch: int,
        world: int = 1,
        rank: int = 0,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = True,
        checked: bool = True,
    ) -> None:
        check_shape(batch, world, rank)
        if not is_foreign(path):
            raise UsageError(
                f"{path} as records", allowed="mds:, litdata:, megatron:, webdataset: and parquet:",
                do="open a release with Loader or TableLoader",
            )  # fmt: skip
        self.opened = open_foreign(path, split, checked=checked)
        self.course = Course(
            self.opened.identity,
            split,
            self.opened.records.total,
            batch=batch,
            world=world,
            rank=rank,
            seed=seed,
            epoch=epoch,
            drop_last=drop_last,
        )
        self.counters = Counters()

    @classmethod
    def resume(
        cls,
        path: Path | str,
        state: State,
        *,
        batch: int,
        world: int = 1,
        rank: int = 0,
        drop_last: bool = True,
        checked: bool = True,
    ) -> RecordLoader:
        """A loader that goes on where ``state`` was taken, with any batch and world. Raises StateError if it cannot."""
        try:
            loader = cls(
                path,
                split=state["split"],
                batch=batch,
                world=world,
                rank=rank,
                seed=state["seed"],
                epoch=state["epoch"],
                drop_last=drop_last,
                checked=checked,
            )
        except (KeyError, TypeError):
            raise unlike(state) from None
        loader.restore(state)
        return loader

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return len(self.course)

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

    def state(self) -> State:
        """Where the epoch stands: five small values, equal on every rank; store it beside the model."""
        return self.course.state()

    def restore(self, state: State) -> None:
        """Go on where ``state`` was taken. Raises StateError for another data set, split or seed."""
        self.course.restore(state)


def _size(value: Value) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, bytes | str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list) else 8
