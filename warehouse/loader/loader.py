"""Batches of a release: an exact global shuffle without replacement, equal at any world size, resumable to the sample.

``Course`` says which samples, this module gives their tokens. One epoch of 19,075 samples of 512 uint16 tokens
in batches of 64 takes 0.8 us of CPU a sample, checks included (0.7 without; boundaries, position ids and loss mask some
2.7 more each), page cache warm, on a 2-core AMD EPYC machine that does much else. Lost: no locality; a cold disk sees
random reads of one sample (of 1 MiB at the first touch of a block).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from warehouse.errors import UsageError
from warehouse.loader.course import Numbers
from warehouse.loader.delivery import check_threads, delivered
from warehouse.loader.epochs import Epochs
from warehouse.loader.foreign import is_foreign, open_foreign
from warehouse.loader.foreign.samples import FixedReader
from warehouse.loader.splits import MappedSplits
from warehouse.loader.tokens import Batch, Slots, TokenReader, Tokens, Wanted
from warehouse.manifest import Manifest, read_manifest


class Loader(Epochs):
    """Iterates an epoch of a split; when it ends, the next iteration is the next epoch.

    path: a release's folder, or another project's data set of samples that are all the same number of tokens, such as
    ``mds:FOLDER`` (warehouse.loader.foreign).
    Options, and where it stands: ``Epochs``.
    """

    def _open(self, path: Path | str, split: str, *, checked: bool) -> tuple[str, int]:
        self._reader, dataset = _opened(path, split, checked=checked)
        return dataset, self._reader.sizes[0]

    @property
    def manifest(self) -> Manifest:
        """What the release says of itself. Raises UsageError for another project's data set, which has none."""
        if isinstance(self._reader, FixedReader):
            raise UsageError(f"the manifest of {self._reader.location}", allowed="that of a release")
        return self._reader.manifests[0]

    def __iter__(self) -> Iterator[Tokens]:
        """This rank's rows of each remaining global batch of the epoch: [rows, sequence_length], a fresh array each."""
        return (batch.tokens for batch in self.batches())

    def batches(
        self,
        *,
        boundaries: bool = False,
        positions: bool = False,
        loss_mask: bool = False,
        source_ids: bool = False,
        reuse: bool = False,
        threads: int = 0,
        ahead: int | None = None,
    ) -> Iterator[Batch]:
        """As iteration, with sample numbers and what is asked for beside the tokens: fields of Batch.

        threads: 0, each batch is made when it is asked for; else ``ahead`` batches, two a thread, are made beforehand.
        reuse: tokens lie in memory that is filled again once the next batch is asked for; else each step has an array
        of its own. A batch counts as consumed when it is handed out. Equal batches whatever is asked for. Raises
        FormatError for source_ids of a release that was made without.
        """
        ahead = check_threads(threads, ahead)
        wanted = self._reader.ready(Wanted(boundaries, positions, loss_mask, source_ids))
        made = partial(self._made, wanted=wanted, slots=[None] * (ahead + 1) if reuse else None)
        yield from delivered(self.course, made, self.counters, threads=threads, ahead=ahead)
        self.course.turn()

    def read(
        self,
        numbers: Numbers,
        *,
        boundaries: bool = False,
        positions: bool = False,
        loss_mask: bool = False,
        source_ids: bool = False,
    ) -> Batch:
        """The samples of these numbers (int64[rows]), in that order: of the split, whatever the epoch's own is.

        Nothing is counted as consumed. Raises IndexError for a number outside the split; -1 is its last sample.
        """
        total = self.course.total
        if numbers.size and not -total <= numbers.min() <= numbers.max() < total:
            raise IndexError(f"samples {numbers.min()} to {numbers.max()} of a split of {total}")
        wanted = self._reader.ready(Wanted(boundaries, positions, loss_mask, source_ids))
        return self._made(np.where(numbers < 0, numbers + total, numbers), 0, wanted=wanted, slots=None)

    def _made(self, numbers: Numbers, slot: int, *, wanted: Wanted, slots: Slots | None) -> Batch:
        return self._reader.read(numbers, np.zeros(numbers.size, np.int64), wanted=wanted, slots=slots, slot=slot)

    @property
    def source_names(self) -> tuple[str, ...]:
        """What the numbers of ``Batch.source_ids`` stand for."""
        return self._reader.source_names


def _opened(path: Path | str, split: str, *, checked: bool) -> tuple[TokenReader | FixedReader, str]:
    """What reads the samples, and what a state calls them."""
    if is_foreign(path):
        opened = open_foreign(path, split, checked=checked)
        return FixedReader(opened), opened.identity
    manifest = read_manifest(Path(path))
    return TokenReader([manifest], MappedSplits([(Path(path), manifest, split)], checked=checked)), manifest.id
