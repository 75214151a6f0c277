"""What each token of a batch is to predict, and where its pieces end: numpy, for every framework's adapter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from warehouse.loader.tokens import Batch

IGNORED = -100
"""What losses leave out: ignore_index of ``torch.nn.functional.cross_entropy``, and by convention of others."""


def ends_of(batch: Batch) -> npt.NDArray[np.int64]:
    """0 and the end of each piece, over the rows one after the other: int64[pieces + 1]. It needs boundaries."""
    length = batch.tokens.shape[1]
    parts = [bounds[1:] + np.int64(row * length) for row, bounds in enumerate(batch.boundaries)]
    return np.concatenate([np.zeros(1, np.int64), *parts])


def labels_of(batch: Batch, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The token after each: int64[rows, L]; IGNORED for the last of a piece and before one without loss, as padding.

    ends: of ``ends_of``; the batch has its loss mask.
    """
    found = np.full(batch.tokens.size, IGNORED, np.int64)
    found[:-1] = batch.tokens.reshape(-1)[1:]
    if batch.loss_mask is not None:
        found[:-1][~batch.loss_mask.reshape(-1)[1:]] = IGNORED
    found[ends[1:] - 1] = IGNORED
    return found.reshape(batch.tokens.shape)
