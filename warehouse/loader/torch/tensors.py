"""Batches of the loaders as tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from warehouse.loader.labels import ends_of, labels_of
from warehouse.loader.loader import Loader
from warehouse.loader.mixture import Mixture
from warehouse.loader.rows import TableLoader
from warehouse.loader.streaming import StreamingLoader
from warehouse.loader.tokens import Batch

Tensors = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """What a batch of tokens is made into; see ``token_dataset``."""

    dtype: torch.dtype | None
    labels: bool
    boundaries: bool
    source_ids: bool

    def tensors(self, loader: Loader | Mixture | StreamingLoader) -> Iterator[Tensors]:
        """The rest of the epoch."""
        return (self._made(batch) for batch in self._batches(loader))

    def mixed(self, loader: Mixture) -> Iterator[Tensors]:
        """The same with the source of each row."""
        return ({**self._made(batch), "sources": torch.from_numpy(batch.sources)} for batch in self._batches(loader))

    def _batches(self, loader: Loader | Mixture | StreamingLoader) -> Iterator[Batch]:
        boundaries = self.labels or self.boundaries
        return loader.batches(boundaries=boundaries, loss_mask=self.labels, source_ids=self.source_ids)

    def _made(self, batch: Batch) -> Tensors:
        tokens = torch.from_numpy(batch.tokens)
        made: Tensors = {
            "samples": torch.from_numpy(batch.samples),
            "tokens": tokens if self.dtype is None else tokens.to(self.dtype),
        }
        if self.labels or self.boundaries:
            ends = ends_of(batch)
            made |= {"labels": torch.from_numpy(labels_of(batch, ends))} if self.labels else {}
            made |= _cu_seqlens(ends) if self.boundaries else {}
        if self.source_ids:
            made["source_ids"] = torch.from_numpy(np.concatenate(batch.source_ids).astype(np.int32))
        return made


def row_tensors(loader: TableLoader) -> Iterator[Tensors]:
    """The rest of the epoch; see ``row_dataset``."""
    for batch in loader.batches():
        columns = {name: _column(values) for name, values in batch.columns.items()}
        valid = {name: torch.from_numpy(there) for name, there in batch.valid.items()}
        yield {"samples": torch.from_numpy(batch.samples), "columns": columns, "valid": valid}


def _cu_seqlens(ends: npt.NDArray[np.int64]) -> Tensors:
    """As flash_attn's variable-length attention takes them."""
    return {"cu_seqlens": torch.from_numpy(ends.astype(np.int32)), "max_seqlen": int(np.diff(ends).max(initial=0))}


def _column(values: npt.NDArray[Any]) -> torch.Tensor:
    if values.dtype.kind == "M":
        return torch.from_numpy(values.view(np.int64))
    if values.dtype.kind == "S":
        return torch.from_numpy(values.view(np.uint8).reshape(values.size, values.dtype.itemsize))
    return torch.from_numpy(values)
