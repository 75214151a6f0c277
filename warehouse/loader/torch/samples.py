"""Samples of a release by number, for who brings an order of his own: torch's samplers, evaluation, a Trainer's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from warehouse.loader.labels import ends_of, labels_of
from warehouse.loader.loader import Loader

Sample = dict[str, Any]


class SampleDataset(Dataset):
    """The samples of a split; ``data[i]`` has sample (int), tokens [L] and, if asked for, labels int64[L]."""

    def __init__(self, opened: Callable[[], Loader], *, dtype: torch.dtype | None, labels: bool) -> None:
        self.opened, self.dtype, self.labels = opened, dtype, labels
        self.loader = opened()

    def __len__(self) -> int:
        """Samples of the split."""
        return self.loader.course.total

    def __getitem__(self, number: int) -> Sample:
        """One sample. Raises IndexError outside the split; -1 is the last."""
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int]) -> list[Sample]:
        """The samples of a batch, read at once: what DataLoader asks for."""
        batch = self.loader.read(np.array(numbers, np.int64), boundaries=self.labels, loss_mask=self.labels)
        tokens = torch.from_numpy(batch.tokens)
        columns = [batch.samples.tolist(), tokens if self.dtype is None else tokens.to(self.dtype)]
        names = ["sample", "tokens"]
        if self.labels:
            columns.append(torch.from_numpy(labels_of(batch, ends_of(batch))))
            names.append("labels")
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def __getstate__(self) -> dict[str, Any]:
        """Without the mapped files, which a spawned worker opens itself."""
        return {name: value for name, value in self.__dict__.items() if name != "loader"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.loader = self.opened()
