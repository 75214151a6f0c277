"""Releases in PyTorch: the loader's own batches as tensors, in the same exact global order, with any number of workers.

Worker w of W takes steps w, w + W, w + 2W... of its rank and ``DataLoader`` asks its workers in turn, so what comes out
is the loader's order, equal at every number of workers, ranks and fetches ahead. Every batch carries the state in which
training stands once it is used, so a resume is exact whatever workers had fetched. Extra ``torch``::

    data = token_dataset("datasets/corpus/1", batch=512, labels=True)  # rank and world: torch.distributed's
    loader = DataLoader(data, batch_size=None, num_workers=4, pin_memory=True)
    for batch in tracked(loader):  # the next loop is the next epoch
        loss = model(batch["tokens"], batch["labels"])
        checkpoint = {"model": model.state_dict(), "data": data.state_dict()}

Won: no index, no sampler, no copy of the data. Lost: each worker hashes the blocks that it touches itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.errors import MissingExtra, UsageError
from warehouse.loader.course import State
from warehouse.loader.loader import Loader
from warehouse.loader.rows import TableLoader
from warehouse.loader.tokens import Batch

try:
    import torch
    from torch import distributed
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"the package {error.name!r} is not installed", do="pip install 'ml-warehouse[torch]'"
    ) from error

IGNORED = -100
"""What ``torch.nn.functional.cross_entropy`` leaves out (its ignore_index)."""
WORKERS = 1024
"""Workers of a DataLoader at most."""

Tensors = dict[str, Any]
AnyLoader = Loader | TableLoader


def token_dataset(
    path: Path | str,
    *,
    split: str = "train",
    batch: int,
    world: int | None = None,
    rank: int | None = None,
    seed: int = 0,
    epoch: int = 0,
    drop_last: bool = True,
    checked: bool = True,
    dtype: torch.dtype | None = torch.int64,
    labels: bool = False,
    boundaries: bool = False,
    source_ids: bool = False,
) -> ReleaseDataset:
    """Batches of a token release, as dicts of tensors.

    samples: int64[rows]; tokens: dtype[rows, sequence_length], None: as stored (uint16, uint32), without a copy; with
    ``labels``, labels: int64[rows, sequence_length], the token after each, IGNORED at the end of a document or piece,
    in padding, and of conversations wherever that token is not learnt; with ``boundaries``, cu_seqlens: int32[pieces +
    1] over the rows one after the other, and max_seqlen; with ``source_ids``, source_ids: int32[pieces], as Batch has
    them; state: see ReleaseDataset. batch is the global one; world and rank are those of torch.distributed where it is
    initialised, else 1 and 0. Raises as Loader does.
    """
    shape = _shape(batch, world, rank)
    opened = partial(Loader, path, split=split, seed=seed, epoch=epoch, drop_last=drop_last, checked=checked, **shape)
    return ReleaseDataset(
        opened, partial(_tokens, dtype=dtype, labels=labels, boundaries=boundaries, source_ids=source_ids)
    )


def row_dataset(
    path: Path | str,
    *,
    split: str = "train",
    batch: int,
    world: int | None = None,
    rank: int | None = None,
    seed: int = 0,
    epoch: int = 0,
    drop_last: bool = True,
    checked: bool = True,
) -> ReleaseDataset:
    """Batches of a table release: dicts of samples, state, columns and valid (name -> tensor [rows]).

    Dates and times are int64 (days, microseconds since 1970 UTC), texts uint8[rows, bytes] padded with NUL. Options as
    token_dataset; raises as TableLoader does.
    """
    shape = _shape(batch, world, rank)
    opened = partial(
        TableLoader, path, split=split, seed=seed, epoch=epoch, drop_last=drop_last, checked=checked, **shape
    )
    return ReleaseDataset(opened, _rows)


class ReleaseDataset(IterableDataset):
    """This rank's batches of one epoch, from where the dataset stands; for a DataLoader with ``batch_size=None``.

    Each batch has ``state``: where training stands once it is used, five small values, equal on every rank; pass it to
    load_state_dict, with any batch, world and number of workers. Iterated in its own process, or through ``tracked``,
    the dataset moves on with every batch and to the next epoch at the end. A plain loop over a DataLoader with workers
    moves only copies: call set_epoch before each, or the second is refused.
    """

    def __init__(self, opened: Callable[[], AnyLoader], read: Callable[[Any], Iterator[Tensors]]) -> None:
        self.opened, self.read = opened, read
        self.loader = opened()
        self._place = (self.loader.course.epoch, 0, 1)  # epoch, samples, how often it was set
        self._shared = torch.tensor(self._place).share_memory_()
        self._begun = torch.zeros(WORKERS, dtype=torch.int64).share_memory_()
        self._went = False
        self._loaded: State | None = None  # in a worker: where its next iteration begins
        self._own: State | None = None  # in a worker: where it stands

    def __len__(self) -> int:
        """Batches of a whole epoch, the same on every rank: what DataLoader's own length is."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Tensors]:
        """The batches of this process: all of the rank's, or in a worker of a DataLoader every W-th."""
        worker = get_worker_info()
        if worker and self._went:  # a new worker has the place from its birth: the shared one may be ahead by now
            epoch, samples, times = self._shared.tolist()
            self._place = (epoch, samples, times)
        self._went = worker is not None
        self._own = self._loaded
        self.loader.restore(self.state_dict())
        self._loaded = None
        return self._part(worker.id, worker.num_workers) if worker else self._all()

    def state_dict(self) -> State:
        """Where the next iteration begins; in a worker, where its own next batch is."""
        if self._own:
            return self._own
        epoch, samples, _ = self._place
        course = self.loader.course
        return State(dataset=course.dataset, split=course.split, seed=course.seed, epoch=epoch, samples=samples)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Begin where ``state`` was taken. Raises StateError for a state of another data set, split or seed."""
        course = copy(self.loader.course)  # an iteration that is under way goes on
        course.restore(State(**state))  # type: ignore[typeddict-item]
        if get_worker_info():
            self._loaded = self._own = course.state()
        else:
            self._move(course.state())

    def set_epoch(self, epoch: int) -> None:
        """Begin at the start of an epoch."""
        self.load_state_dict({**self.state_dict(), "epoch": epoch, "samples": 0})

    def _move(self, state: State) -> None:
        self._place = (state["epoch"], state["samples"], self._place[2] + 1)
        self._shared.copy_(torch.tensor(self._place))

    def _all(self) -> Iterator[Tensors]:
        for tensors in self.read(self.loader):
            state = _after(self.loader)
            self._move(state)
            yield {**tensors, "state": state}

    def _part(self, number: int, workers: int) -> Iterator[Tensors]:
        """Every ``workers``-th batch from ``number`` on; the others are skipped without reading."""
        self._refuse_again(number)
        course = self.loader.course
        _skip(self.loader, number)
        for tensors in self.read(self.loader):
            state = _after(self.loader)
            ahead = course.consumed + (workers - 1 - number) * course.batch
            self._own = {**course.state(), "samples": min(ahead, course.total)}
            _skip(self.loader, workers - 1)
            yield {**tensors, "state": state}

    def _refuse_again(self, number: int) -> None:
        epoch, samples, times = self._place
        if self._begun[number] == times:
            raise UsageError(
                f"epoch {epoch} from sample {samples} was begun before",
                allowed="one loop over a DataLoader with workers from each place",
                do="loop over tracked(loader), or call set_epoch before each loop",
            )
        self._begun[number] = times

    def __getstate__(self) -> dict[str, Any]:
        """Without the mapped files, which a spawned worker opens itself."""
        return {name: value for name, value in self.__dict__.items() if name != "loader"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.loader = self.opened()


def tracked(loader: DataLoader | ReleaseDataset) -> Iterator[Tensors]:
    """The batches of a DataLoader, its dataset moved on as each is handed out.

    So state_dict() counts what was handed out and not what workers have fetched, a loop that was left goes on where it
    stopped, and the loop after a whole one is the next epoch. Raises UsageError for a loader that collates.
    """
    data = loader if isinstance(loader, ReleaseDataset) else loader.dataset
    if not isinstance(data, ReleaseDataset):
        raise UsageError(f"a loader of {type(data).__name__}", allowed="token_dataset or row_dataset")
    if loader is not data and loader.batch_size is not None:
        raise UsageError(
            f"a DataLoader with batch_size {loader.batch_size}",
            allowed="batch_size=None",
            do="the dataset's own batch is the global batch",
        )
    for batch in loader:
        data.load_state_dict(batch["state"])
        yield batch


def _shape(batch: int, world: int | None, rank: int | None) -> dict[str, int]:
    ready = distributed.is_available() and distributed.is_initialized()
    if (world is None) != (rank is None):
        raise UsageError(f"world {world} and rank {rank}", allowed="both, or neither")
    if world is None or rank is None:
        world, rank = (distributed.get_world_size(), distributed.get_rank()) if ready else (1, 0)
    return {"batch": batch, "world": world, "rank": rank}


def _after(loader: AnyLoader) -> State:
    """The state after the batch just read: the next epoch's start after the last one."""
    state, course = loader.state(), loader.course
    return state if course.unfinished else {**state, "epoch": course.epoch + 1, "samples": 0}


