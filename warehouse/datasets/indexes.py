"""The indexes of two other projects beside a .bin: boundaries of pieces and samples over the same bytes.

.idx (Megatron-LM, megatron/core/datasets/indexed_dataset.py), little-endian::

    "MMIDIDX\\0\\0" | u64 version 1 | u8 dtype | u64 sequences | u64 entries | i32 lengths[sequences]
    | i64 byte pointers[sequences] | i64 document_indices[entries], from 0 to sequences

A sequence is a piece (padding is one too), a document a sample: so Megatron's readers see whole samples, and cu_seqlens
come from the lengths. The format has no uint32: ids above 65,535 are marked int32 (4), the same bytes.

.bin.index (datatrove, src/datatrove/utils/dataset.py, DatatroveFileDataset)::

    u64 end[sequences], in tokens from the start of the .bin

Its windows of ``seq_len`` + 1 tokens are the samples where seq_len is one less than theirs, its positions begin again
with each piece.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.datasets.packing import Ints, Pieces

Array = npt.NDArray[Any]

DTYPES = {"<u2": 8, "<u4": 4}


def write_indexes(folder: Path, stem: str, pieces: Pieces, *, sequence_length: int, dtype: str) -> None:
    """Write both indexes of a shard whose samples are ``pieces`` padded to ``sequence_length`` tokens."""
    lengths, firsts = padded(pieces, sequence_length)
    (folder / f"{stem}.bin.index").write_bytes(np.cumsum(lengths).astype("<u8").tobytes())
    _write_megatron(folder / f"{stem}.idx", lengths, firsts, dtype=dtype)


def _write_megatron(path: Path, lengths: Ints, firsts: Ints, *, dtype: str) -> None:
    width = np.dtype(dtype).itemsize
    pointers = (np.cumsum(lengths) - lengths) * width
    with path.open("wb") as stream:
        stream.write(b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, DTYPES[dtype], lengths.size, firsts.size))
        for array, kind in ((lengths, "<i4"), (pointers, "<i8"), (firsts, "<i8")):
            stream.write(array.astype(kind).tobytes())


def padded(pieces: Pieces, sequence_length: int) -> tuple[Ints, Ints]:
    """Lengths of all pieces with those of padding, and the first piece of each sample with the total at the end."""
    left = sequence_length - np.bincount(pieces.sample, pieces.length, minlength=pieces.samples).astype(np.int64)
    lengths = with_padding(pieces.sample, pieces.length, left, left[left > 0])
    counts = np.bincount(pieces.sample, minlength=pieces.samples) + (left > 0)
    return lengths, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def with_padding(sample: Ints, values: Array, left: Ints, padding: Array) -> Array:
    """Values of pieces, by sample, with those of padding after the last piece of each sample that has tokens left."""
    order = np.argsort(np.concatenate([sample, np.flatnonzero(left)]), kind="stable")
    return np.concatenate([values, padding])[order]
