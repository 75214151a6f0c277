"""WebDataset: a tar whose consecutive members with one stem are a sample (webdataset/tariterators.py, group_by_keys).

::

    000000012.json   {"sample": 12, "split": "train"}   the number that ``trace`` takes; of rows: the row
    000000012.npy    the tokens, uint16 or uint32 [sequence_length], NumPy format 1.0

Headers are ustar (POSIX.1-1988) with time 0 and owner 0, so equal samples give equal bytes: webdataset's own TarWriter
writes a PAX header of 1,024 bytes more for each member, with the time in it. Lost: 2,560 bytes a sample of headers and
padding, twice the tokens of 512 uint16.
"""

from __future__ import annotations

import io
import tarfile
from typing import BinaryIO

import numpy as np

from warehouse.datasets.targets.jsonl import line
from warehouse.datasets.targets.tasks import Entry, RowTask, TargetTask
from warehouse.datasets.vocabulary import Ids

BLOCK, RECORD = 512, 10_240
"""Bytes of a tar's blocks, and of the records that a whole one is of (POSIX.1, pax)."""


def write(task: TargetTask) -> list[Entry]:
    """Write the files of a shard, none for an empty one."""
    first = task.first
    for number, part in enumerate(task.parts()):
        with task.place("webdataset", f"{task.stem}-{number:03d}.tar").open("wb") as stream:
            for sample, tokens in enumerate(part, first):
                _member(stream, f"{sample:09d}.json", line({"sample": sample, "split": task.split}))
                _member(stream, f"{sample:09d}.npy", _npy(tokens))
            _end(stream)
        first += len(part)
    return []


def write_rows(task: RowTask) -> None:
    """Write the file of a shard of rows."""
    with task.place("webdataset", ".tar").open("wb") as stream:
        for number, row in enumerate(task.rows(), task.first):
            _member(stream, f"{number:09d}.json", line(row))
        _end(stream)


def _member(stream: BinaryIO, name: str, content: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    stream.write(header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % BLOCK))


def _npy(tokens: Ids) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, np.ascontiguousarray(tokens), version=(1, 0))
    return content.getvalue()


def _end(stream: BinaryIO) -> None:
    """Two empty blocks, and as many more as fill the record."""
    stream.write(bytes(2 * BLOCK))
    stream.write(bytes(-stream.tell() % RECORD))