def _skip(loader: AnyLoader, steps: int) -> None:
    for _ in range(steps):
        loader.course.advance()


def _tokens(
    loader: Loader, *, dtype: torch.dtype | None, labels: bool, boundaries: bool, source_ids: bool
) -> Iterator[Tensors]:
    masked = labels and bool(loader.manifest.chat)
    for batch in loader.batches(boundaries=labels or boundaries, source_ids=source_ids, loss_mask=masked):
        tokens = torch.from_numpy(batch.tokens)
        made: Tensors = {
            "samples": torch.from_numpy(batch.samples),
            "tokens": tokens if dtype is None else tokens.to(dtype),
        }
        if labels or boundaries:
            ends = _ends(batch)
            made |= {"labels": torch.from_numpy(_labels(batch, ends, loader.manifest.pad_id))} if labels else {}
            made |= _cu_seqlens(ends) if boundaries else {}
        if source_ids:
            made["source_ids"] = torch.from_numpy(np.concatenate(batch.source_ids).astype(np.int32))
        yield made


def _ends(batch: Batch) -> npt.NDArray[np.int64]:
    """0 and the end of each piece, over the rows one after the other: int64[pieces + 1]."""
    length = batch.tokens.shape[1]
    parts = [bounds[1:] + np.int64(row * length) for row, bounds in enumerate(batch.boundaries)]
    return np.concatenate([np.zeros(1, np.int64), *parts])


