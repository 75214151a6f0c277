"""Releases in PyTorch: the loader's own batches as tensors, in the same exact global order, with any number of workers.

Every batch carries the state in which training stands once it is used, so a resume is exact whatever workers had
fetched, into any world. ``token_dataset``, ``mixture_dataset`` and ``row_dataset`` are of that kind (``iterable``),
``sample_dataset`` gives samples by number (``samples``). Extra ``torch``::

    data = token_dataset("datasets/corpus/1", batch=512, labels=True)  # rank and world: torch.distributed's
    loader = DataLoader(data, batch_size=None, num_workers=4, pin_memory=True)
    for batch in tracked(loader):  # the next loop is the next epoch
        loss = model(batch["tokens"], batch["labels"])
        checkpoint = {"model": model.state_dict(), "data": data.state_dict()}

Won: no index, no sampler, no copy of the data. Lost: each worker hashes the blocks that it touches itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.errors import MissingExtra, UsageError
from warehouse.loader.labels import IGNORED, ends_of, labels_of
from warehouse.loader.loader import Loader
from warehouse.loader.mixture import Mixture, Phase, Source
from warehouse.loader.rows import TableLoader
from warehouse.loader.tokens import Batch

try:
    import torch
    from torch import distributed
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"the package {error.name!r} is not installed", do="pip install 'ml-warehouse[torch]'"
    ) from error

from warehouse.loader.torch.iterable import ReleaseDataset, Tensors, tracked
from warehouse.loader.torch.samples import SampleDataset


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
    return ReleaseDataset(
        opened, partial(_mixed, dtype=dtype, labels=labels, boundaries=boundaries, source_ids=source_ids)
    )


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
    return ReleaseDataset(opened, _rows)


def _shape(batch: int, world: int | None, rank: int | None) -> dict[str, int]:
    ready = distributed.is_available() and distributed.is_initialized()
    if (world is None) != (rank is None):
        raise UsageError(f"world {world} and rank {rank}", allowed="both, or neither")
    if world is None or rank is None:
        world, rank = (distributed.get_world_size(), distributed.get_rank()) if ready else (1, 0)
    return {"batch": batch, "world": world, "rank": rank}


def _tokens(
    loader: Loader | Mixture, *, dtype: torch.dtype | None, labels: bool, boundaries: bool, source_ids: bool
) -> Iterator[Tensors]:
    return (made for made, _ in _read(loader, dtype=dtype, labels=labels, boundaries=boundaries, source_ids=source_ids))


def _mixed(
    loader: Mixture, *, dtype: torch.dtype | None, labels: bool, boundaries: bool, source_ids: bool
) -> Iterator[Tensors]:
    for made, batch in _read(loader, dtype=dtype, labels=labels, boundaries=boundaries, source_ids=source_ids):
        yield {**made, "sources": torch.from_numpy(batch.sources)}


def _read(
    loader: Loader | Mixture, *, dtype: torch.dtype | None, labels: bool, boundaries: bool, source_ids: bool
) -> Iterator[tuple[Tensors, Batch]]:
    for batch in loader.batches(boundaries=labels or boundaries, loss_mask=labels, source_ids=source_ids):
        tokens = torch.from_numpy(batch.tokens)
        made: Tensors = {
            "samples": torch.from_numpy(batch.samples),
            "tokens": tokens if dtype is None else tokens.to(dtype),
        }
        if labels or boundaries:
            ends = ends_of(batch)
            made |= {"labels": torch.from_numpy(labels_of(batch, ends))} if labels else {}
            made |= _cu_seqlens(ends) if boundaries else {}
        if source_ids:
            made["source_ids"] = torch.from_numpy(np.concatenate(batch.source_ids).astype(np.int32))
        yield made, batch


def _cu_seqlens(ends: npt.NDArray[np.int64]) -> Tensors:
    """As flash_attn's variable-length attention takes them."""
    return {"cu_seqlens": torch.from_numpy(ends.astype(np.int32)), "max_seqlen": int(np.diff(ends).max(initial=0))}


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


__all__ = [
    "IGNORED",
    "ReleaseDataset",
    "SampleDataset",
    "mixture_dataset",
    "row_dataset",
    "sample_dataset",
    "token_dataset",
    "tracked",
]
