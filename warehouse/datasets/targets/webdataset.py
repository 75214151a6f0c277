"""WebDataset: a tar whose consecutive members with one stem are a sample (webdataset/tariterators.py, group_by_keys).

::

    000000012.json   {"sample":        12, "split": "train"}   the number that ``trace`` takes; of rows: the row
    000000012.npy    the tokens, uint16 or uint32 [sequence_length], NumPy format 1.0
    000000012.loss_mask.npy  of conversations: uint8 of the same shape, 1 where the token is learnt
    000000012.image  of samples the bytes of a column, here ``image``, as they are

Headers are ustar (POSIX.1-1988) with time 0 and owner 0, so equal samples give equal bytes: webdataset's own TarWriter
writes a PAX header of 1,024 bytes more for each member, with the time in it. A thousand samples are made at once, 1,200
MB of tokens a CPU second (member by member through tarfile: 53). Lost: some 2 kB a sample of headers and padding, which
doubles 1,024 uint16.
"""

from __future__ import annotations

import io
import re
import tarfile
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from warehouse.datasets.packing import Ints
from warehouse.datasets.targets.jsonl import line
from warehouse.datasets.targets.tasks import LOSS_MASK, TOKENS, Columns, Entry, RowTask, SampleTask, TargetTask
from warehouse.datasets.vocabulary import Ids
from warehouse.errors import RecipeError

BLOCK, RECORD = 512, 10_240
"""Bytes of a tar's blocks, and of the records that a whole one is of (POSIX.1, pax)."""

CHECKSUM = 148
"""Where a header holds the sum of its bytes."""

ENDINGS = {TOKENS: ".npy", LOSS_MASK: ".loss_mask.npy"}
"""Of the members of a sample of tokens, beside its .json."""

DIGITS = 9
"""Of a sample's number in the names of its members."""

BATCH = 1024
"""Samples whose members are made at once."""


def write(task: TargetTask) -> list[Entry]:
    """Write the files of a shard, none for an empty one."""
    first = task.first
    for number, part in enumerate(task.parts()):
        count = len(part[TOKENS])
        with task.place("webdataset", f"{task.stem}-{number:03d}.tar").open("wb") as stream:
            for start in range(0, count, BATCH):
                block = {name: values[start : start + BATCH] for name, values in part.items()}
                numbers = np.arange(start, min(start + BATCH, count)) + first
                stream.write(_members(block, numbers, task.split).data)
            _end(stream)
        first += count
    return []


def _members(block: Columns, numbers: Ints, split: str) -> npt.NDArray[np.uint8]:
    """The members of some samples, uint8[samples, bytes]: those of number 0, with each one's digits and values."""
    empty = line({"sample": 0, "split": split}).replace(b"0", b" " * DIGITS, 1)
    zero, headers, ends = io.BytesIO(), [0], list[int]()
    _member(zero, f"{0:0{DIGITS}d}.json", empty)
    for name, values in block.items():
        array = _npy(values[0])
        ends.append(zero.tell() + BLOCK + len(array))
        headers.append(zero.tell())
        _member(zero, f"{0:0{DIGITS}d}{ENDINGS[name]}", array)
    members = np.tile(np.frombuffer(zero.getvalue(), np.uint8), (len(numbers), 1))
    digits = numbers[:, None] // 10 ** np.arange(DIGITS)[::-1] % 10
    for header in headers:
        members[:, header : header + DIGITS] += digits.astype(np.uint8)
        _checksums(members[:, header : header + BLOCK], digits.sum(axis=1))
    at = BLOCK + empty.index(b",") - DIGITS
    blank = np.maximum.accumulate(digits > 0, axis=1) == 0
    blank[:, -1] = False
    members[:, at : at + DIGITS] = np.where(blank, ord(" "), digits + ord("0"))
    for end, values in zip(ends, block.values(), strict=True):
        members[:, end - values[0].nbytes : end] = np.ascontiguousarray(values).view(np.uint8)
    return members


def _checksums(headers: npt.NDArray[np.uint8], more: Ints) -> None:
    """Raise the checksum of each header by ``more``: six octal digits (POSIX.1, ustar, chksum)."""
    octal, places = headers[:, CHECKSUM : CHECKSUM + 6], 8 ** np.arange(6)[::-1]
    sums = (octal[0] - ord("0")) @ places + more
    octal[:] = sums[:, None] // places % 8 + ord("0")


def write_rows(task: RowTask) -> None:
    """Write the file of a shard of rows."""
    with task.place("webdataset", ".tar").open("wb") as stream:
        for number, row in enumerate(task.rows(), task.first):
            _member(stream, f"{number:0{DIGITS}d}.json", line(row))
        _end(stream)


def write_samples(task: SampleTask) -> list[Entry]:
    """Write the file of a shard of samples. Raises RecipeError for a column of bytes whose name no ending can be."""
    for name in task.binary:
        if not re.fullmatch(r"(?!json$)[a-z0-9_]{1,80}", name):
            raise RecipeError(
                f"{task.at}: column {name} of bytes",
                allowed="for the target webdataset small letters, digits and _, 80 at most, not json",
                do="name it so in the select: its name is the ending of the members of a tar",
            )
    with task.place("webdataset", f"{task.stem}.tar").open("wb") as stream:
        for number, (values, raw) in enumerate(task.samples(), task.first):
            _member(stream, f"{number:0{DIGITS}d}.json", line(values))
            for name, value in raw.items():
                _member(stream, f"{number:0{DIGITS}d}.{name}", value)
        _end(stream)
    return []


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
