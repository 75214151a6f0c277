"""Batches of a release that stays where it lies: on a web server, in an object store, in a slow folder.

The order is that of ``windows``: a function of (data set id, split, seed, epoch, window), equal at any world size,
number of threads and size of memory or cache, so that a state of a few values resumes it exactly. Runs of blocks are
fetched by threads before they are due, each block compared with its hash, damaged ones once more. Memory is that of a
window, of ``ahead`` and of a batch; a cache on a disk, where one is given, holds its share of every epoch. Lost against
``pull`` and ``Loader``: the shuffle is one of windows, and a resume begins by fetching what its window holds.
"""

from __future__ import annotations

import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import numpy as np

from warehouse.errors import FormatError, UsageError
from warehouse.loader.arriving import Arrivals
from warehouse.loader.beside import Alongside
from warehouse.loader.blocks import Blocks, Disk, chosen
from warehouse.loader.cache import claimed
from warehouse.loader.course import Course, Numbers, State, check_shape, unlike
from warehouse.loader.delivery import Counters, Sized
from warehouse.loader.epochs import Resumable
from warehouse.loader.held import Held
from warehouse.loader.offering import Offer, offered
from warehouse.loader.parts import Parts, of_tokens, sized
from warehouse.loader.prefetching import Feed, Fetch, StreamedSplit, Threads, step_of
from warehouse.loader.rows import Array, RowBatch, row_batch, row_dtype
from warehouse.loader.shards import refuse_unknown_split
from warehouse.loader.tokens import Batch, Slots, TokenReader, Tokens, Wanted
from warehouse.loader.windows import Runs, Window, Windows
from warehouse.manifest import AnyManifest, Manifest, TableManifest

Made = TypeVar("Made", bound=Sized)
Kind = TypeVar("Kind", bound=AnyManifest)


@dataclass(slots=True)
class StreamCounters(Counters):
    """As Counters, with the bytes that came from the origin: ``fetched``."""

    fetched: int = 0


@dataclass(frozen=True, slots=True)
class Fetching:
    """How blocks come. threads: requests at once; ahead_bytes: of samples whose blocks are asked for before need.

    cache: a folder that keeps blocks, cache_bytes of them at most, also for other ranks of this machine; it may be that
    of ``cached``. key, headers, allow_private: as of ``pull``.
    """

    threads: int = 8
    ahead_bytes: int = 32 << 20
    cache: Path | str | None = None
    cache_bytes: int = 0
    key: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    allow_private: bool = False

    def offered(self, location: Path | str) -> Offer:
        """What lies there. Raises UsageError for an origin that gives no ranges, or options that cannot work."""
        if self.threads < 1 or self.ahead_bytes < 0 or (self.cache is None) != (self.cache_bytes < 1):
            raise UsageError(
                f"{self.threads} threads, {self.ahead_bytes:,} bytes ahead, {self.cache_bytes:,} bytes of a cache",
                allowed="1 thread or more, 0 bytes ahead or more, a cache with its bytes or none",
            )
        offer = offered(location, key=self.key, headers=self.headers, allow_private=self.allow_private)
        offer.refuse_revoked()
        if not offer.origin.ranged:
            raise UsageError(f"{offer.origin.shown} gives no ranges of a file", do="pull it, and read the copy")
        return offer


@dataclass(frozen=True, slots=True)
class Coming:
    """What a step will give: this rank's samples, and the blocks that hold them, as (file, number)."""

    samples: Numbers
    blocks: tuple[tuple[str, int], ...]


