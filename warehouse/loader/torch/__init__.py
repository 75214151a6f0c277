"""Releases in PyTorch: the loader's own batches as tensors, in the same exact global order, with any number of workers.

Every batch carries the state in which training stands once it is used, so a resume is exact whatever workers had
fetched, into any world. ``token_dataset``, ``stream_dataset``, ``mixture_dataset`` and ``row_dataset`` are of that kind
(``iterable``), ``sample_dataset`` gives samples by number (``samples``). Extra ``torch``::

    data = token_dataset("datasets/corpus/1", batch=512, labels=True)  # rank and world: torch.distributed's
    loader = DataLoader(data, batch_size=None, num_workers=4, pin_memory=True)
    for batch in tracked(loader):  # the next loop is the next epoch
        loss = model(batch["tokens"], batch["labels"])
        checkpoint = {"model": model.state_dict(), "data": data.state_dict()}

Won: no index, no sampler, no copy of the data. Lost: each worker hashes the blocks that it touches itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from warehouse.errors import MissingExtra, UsageError
from warehouse.loader.labels import IGNORED
from warehouse.loader.loader import Loader
from warehouse.loader.mixture import Mixture, Phase
from warehouse.loader.rows import TableLoader
from warehouse.loader.several import Source
from warehouse.loader.streaming import Fetching, StreamingLoader
from warehouse.loader.windows import Window

try:
    import torch
    from torch import distributed
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"the package {error.name!r} is not installed", do="pip install 'ml-warehouse[torch]'"
    ) from error

from warehouse.loader.torch.iterable import ReleaseDataset, tracked
from warehouse.loader.torch.samples import SampleDataset
from warehouse.loader.torch.tensors import Form, row_tensors


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
    return ReleaseDataset(opened, Form(dtype, labels, boundaries, source_ids).tensors)


def stream_dataset(
    location: Path | str,
    *,
    split: str = "train",
    batch: int,
    world: int | None = None,
    rank: int | None = None,
    seed: int = 0,
    epoch: int = 0,
    drop_last: bool = True,
    window: Window | None = None,
    fetching: Fetching | None = None,
    dtype: torch.dtype | None = torch.int64,
    labels: bool = False,
    boundaries: bool = False,
    source_ids: bool = False,
) -> ReleaseDataset:
    """Batches of a token release that stays where it lies, in a stream's order: else as token_dataset.

    A stream has threads of its own and needs no workers: W workers fetch a block W times, unless ``fetching`` has a
    cache that holds it. Raises as StreamingLoader does.
    """
    shape = _shape(batch, world, rank)
    streamed = partial(StreamingLoader, location, window=window, fetching=fetching)
    opened = partial(streamed, split=split, seed=seed, epoch=epoch, drop_last=drop_last, **shape)
    return ReleaseDataset(opened, Form(dtype, labels, boundaries, source_ids).tensors)


def mixture_dataset(
    sources: Sequence[Source],
    *,
    phases: Sequence[Phase] = (Phase(),),
    batch: int,
    world: int | None = None,
    rank: int | None = None,
    seed: int = 0,
    checked: bool = True,
    dtype: torch.dtype | None = torch.int64,
    labels: bool = False,
    boundaries: bool = False,
    source_ids: bool = False,
) -> ReleaseDataset:
    """Batches of a ``Mixture`` of token releases, without end: as token_dataset, and sources, int64[rows].

    For other phases ahead make another one and give it the state of this one. Raises as Mixture does.
    """
    shape = _shape(batch, world, rank)
    opened = partial(Mixture, tuple(sources), phases=tuple(phases), seed=seed, checked=checked, **shape)
    return ReleaseDataset(opened, Form(dtype, labels, boundaries, source_ids).mixed)


def sample_dataset(
    path: Path | str,
    *,
    split: str = "train",
    checked: bool = True,
    dtype: torch.dtype | None = torch.int64,
    labels: bool = False,
) -> SampleDataset:
    """The samples of a token release by number, a map-style data set; tokens and labels as in token_dataset.

    The order is the sampler's; what is exact at any world size and resumes is token_dataset.
    """
    opened = partial(Loader, path, split=split, batch=1, drop_last=False, checked=checked)
    return SampleDataset(opened, dtype=dtype, labels=labels)


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
    return ReleaseDataset(opened, row_tensors)


def _shape(batch: int, world: int | None, rank: int | None) -> dict[str, int]:
    ready = distributed.is_available() and distributed.is_initialized()
    if (world is None) != (rank is None):
        raise UsageError(f"world {world} and rank {rank}", allowed="both, or neither")
    if world is None or rank is None:
        world, rank = (distributed.get_world_size(), distributed.get_rank()) if ready else (1, 0)
    return {"batch": batch, "world": world, "rank": rank}


__all__ = [
    "IGNORED",
    "ReleaseDataset",
    "SampleDataset",
    "mixture_dataset",
    "row_dataset",
    "sample_dataset",
    "stream_dataset",
    "token_dataset",
    "tracked",
]
