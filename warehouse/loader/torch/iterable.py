"""A loader's batches as an IterableDataset, exact at any number of workers, resumable from what was handed out.

Worker w of W takes steps w, w + W, w + 2W... of its rank and ``DataLoader`` asks its workers in turn, so what comes out
is the loader's order. Every batch carries the state in which training stands once it is used. A stream is opened in
each worker: its threads and connections do not pass a fork.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from warehouse.errors import UsageError
from warehouse.loader.course import Course, State
from warehouse.loader.loader import Loader
from warehouse.loader.mixture import MixedCourse, Mixture, MixtureState
from warehouse.loader.rows import TableLoader
from warehouse.loader.streaming import Streaming, StreamingLoader
from warehouse.loader.torch.tensors import Tensors

WORKERS = 1024
"""Workers of a DataLoader at most."""
ALLOWED = "token_dataset, stream_dataset, mixture_dataset or row_dataset"

AnyLoader = Loader | TableLoader | Mixture | StreamingLoader
AnyState = State | MixtureState


class ReleaseDataset(IterableDataset):
    """This rank's batches from where the dataset stands to the end of the epoch; for a DataLoader, ``batch_size=None``.

    Each batch has ``state``: where training stands once it is used, equal on every rank; pass it to load_state_dict,
    with any batch, world and number of workers. Iterated in its own process, or through ``tracked``, the dataset moves
    on with every batch and to the next epoch at the end; a mixture has no end. A plain loop over a DataLoader with
    workers moves only copies: call set_epoch (load_state_dict for a mixture) before each, or the second is refused.
    """

    def __init__(self, opened: Callable[[], AnyLoader], read: Callable[[Any], Iterator[Tensors]]) -> None:
        self.opened, self.read = opened, read
        self._open()
        self._place: AnyState = self.loader.state()
        self._times = 1  # how often the place was set
        room = 1024 + 32 * len(json.dumps(self._place))  # a mixture's counts grow from 1 digit to 19
        self._shared = torch.zeros(room, dtype=torch.uint8).share_memory_()
        self._begun = torch.zeros(WORKERS, dtype=torch.int64).share_memory_()
        self._went = False
        self._loaded: AnyState | None = None  # in a worker: where its next iteration begins
        self._own: AnyState | None = None  # in a worker: where it stands
        self.publish()

    def __len__(self) -> int:
        """Batches of a whole epoch, the same on every rank: what DataLoader's own length is. Raises TypeError for a
        mixture, as torch expects of what has no end.
        """
        if isinstance(self.loader, Mixture):
            raise TypeError("a mixture has no end, so no length")
        return len(self.loader)

    def __iter__(self) -> Iterator[Tensors]:
        """The batches of this process: all of the rank's, or in a worker of a DataLoader every W-th."""
        worker = get_worker_info()
        if isinstance(self.loader, Streaming) and self._process != os.getpid():
            self._open()
        if worker and self._went:  # a new worker has the place from its birth
            self._times, self._place = json.loads(self._shared.numpy().tobytes().rstrip(b"\0"))
        self._went = worker is not None
        self._own = self._loaded
        _restore(self.loader, self.state_dict())
        self._loaded = None
        return self._part(worker.id, worker.num_workers) if worker else self._all()

    def state_dict(self) -> AnyState:
        """Where the next iteration begins; in a worker, where its own next batch is."""
        return self._own or self._place

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin where ``state`` was taken. Raises StateError for a state of another data set, split or seed."""
        place = self._checked(state)
        if get_worker_info():
            self._loaded = self._own = place
        else:
            self._place = place
            self.publish()

    def set_epoch(self, epoch: int) -> None:
        """Begin at the start of an epoch. Raises UsageError for a mixture, whose sources have epochs of their own."""
        if isinstance(self.loader, Mixture):
            raise UsageError(f"epoch {epoch} of a mixture", allowed="load_state_dict of a state")
        self.load_state_dict({**self.state_dict(), "epoch": epoch, "samples": 0})

    def follow(self, state: AnyState) -> None:
        """Stand where ``state`` says. Workers that begin an iteration now begin it where it was last published."""
        self._place = self._checked(state)

    def publish(self) -> None:
        """Tell workers that already live where their next iteration begins."""
        self._times += 1
        said = json.dumps([self._times, self._place]).encode()
        self._shared.copy_(torch.frombuffer(bytearray(said.ljust(len(self._shared), b"\0")), dtype=torch.uint8))

    def _checked(self, state: Mapping[str, Any]) -> AnyState:
        course = copy(self.loader.course)  # an iteration that is under way goes on
        course.restore(cast(Any, state))
        return course.state()

    def _all(self) -> Iterator[Tensors]:
        for tensors in self.read(self.loader):
            self._place = _after(self.loader.course)
            self.publish()
            yield {**tensors, "state": self._place}

    def _part(self, number: int, workers: int) -> Iterator[Tensors]:
        """Every ``workers``-th batch from ``number`` on; the others are passed over without reading."""
        self._refuse_again(number)
        course = self.loader.course
        course.skip(number)
        course.stride, passed = workers, copy(course)
        for tensors in self.read(self.loader):
            passed.skip(1)
            state, own = _after(passed), copy(passed)
            own.skip(workers - 1 - number)
            self._own = own.state()
            passed.skip(workers - 1)
            yield {**tensors, "state": state}

    def _refuse_again(self, number: int) -> None:
        if self._begun[number] == self._times:
            raise UsageError(
                f"a loop from {self._place} was begun before",
                allowed="one loop over a DataLoader with workers from each place",
                do="loop over tracked(loader), or call set_epoch (load_state_dict for a mixture) before each loop",
            )
        self._begun[number] = self._times

    def __getstate__(self) -> dict[str, Any]:
        """Without the mapped files, which a spawned worker opens itself."""
        return {name: value for name, value in self.__dict__.items() if name != "loader"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def _open(self) -> None:
        self.loader, self._process = self.opened(), os.getpid()


def tracked(loader: DataLoader | ReleaseDataset) -> Iterator[Tensors]:
    """The batches of a DataLoader, its dataset moved on as each is handed out.

    So state_dict() counts what was handed out and not what workers have fetched, a loop that was left goes on where it
    stopped, and the loop after a whole one is the next epoch. Raises UsageError for a loader that collates.
    """
    data = loader if isinstance(loader, ReleaseDataset) else loader.dataset
    if not isinstance(data, ReleaseDataset):
        raise UsageError(f"a loader of {type(data).__name__}", allowed=ALLOWED)
    if loader is not data and loader.batch_size is not None:
        raise UsageError(
            f"a DataLoader with batch_size {loader.batch_size}",
            allowed="batch_size=None",
            do="the dataset's own batch is the global batch",
        )
    data.publish()
    try:
        for batch in loader:
            data.follow(batch["state"])
            yield batch
    finally:
        data.publish()


def _restore(loader: AnyLoader, state: AnyState) -> None:
    loader.restore(cast(Any, state))


def _after(course: Course | MixedCourse) -> AnyState:
    """The state after the batch just read: the next epoch's start after the last one."""
    if isinstance(course, MixedCourse) or course.unfinished:
        return course.state()
    return {**course.state(), "epoch": course.epoch + 1, "samples": 0}
