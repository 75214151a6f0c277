"""The order in which a release is streamed: runs of blocks permuted, samples shuffled in windows, as a function.

The samples that begin in ``run`` blocks one after the other are a run; one that straddles two blocks is of the run
that it begins in. An epoch permutes the runs, cuts that sequence in ``lanes`` of equally many samples (to one), and
shuffles each lane in windows, one after the other, each as many samples as blocks / lanes blocks hold. Position p of
the epoch is lane p mod lanes, and there place p // lanes. So all is arithmetic over 16 bytes a run, any position can be
computed alone, and a rank takes whole lanes, and with them their blocks alone, where world divides lanes and lanes
divides batch.

The first windows of a lane hold an eighth of a run, a quarter and so on: the first batch needs a block or two a lane.
Then one is shortened by another part in each lane, so that lanes begin windows in turn, and blocks are needed at an
even pace.

How far it is from an exact shuffle, of 4 GiB in eight sources one after the other: chi-square of the sources in a batch
of 64 over its mean in an exact shuffle is 3.8 in windows of 16 MiB, 1.9 of 64, 1.3 of 256 and 1.16 of 1,024
(``make bench AREA=loader``), the smaller first windows included; else 1 + (batch - lanes) / blocks. Rejected: windows
over all lanes at once, which want all their blocks at one moment, and every block on every rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from warehouse.errors import UsageError
from warehouse.loader.course import Numbers, distinct
from warehouse.loader.permutation import Words, inverted, permuted
from warehouse.manifest import BLOCK_BYTES, FileEntry

STRADDLED = 8
"""Blocks of a run where samples straddle blocks: the block after a run is fetched with it, an eighth more."""


@dataclass(frozen=True, slots=True)
class Window:
    """What samples are shuffled in. blocks: that it holds, of 1 MiB, over all lanes together.

    run: blocks that lie side by side and come in one request; None: 1 where a sample's bytes divide a block's, else 8.
    lanes: parts of a global batch that have blocks of their own.
    """

    blocks: int = 256
    run: int | None = None
    lanes: int = 8

    @property
    def stated(self) -> list[int]:
        """As a state has it."""
        return [self.blocks, self.run or 1, self.lanes]

    def of(self, row_bytes: int) -> Window:
        """The same with its run stated. Raises UsageError for what cannot work."""
        run = self.run or (STRADDLED if BLOCK_BYTES % row_bytes else 1)
        if run < 1 or self.lanes < 1 or self.blocks < run * self.lanes:
            raise UsageError(
                f"a window of {self.blocks} blocks in runs of {run} and {self.lanes} lanes",
                allowed=f"a run or more a lane, {max(run, 1) * max(self.lanes, 1)} blocks",
            )
        return Window(self.blocks, run, self.lanes)


@dataclass(frozen=True, slots=True)
class Run:
    """Samples first to last - 1 of a split, bytes start to stop of its file."""

    entry: FileEntry
    first: int
    last: int
    start: int
    stop: int

    @property
    def blocks(self) -> range:
        """Numbers of the file's blocks that hold it."""
        return range(self.start // BLOCK_BYTES, -(-self.stop // BLOCK_BYTES))


class Runs:
    """The runs of a split, in the order of its samples: run k holds samples edges[k] to edges[k + 1] - 1."""

    def __init__(self, shards: Sequence[tuple[FileEntry, int]], row_bytes: int, blocks: int) -> None:
        """shards: the file of each and its samples."""
        self.shards, self.row_bytes = [shard for shard in shards if shard[1]], row_bytes
        self.firsts = np.cumsum([0, *(samples for _, samples in self.shards)], dtype=np.int64)
        step = blocks * BLOCK_BYTES
        within = [np.arange(0, samples * row_bytes, step) for _, samples in self.shards]
        begins = [first - (-starts // row_bytes) for first, starts in zip(self.firsts, within, strict=False)]
        edges = np.concatenate([*begins, self.firsts[-1:]])  # twice the same: no sample begins in between
        self.edges: Numbers = edges[np.diff(edges, prepend=-1) > 0]

    def __len__(self) -> int:
        return self.edges.size - 1

    @property
    def total(self) -> int:
        """Samples of all runs."""
        return int(self.firsts[-1])

    def __getitem__(self, number: int) -> Run:
        first, last = (int(edge) for edge in self.edges[number : number + 2])
        shard = int(np.searchsorted(self.firsts, first, side="right")) - 1
        before = int(self.firsts[shard])
        start, stop = ((each - before) * self.row_bytes for each in (first, last))
        return Run(self.shards[shard][0], first, last, start, stop)

    def spans(self) -> tuple[Numbers, Numbers, Numbers]:
        """Of each run its first block, the one after its last, counted over all files, and the bytes of these."""
        shard = np.searchsorted(self.firsts, self.edges[:-1], side="right") - 1
        start, stop = ((edges - self.firsts[shard]) * self.row_bytes for edges in (self.edges[:-1], self.edges[1:]))
        first, last = start // BLOCK_BYTES, -(-stop // BLOCK_BYTES)
        sizes = np.diff(self.firsts) * self.row_bytes
        blocks = -(-sizes // BLOCK_BYTES)
        before = np.cumsum(blocks) - blocks
        held = np.minimum(last * BLOCK_BYTES, sizes[shard]) - first * BLOCK_BYTES
        return first + before[shard], last + before[shard], held

    def located(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """The run of each sample and its place there."""
        owner = np.searchsorted(self.edges, numbers, side="right") - 1
        return owner, numbers - self.edges[owner]


@dataclass(frozen=True, slots=True)
class Epoch:
    """The permuted runs of one epoch: number of each, and how many samples those before it have."""

    number: int
    runs: Numbers
    before: Numbers


@dataclass(slots=True)
class Windows:
    """Positions of an epoch to samples. name: of data set, split and seed; window: with its run stated."""

    name: str
    runs: Runs
    window: Window
    _epoch: Epoch = field(init=False, repr=False, default=Epoch(-1, np.empty(0, np.int64), np.empty(0, np.int64)))

    def samples(self, epoch: int, positions: Numbers) -> Numbers:
        """The samples at positions of an epoch's order: int64, as many."""
        order = self._permuted(epoch)
        places = self._shuffled(epoch, positions)
        at = np.searchsorted(order.before, places, side="right") - 1
        return self.runs.edges[order.runs[at]] + places - order.before[at]

    def positions(self, epoch: int, samples: Numbers) -> Numbers:
        """The position of each sample in an epoch's order: the inverse of ``samples``."""
        order, (runs, within) = self._permuted(epoch), self.runs.located(samples)
        at = inverted(runs, n=len(self.runs), key=self._runs_key(epoch)).view(np.int64)
        places = order.before[at] + within
        begins = [self._begin(lane) for lane in range(self.window.lanes)]
        lanes, found = np.searchsorted(begins, places, side="right") - 1, np.empty_like(places)
        for lane in distinct(lanes):
            mine = np.flatnonzero(lanes == lane)
            found[mine] = self._in_lane(epoch, lane, places[mine] - begins[lane], inverted) * self.window.lanes + lane
        return found

    def _runs_key(self, epoch: int) -> str:
        return f"{self.name}/{epoch}/runs"

    def _permuted(self, epoch: int) -> Epoch:
        if epoch != self._epoch.number:
            count = len(self.runs)
            runs = permuted(np.arange(count), n=count, key=self._runs_key(epoch)).view(np.int64)
            sizes = np.diff(self.runs.edges)[runs]
            self._epoch = Epoch(epoch, runs, np.cumsum(sizes) - sizes)
        return self._epoch

    def _shuffled(self, epoch: int, positions: Numbers) -> Numbers:
        """Places in the sequence of permuted runs."""
        found = np.empty_like(positions)
        within, lanes = np.divmod(positions, self.window.lanes)
        for lane in distinct(lanes):
            mine = np.flatnonzero(lanes == lane)
            found[mine] = self._begin(lane) + self._in_lane(epoch, lane, within[mine], permuted)
        return found

    def _begin(self, lane: int) -> int:
        """Samples of the lanes before: a lane has total / lanes, the first ones one more."""
        least, more = divmod(self.runs.total, self.window.lanes)
        return lane * least + min(lane, more)

    def _in_lane(self, epoch: int, lane: int, places: Numbers, shuffle: Callable[..., Words]) -> Numbers:
        """Places in a lane, shuffled in their windows, or the other way round."""
        size = self._begin(lane + 1) - self._begin(lane)
        head, full = self._head(lane)
        late = np.maximum(places - head[-1], 0) // full
        numbers = np.where(places < head[-1], np.searchsorted(head, places, side="right") - 1, head.size - 1 + late)
        found = np.empty_like(places)
        for number in distinct(numbers):
            mine = np.flatnonzero(numbers == number)
            begin, end = (_edge(head, full, each) for each in (number, number + 1))
            key = f"{self.name}/{epoch}/{lane}/{number}"
            found[mine] = begin + shuffle(places[mine] - begin, n=min(end, size) - begin, key=key).view(np.int64)
        return found

    def _head(self, lane: int) -> tuple[Numbers, int]:
        """Where a lane's first windows begin and the whole ones after them, and the samples of a whole one."""
        lanes, blocks = self.window.lanes, (self.window.run or 1) * self.window.lanes
        of_run = max(self.runs.total // len(self.runs), 1)
        full, first = max(of_run * self.window.blocks // blocks, 1), max(of_run // 8, 1)
        grown = [first << times for times in range(full.bit_length()) if first << times < full]
        return np.cumsum([0, *grown, max(full * (lane + 1) // lanes, 1)]), full


def _edge(head: Numbers, full: int, number: int) -> int:
    """The place at which a window begins."""
    late = number - (head.size - 1)
    return int(head[number]) if late <= 0 else int(head[-1]) + late * full