def _cu_seqlens(ends: npt.NDArray[np.int64]) -> Tensors:
    """As flash_attn's variable-length attention takes them."""
    return {"cu_seqlens": torch.from_numpy(ends.astype(np.int32)), "max_seqlen": int(np.diff(ends).max(initial=0))}


def _labels(batch: Batch, ends: npt.NDArray[np.int64], pad_id: int) -> npt.NDArray[np.int64]:
    """The token after each, int64[rows, L].

    IGNORED for the last of a piece, in a piece that begins with pad_id, and where the loss mask leaves that token out.
    """
    flat = batch.tokens.reshape(-1)
    found = np.full(flat.size, IGNORED, np.int64)
    learnt = slice(None) if batch.loss_mask is None else batch.loss_mask.reshape(-1)[1:]
    found[:-1][learnt] = flat[1:][learnt]
    found[ends[1:] - 1] = IGNORED
    found[np.repeat(flat[ends[:-1]] == pad_id, np.diff(ends))] = IGNORED
    return found.reshape(batch.tokens.shape)


def _rows(loader: TableLoader) -> Iterator[Tensors]:
    for batch in loader.batches():
        columns = {name: _column(values) for name, values in batch.columns.items()}
        valid = {name: torch.from_numpy(there) for name, there in batch.valid.items()}
        yield {"samples": torch.from_numpy(batch.samples), "columns": columns, "valid": valid}


def _column(values: npt.NDArray[Any]) -> torch.Tensor:
    if values.dtype.kind == "M":
        return torch.from_numpy(values.view(np.int64))
    if values.dtype.kind == "S":
        return torch.from_numpy(values.view(np.uint8).reshape(values.size, values.dtype.itemsize))
    return torch.from_numpy(values)


__all__ = ["IGNORED", "ReleaseDataset", "row_dataset", "token_dataset", "tracked"]