class Streaming(Resumable, ABC, Generic[Kind]):
    """What streamed loaders of any kind of release share.

    location: as of ``pull``: a folder or URL (http, https, s3, gs, az, abfs), or ``channel:NAME``. window: what samples
    are shuffled in. What is shared with ``Loader`` means the same. Closed, left as a with block or let go of, it ends
    its threads. Raises as ``pull``, and UsageError for an origin that gives no ranges.
    """

    def __init__(
        self,
        location: Path | str,
        *,
        split: str = "train",
        batch: int,
        world: int = 1,
        rank: int = 0,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = True,
        window: Window | None = None,
        fetching: Fetching | None = None,
    ) -> None:
        check_shape(batch, world, rank)
        fetching = fetching or Fetching()
        offer = fetching.offered(location)
        self.manifest, parts = self._parts(offer, split)
        self.window, self.counters = (window or Window()).of(parts.row_bytes), StreamCounters()
        self.runs = Runs(parts.shards, parts.row_bytes, self.window.run or 1)
        self.course = Course(
            self.manifest.id,
            split,
            self.runs.total,
            batch=batch,
            world=world,
            rank=rank,
            seed=seed,
            epoch=epoch,
            drop_last=drop_last,
            order=Windows(f"{self.manifest.id}/{split}/{seed}", self.runs, self.window).samples,
            window=self.window.stated,
        )
        self._closing = ExitStack()
        self._blocks = Blocks(Arrivals(offer), self._disk(parts, fetching))
        threads = Threads(Fetch(self.runs, self._blocks, Alongside(self._blocks, parts)), fetching.threads)
        self._held = Held(self.runs, (parts.dtype, parts.shape), self._slots())
        self._feed = Feed(self._held, threads, ahead=fetching.ahead_bytes)
        self._closing.callback(threads.close)
        self._close = weakref.finalize(self, self._closing.close)

    @staticmethod
    @abstractmethod
    def _parts(offer: Offer, split: str) -> tuple[Kind, Parts]:
        """The manifest, and what it has of a split. Raises FormatError for a release of another kind."""

    @classmethod
    def resume(
        cls,
        location: Path | str,
        state: State,
        *,
        batch: int,
        world: int = 1,
        rank: int = 0,
        drop_last: bool = True,
        fetching: Fetching | None = None,
    ) -> Self:
        """A loader that goes on where ``state`` was taken, with any batch and world, in the window of the state.

        Raises StateError if it cannot.
        """
        try:
            split, seed, epoch, window = state["split"], state["seed"], state["epoch"], Window(*state["window"])
        except (KeyError, TypeError):
            raise unlike(state) from None
        loader = cls(
            location,
            split=split,
            batch=batch,
            world=world,
            rank=rank,
            seed=seed,
            epoch=epoch,
            drop_last=drop_last,
            window=window,
            fetching=fetching,
        )
        loader.restore(state)
        return loader

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads, and let the cache go. The loader gives nothing more."""
        self._close()

    @property
    def memory_bytes(self) -> int:
        """Of blocks that may be held, without those of ``ahead_bytes``."""
        return int(self._held.pool.nbytes)

    def comes_next(self, steps: int) -> Iterator[Coming]:
        """What the next steps of this epoch will give, computed; nothing is fetched."""
        plan = copy(self.course)
        for _ in range(steps):
            if not plan.unfinished:
                return
            step = step_of(plan, self.runs)
            runs = [self.runs[run] for run in step.runs]
            blocks = dict.fromkeys((run.entry.path, number) for run in runs for number in run.blocks)
            yield Coming(step.numbers, tuple(blocks))
            plan.advance()

    def _given(self, make: Callable[[Numbers], Made]) -> Iterator[Made]:
        """The rest of the epoch; ``make`` makes a batch of samples whose runs are in memory."""
        if self.counters.batches:  # opened a while ago
            self._blocks.arrivals.offer.refuse_revoked()
        while self.course.unfinished:
            asked = time.perf_counter()
            numbers, stalled = self._due()
            batch = make(numbers)
            self.course.advance()
            self.counters.count(batch, wait_s=time.perf_counter() - asked, stalled=stalled)
            self.counters.fetched = self._blocks.fetched
            yield batch
        self.course.turn()

    def _due(self) -> tuple[Numbers, bool]:
        try:
            if self._close.alive:
                return self._feed.step(self.course)
        except CancelledError:  # closed by another thread
            pass
        raise UsageError("the loader is closed", do="open another")

    def _slots(self) -> int:
        """Runs in memory: of the windows of this rank's lanes, each of which lies over two more than it has."""
        lanes, world, run = self.window.lanes, self.course.world, self.window.run or 1
        apart = lanes // world + (2 if lanes % world else 0) if self.course.batch % lanes == 0 else lanes
        return min(min(max(apart, 1), lanes) * (self.window.blocks // (lanes * run) + 2), len(self.runs))

    def _disk(self, parts: Parts, fetching: Fetching) -> Disk | None:
        if fetching.cache is None:
            return None
        most = fetching.cache_bytes
        name = f"{self.manifest.id}.{self.course.split}.{self.window.run}.{most}"
        size = min(sum(entry.bytes for entry in (*parts.beside, *(entry for entry, _ in parts.shards))), most)
        folder = self._closing.enter_context(claimed(fetching.cache, name, size, most_bytes=most))
        return Disk(folder, chosen(self.runs, parts.beside, most_bytes=most, name=name))


class StreamingLoader(Streaming[Manifest]):
    """Iterates an epoch of a split of a token release; when it ends, the next iteration is the next epoch."""

    @staticmethod
    def _parts(offer: Offer, split: str) -> tuple[Manifest, Parts]:
        manifest = offer.whole
        if isinstance(manifest, TableManifest):
            raise FormatError(f"{offer.origin.shown} holds rows of a table", do="read it with StreamingTableLoader")
        refuse_unknown_split(offer.origin.shown, manifest, split)
        return manifest, of_tokens(manifest, split)

    @cached_property
    def _reader(self) -> TokenReader:
        return TokenReader([self.manifest], StreamedSplit(self._feed, self._blocks.arrivals.offer.origin.shown))

    @property
    def source_names(self) -> tuple[str, ...]:
        """What the numbers of ``Batch.source_ids`` stand for."""
        return self._reader.source_names

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
    ) -> Iterator[Batch]:
        """As ``Loader.batches``; of the files beside the shards the blocks come that are needed."""
        wanted = self._reader.ready(Wanted(boundaries, positions, loss_mask, source_ids))
        slots: Slots | None = [None] if reuse else None

        def made(numbers: Numbers) -> Batch:
            return self._reader.read(numbers, np.zeros_like(numbers), wanted=wanted, slots=slots, slot=0)

        return self._given(made)


class StreamingTableLoader(Streaming[TableManifest]):
    """Iterates an epoch of a split of a table release, as ``TableLoader``; options as of ``StreamingLoader``."""

    @staticmethod
    def _parts(offer: Offer, split: str) -> tuple[TableManifest, Parts]:
        manifest = offer.whole
        if isinstance(manifest, Manifest):
            raise FormatError(f"{offer.origin.shown} holds tokens, no rows", do="read it with StreamingLoader")
        refuse_unknown_split(offer.origin.shown, manifest, split)
        shards = [shard for shard in manifest.splits[split].shards if shard.samples]
        held = [(manifest.files[shard.data], shard.samples) for shard in shards]
        return manifest, sized(Parts(held, row_dtype(manifest)))

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        """This rank's rows of each remaining global batch of the epoch, as columns."""
        return (batch.columns for batch in self.batches())

    def batches(self) -> Iterator[RowBatch]:
        """As iteration, with sample numbers and which values are there."""
        return self._given(self._made)

    def _made(self, numbers: Numbers) -> RowBatch:
        rows = np.empty(numbers.size, self._held.dtype)
        self._held.gather(numbers, rows)
        return row_batch(self.manifest, numbers, rows)
